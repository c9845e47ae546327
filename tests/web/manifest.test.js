import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Problem } from '../../web/client/problems.js';
import { manifestFrom } from '../../web/client/transfer/disk/manifest.js';

/** @typedef {import('../../web/client/transfer/disk/manifest.js').Manifest} Manifest */

/** The part of a chosen file that a manifest reads. */
function chosen(/** @type {string} */ name, size = 1, webkitRelativePath = '') {
  return /** @type {File} */ ({ name, size, webkitRelativePath, lastModified: 1_700_000_000_123 });
}
const paths = (/** @type {Manifest} */ manifest) =>
  manifest.entries.map(({ path, kind }) => `${kind} ${path}`);
const refused = (/** @type {string} */ code) => (/** @type {unknown} */ error) =>
  error instanceof Problem && error.code === code;

test('chosen files keep their names, sizes and times', async () => {
  const manifest = await manifestFrom([chosen('a.txt', 5), chosen('b.txt', 7)]);
  assert.deepEqual(manifest.entries[0], {
    path: 'a.txt',
    kind: 'file',
    size: 5,
    mtime: 1_700_000_000_123,
  });
  assert.deepEqual([manifest.files, manifest.bytes, manifest.title], [2, 12, '2 files']);
});

test('a chosen folder keeps its tree', async () => {
  const manifest = await manifestFrom([
    chosen('a', 1, 'dir/a'),
    chosen('b', 1, 'dir/sub/b'),
  ]);
  assert.deepEqual(paths(manifest), ['file dir/a', 'file dir/sub/b']);
  assert.equal(manifest.title, 'dir');
});

test('two files of one name from different places are told apart', async () => {
  const manifest = await manifestFrom([
    chosen('a.txt'),
    chosen('a.txt'),
    chosen('A.TXT'),
  ]);
  assert.deepEqual(paths(manifest), ['file a.txt', 'file a (1).txt', 'file A.TXT']);
  assert.deepEqual(
    manifest.renamed.map(({ to }) => to),
    ['a (1).txt'],
  );
});

test('names that other machines cannot save are sent as they are', async () => {
  const manifest = await manifestFrom([
    chosen('12:30.txt'),
    chosen('x', 1, 'con/a. /x'),
  ]);
  assert.deepEqual(paths(manifest), ['file 12:30.txt', 'file con/a. /x']);
  assert.deepEqual(manifest.renamed, []);
});

test('nothing chosen is nothing to send', async () => {
  await assert.rejects(manifestFrom([]), refused('nothing_to_send'));
});

test('more files than a transfer carries are refused', async () => {
  const many = Array.from({ length: 500_001 }, (_, i) => chosen(`f${i}`));
  await assert.rejects(manifestFrom(many), refused('too_many'));
});

// Drops

/**
 * @typedef {{name: string, isFile: boolean, isDirectory: boolean, file?: (resolve: (file: File) => void) => void,
 *   createReader?: () => Reader}} FakeEntry
 * @typedef {{readEntries: (resolve: (some: FakeEntry[]) => void, reject: (reason: Error) => void) => void}} Reader
 */

/** @returns {FakeEntry} */
const fileEntry = (/** @type {string} */ name, size = 1) => ({
  name,
  isFile: true,
  isDirectory: false,
  file: (resolve) => resolve(chosen(name, size)),
});
/** @returns {FakeEntry} */
const folderEntry = (/** @type {string} */ name, /** @type {FakeEntry[]} */ children) => ({
  name,
  isFile: false,
  isDirectory: true,
  createReader: () => {
    const rest = [...children];
    return { readEntries: (resolve) => resolve(rest.splice(0, 100)) };
  },
});
function drop(/** @type {FakeEntry[]} */ entries) {
  let open = true;
  setTimeout(() => (open = false)); // browsers empty a transfer when the handler returns
  return transfer(
    entries.map((entry) => ({
      kind: 'file',
      webkitGetAsEntry: () => (open ? entry : null),
      getAsFile: () => null,
    })),
  );
}
/** The part of a `DataTransfer` that a manifest reads. */
function transfer(/** @type {object[]} */ items) {
  return /** @type {DataTransfer} */ (/** @type {unknown} */ ({ items }));
}

test('a dropped folder is walked to its end, and empty folders are kept', async () => {
  const many = Array.from({ length: 250 }, (_, i) => fileEntry(`f${i}`));
  const manifest = await manifestFrom(
    drop([
      folderEntry('top', [folderEntry('many', many), folderEntry('empty', [])]),
      fileEntry('single'),
    ]),
  );
  assert.equal(manifest.files, 251);
  assert.deepEqual(
    paths(manifest).filter((line) => !line.includes('/many/')),
    ['dir top/empty', 'file single'],
  );
});

test('text that was dropped is nothing to send', async () => {
  await assert.rejects(manifestFrom(transfer([{ kind: 'string' }])), refused('nothing_to_send'));
});

test('a folder that cannot be read is named', async () => {
  const broken = folderEntry('secret', []);
  broken.createReader = () => ({ readEntries: (_, reject) => reject(new Error('denied')) });
  await assert.rejects(
    manifestFrom(drop([broken])),
    (error) => error instanceof Problem && error.code === 'disk' && /secret/.test(error.sentence),
  );
});

test('a folder of endless depth is refused', async () => {
  const endless = folderEntry('d', []);
  endless.createReader = () => {
    let given = false;
    return { readEntries: (resolve) => resolve(given ? [] : ((given = true), [endless])) };
  };
  await assert.rejects(manifestFrom(drop([endless])), refused('too_many'));
});
