// The archive of a received folder, checked by Python's zipfile.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { crc32, joinCrc32 } from '../../web/client/transfer/disk/crc32.js';
import { ZipLayout } from '../../web/client/transfer/disk/zip.js';

/** @typedef {import('../../web/client/transfer/protocol/messages.js').Entry} Entry */

const READ = `
import json, sys, zipfile
# Reading checks the checksum, and that the local header names the same file.
with zipfile.ZipFile(sys.argv[1]) as archive:
    print(json.dumps([[i.filename, i.file_size, i.external_attr >> 16, archive.read(i).hex(), list(i.date_time)]
                      for i in archive.infolist()]))
`;

/**
 * @param {Entry[]} entries
 * @param {(Uint8Array | null)[]} contents
 */
function build(entries, contents) {
  const layout = new ZipLayout(entries);
  const archive = new Uint8Array(layout.size);
  const put = (/** @type {{at: number, bytes: Uint8Array}} */ { at, bytes }) => archive.set(bytes, at);
  contents.forEach((data, i) => {
    if (data === null) return;
    archive.set(data, layout.dataAt(i));
    put(layout.header(i, crc32(data)));
  });
  layout.finish().forEach(put);
  return archive;
}

/** @returns {[name: string, size: number, mode: number, hex: string, time: number[]][]} */
function readBack(/** @type {Uint8Array} */ archive) {
  const folder = mkdtempSync(join(tmpdir(), 'peerline-zip-'));
  try {
    const path = join(folder, 'a.zip');
    writeFileSync(path, archive);
    return JSON.parse(
      execFileSync('python3', ['-c', READ, path], {
        encoding: 'utf8',
        maxBuffer: 2 ** 26,
        env: { ...process.env, TZ: 'UTC' },
      }),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('a folder becomes an archive with names, modes, empty folders and contents', () => {
  /** @type {Entry[]} */
  const entries = [
    {
      path: 'tree/né ☃.txt',
      kind: 'file',
      size: 5,
      mtime: Date.UTC(2024, 1, 29, 12, 30, 10),
      mode: 0o644,
    },
    { path: 'tree/run.sh', kind: 'file', size: 3, mode: 0o755 },
    { path: 'tree/empty', kind: 'dir' },
    { path: 'tree/link', kind: 'link', target: 'run.sh' },
    { path: 'tree/nothing', kind: 'file', size: 0 },
  ];
  const contents = [Buffer.from('hello'), Buffer.from('#!x'), null, null, new Uint8Array(0)];
  const found = readBack(build(entries, contents)).map(([name, size, mode, hex]) => [
    name,
    size,
    mode.toString(8),
    hex,
  ]);
  assert.deepEqual(found, [
    ['tree/né ☃.txt', 5, '100644', Buffer.from('hello').toString('hex')],
    ['tree/run.sh', 3, '100755', Buffer.from('#!x').toString('hex')],
    ['tree/empty/', 0, '40755', ''],
    ['tree/nothing', 0, '100644', ''],
  ]);
});

test('an archive of more files than fit in 16 bits is whole', () => {
  const count = 65536;
  const entries = Array.from({ length: count }, (_, i) => ({
    path: `d/${i}`,
    kind: /** @type {const} */ ('file'),
    size: 1,
  }));
  const archive = build(
    entries,
    entries.map((_, i) => Uint8Array.of(i & 255)),
  );
  const found = readBack(archive);
  assert.equal(found.length, count);
  assert.equal(found[300][3], '2c');
});

test('places and sizes beyond 4 GiB are kept in 64 bits', () => {
  const big = 5 * 2 ** 30;
  const layout = new ZipLayout([
    { path: 'd/big', kind: 'file', size: big },
    { path: 'd/after', kind: 'file', size: 10 },
  ]);
  assert.ok(layout.dataAt(1) > big);
  const { bytes } = layout.header(0, 0x12345678);
  const view = new DataView(bytes.buffer);
  assert.equal(view.getUint32(18, true), 0xffffffff);
  assert.equal(view.getBigUint64(30 + 5 + 4, true), BigInt(big));
  const [{ at, bytes: end }] = layout.finish();
  assert.equal(at + end.length, layout.size);
  const signature = Buffer.from(end).indexOf(Buffer.from([0x50, 0x4b, 0x06, 0x06]));
  assert.equal(new DataView(end.buffer).getBigUint64(signature + 48, true), BigInt(at));
});

test('the checksum is the usual one, and that of two pieces is joined', () => {
  assert.equal(crc32(Buffer.from('123456789')), 0xcbf43926);
  assert.equal(crc32(new Uint8Array(0)), 0);
  const data = Uint8Array.from({ length: 100_003 }, (_, i) => (i * 31 + (i >> 7)) & 255);
  for (const cut of [0, 1, 7, 8, 50_000, data.length]) {
    const joined = joinCrc32(
      crc32(data.subarray(0, cut)),
      crc32(data.subarray(cut)),
      data.length - cut,
    );
    assert.equal(joined, crc32(data));
  }
});
