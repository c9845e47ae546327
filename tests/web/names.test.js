import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  MAX_PATH_PART,
  NameError,
  checkEntry,
  decodePath,
  freeName,
  nameKey,
  planNames,
  portablePart,
} from '../../web/client/transfer/protocol/names.js';
import { notableEntries } from '../../web/client/transfer/protocol/notable.js';
import { vectors } from './support/vectors.js';

const golden = vectors('names');

for (const { name, entries, index } of golden.rejected) {
  test(`a manifest is refused when a name ${name}`, () => {
    assert.throws(
      () => entries.forEach(checkEntry),
      (error) => error instanceof NameError && error.index === index,
    );
  });
}

for (const { name, entries } of golden.doubled) {
  test(`a manifest is refused when a name ${name}`, () => {
    entries.forEach(checkEntry);
    assert.throws(() => planNames(entries), NameError);
  });
}

for (const { name, entries, portable } of golden.plans) {
  test(`names become ones that every system holds: ${name}`, () => {
    entries.forEach(checkEntry);
    const { paths, targets } = planNames(entries);
    const planned = paths.map((path, index) =>
      entries[index].kind === 'link' ? [path, targets[index]] : path,
    );
    assert.deepEqual(planned, portable);
  });
}

test('every change is listed, a folder once, and links that are left out', () => {
  const plan = planNames([
    { path: 'x\x1b/1', kind: 'file', size: 1 },
    { path: 'x\x1b/2', kind: 'file', size: 1 },
    { path: 'CON', kind: 'file', size: 1 },
    { path: 'x\x1b/l', kind: 'link', target: '/etc/passwd' },
  ]);
  assert.deepEqual(plan.renamed, [
    { from: 'x\x1b', to: 'x_' },
    { from: 'CON', to: '_CON' },
  ]);
  assert.deepEqual(plan.leftOut, [{ path: 'x\x1b/l', reason: 'is a link to an absolute path' }]);
});

test('many names that want to be the same get numbers in one go', () => {
  const same = (/** @type {number} */ i) => [...i.toString(2).padStart(14, '0')];
  const entries = Array.from({ length: 10_000 }, (_, i) => ({
    path: same(i)
      .map((bit) => (bit === '1' ? ':' : '?'))
      .join(''),
    kind: /** @type {const} */ ('file'),
    size: 1,
  }));
  const { paths } = planNames(entries);
  assert.equal(new Set(paths).size, 10_000);
  assert.ok(paths.includes('______________ (9999)'));
});

test('bytes that are not UTF-8 are surrogates, as in Python', () => {
  assert.equal(decodePath('Cura%E7ao', true), 'Cura\udce7ao');
  assert.equal(decodePath('%ED%A0%80%25%41', true), '\udced\udca0\udc80%%41');
  assert.equal(decodePath('%E7', false), '%E7');
});

const HOSTILE_PARTS = [
  'a:b.txt',
  'back\\slash',
  'NUL',
  'con.txt',
  'LPT9',
  'trailing.',
  'trailing ',
  'bell\x07',
  'line\nbreak',
  'zero\u200bwidth',
  'rtl\u202egnp.exe',
  'half\ud800',
  '',
  '.',
  '..',
  ' ',
  '\u3164',
  'x.peerline-part',
  'é'.repeat(300),
  `${'x'.repeat(300)}.tar.gz`,
  '\u200c',
  `${'n'.repeat(250)}     `,
  '👨\u200d👩.png',
];

for (const part of HOSTILE_PARTS) {
  test(`a name of this disk is made fit for any other: ${JSON.stringify(part.slice(0, 30))}`, () => {
    const portable = portablePart(part);
    checkEntry({ path: portable, kind: 'file', size: 0 }, 0);
    assert.deepEqual(planNames([{ path: portable, kind: 'file', size: 0 }]).paths, [portable]);
    assert.ok(Buffer.byteLength(portable) <= MAX_PATH_PART);
    assert.equal(portablePart(portable), portable);
  });
}

test('a name that is fit already stays as it is', () => {
  for (const part of [
    'plain.txt',
    'naïve 你好.txt',
    '.hidden',
    'a b',
    '👨\u200d👩.png',
    'console.log',
  ]) {
    assert.equal(portablePart(part), part);
  }
});

test('names that a careless disk takes for the same have the same key', () => {
  assert.equal(nameKey('README'), nameKey('readme'));
  assert.equal(nameKey('caf\u00e9'), nameKey('cafe\u0301'));
  assert.equal(nameKey('STRASSE'), nameKey('straße'));
  assert.equal(nameKey('ΟΔΟΣ'), nameKey('οδος'));
  assert.notEqual(nameKey('a'), nameKey('b'));
  assert.notEqual(nameKey('ı'), nameKey('i'));
});

test('a taken name gets a number before its extension', () => {
  const taken = new Set(['photo.jpg', 'photo (1).jpg', 'noext', '.rc']);
  assert.equal(
    freeName('photo.jpg', (name) => taken.has(name)),
    'photo (2).jpg',
  );
  assert.equal(
    freeName('noext', (name) => taken.has(name)),
    'noext (1)',
  );
  assert.equal(
    freeName('.rc', (name) => taken.has(name)),
    '.rc (1)',
  );
  assert.equal(
    freeName('free', (name) => taken.has(name)),
    'free',
  );
  const long = `${'x'.repeat(251)}.jpg`;
  const other = freeName(long, (name) => name === long);
  assert.ok(Buffer.byteLength(other) <= MAX_PATH_PART && other.endsWith(' (1).jpg'));
});

for (const { name, entries, notable } of golden.notable) {
  test(`what is hidden or a program is named first: ${name}`, () => {
    const { first, total } = notableEntries(entries);
    assert.deepEqual(
      first.map(({ path, hidden, executable }) => [path, hidden, executable]),
      notable,
    );
    assert.equal(total, notable.length);
  });
}
