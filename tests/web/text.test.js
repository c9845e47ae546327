// @ts-check
// The shown form of other people's names and texts.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { exceeds, fitName, fitText, isHidden, showName } from '../../web/client/text.js';
import { vectors } from './support/vectors.js';

const golden = vectors('text');

test('the hidden characters are those of the table', () => {
  const ranges = [];
  let low = -1;
  for (let code = 0; code <= 0x110000; code += 1) {
    const hidden = code < 0x110000 && isHidden(String.fromCodePoint(code));
    if (hidden && low < 0) low = code;
    if (!hidden && low >= 0) {
      ranges.push([low, code - 1]);
      low = -1;
    }
  }
  assert.deepEqual(ranges, golden.hidden);
});

test('names are cleaned', () => {
  for (const { text, fit } of golden.names) {
    assert.equal(fitName(text), fit, JSON.stringify(text));
    assert.equal(fitName(fit), fit);
  }
  for (const none of [{}, null, undefined, 7]) assert.equal(fitName(none), '');
});

test('a long name of blanks is cleaned at once', () => {
  const begun = performance.now();
  assert.equal(fitName(`x${' \u200b'.repeat(100_000)}x`), 'x');
  assert.ok(performance.now() - begun < 1000); // a quadratic search took 20 s
});

test('texts are cleaned', () => {
  for (const { text, fit } of golden.texts) assert.equal(fitText(text), fit, JSON.stringify(text));
});

test('names of files are spelled out', () => {
  for (const { text, shown } of golden.shown) assert.equal(showName(text), shown);
});

test('a long name loses its middle, not its end', () => {
  const shown = showName(`${'a'.repeat(500)}.exe`, 60);
  assert.ok(shown.length <= 60);
  assert.ok(shown.endsWith('.exe'));
  assert.deepEqual([1, 2, 3].map((limit) => showName('abcdef', limit)), ['…', 'a…', 'a…f']);
});

test('bytes are counted as UTF-8', () => {
  for (const [text, size] of /** @type {const} */ ([['', 0], ['abc', 3], ['\u00e9', 2], ['\u2603', 3], ['\u{1f600}', 4]]))
    assert.deepEqual([exceeds(text, size), size > 0 && exceeds(text, size - 1)], [false, size > 0]);
});
