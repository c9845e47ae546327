import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  MAX_PATH_PART,
  NameError,
  checkManifest,
  displayName,
  freeName,
  nameKey,
  portablePart,
} from '../../web/transfer/names.js';
import { notableEntries } from '../../web/transfer/notable.js';
import { vectors } from './support/vectors.js';

const golden = vectors('names');

for (const { name, entries, index } of golden.rejected) {
  test(`a manifest is refused when a name ${name}`, () => {
    assert.throws(
      () => checkManifest(entries),
      (error) => error instanceof NameError && error.index === index,
    );
  });
}

for (const { name, entries } of golden.accepted) {
  test(`a manifest may hold ${name}`, () => {
    checkManifest(entries);
  });
}

for (const { text, shown } of golden.display) {
  test(`${JSON.stringify(text)} is shown as ${JSON.stringify(shown)}`, () => {
    assert.equal(displayName(text), shown);
  });
}

test('a long name loses its middle, not its end', () => {
  const shown = displayName(`${'a'.repeat(500)}.exe`, 60);
  assert.ok(shown.length <= 60);
  assert.ok(shown.endsWith('.exe'));
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
    checkManifest([{ path: portable, kind: 'file', size: 0 }]);
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
