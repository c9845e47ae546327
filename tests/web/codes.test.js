// @ts-check
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';

import {
  Code,
  CodeError,
  MAX_WORDS,
  RANDOM_BYTES,
  complete,
  makeWords,
  suggest,
} from '../../web/client/security/codes.js';
import { isSameServer, serverOf, unwrap } from '../../web/client/security/pasted.js';
import { Problem } from '../../web/client/problems.js';
import { WORDS } from '../../web/client/security/words.js';
import { fromHex, vectors as load, toHex } from './support/vectors.js';

const vectors = load('codes');

test('the words are those of the Python package', () => {
  const file = readFileSync(new URL('../../peer/security/words.py', import.meta.url), 'ascii');
  assert.deepEqual(
    WORDS,
    file.split('"""')[3].trim().split(/\s+/),
  );
  assert.equal(WORDS.length, 1296);
});

test('parsing matches the golden cases', () => {
  for (const { text, code, error } of vectors.parse) {
    if (code) {
      assert.equal(String(Code.parse(text)), code, JSON.stringify(text));
    } else {
      assert.throws(
        () => Code.parse(text),
        (/** @type {any} */ thrown) => thrown instanceof CodeError && thrown.message === error,
        `${JSON.stringify(text)}: ${error}`,
      );
    }
  }
});

test('the server that a link or a command names is found', () => {
  for (const { text, server } of vectors.server) assert.equal(unwrap(text).server, server, text);
});

test('the address of a server that was named is one that can be opened', () => {
  const said = {
    'https://Host.example:8443/p/#7-guitar-ocean': 'https://host.example:8443/p/',
    'wss://host/#7-guitar-ocean': 'https://host/',
    'host.example/#7-guitar-ocean': 'https://host.example/',
    'localhost:8080/#7-guitar-ocean': 'http://localhost:8080/',
    'https:/host.example/#7-guitar-ocean': 'https://https/host.example/',
    '7-guitar-ocean': undefined,
  };
  for (const [text, href] of Object.entries(said)) assert.equal(serverOf(text)?.href, href, text);
});

test('a code of a server that cannot be opened is refused, not tried here', () => {
  for (const server of ['javascript://x', 'file:///etc', 'https://%', 'host:99999', 'a@b:c'])
    assert.throws(() => serverOf(`${server}/#7-guitar-ocean`), { code: 'other_server' }, server);
});

test('servers are told apart by host and folder', () => {
  const here = new URL('https://host/p/');
  for (const same of ['https://HOST/p', 'http://host/p/index.html', 'https://host:443/p/v1/ws'])
    assert.ok(isSameServer(new URL(same), here), same);
  for (const other of ['https://host/', 'https://host/q/', 'https://host:8443/p/', 'https://x.host/p/'])
    assert.ok(!isSameServer(new URL(other), here), other);
});

test('a text that is no code is a problem for the person', () => {
  assert.throws(
    () => Code.parse('nonsense'),
    (/** @type {any} */ thrown) =>
      thrown instanceof Problem && thrown.code === 'bad_code' && thrown.sentence === thrown.message,
  );
});

test('a code reads back as itself', () => {
  for (let at = 0; at < WORDS.length; at += 1) {
    const code = new Code(String(at + 1), [WORDS[at], WORDS[WORDS.length - 1 - at]]);
    assert.equal(String(Code.parse(String(code))), String(code));
  }
});

test('the whole code is the password', () => {
  assert.equal(toHex(Code.parse(vectors.password.code).password), vectors.password.hex);
});

test('links carry the code in the fragment', () => {
  for (const [base, link] of Object.entries(vectors.link)) {
    assert.equal(Code.parse('7-guitar-ocean').link(base), link);
  }
});

test('made words match the golden ones', () => {
  for (const { random, count, words } of vectors.make_words) {
    assert.deepEqual(makeWords(fromHex(random), count), words);
  }
  assert.equal(makeWords(new Uint8Array(RANDOM_BYTES)).length, 2);
});

test('impossible wishes for words are refused', () => {
  const random = new Uint8Array(RANDOM_BYTES);
  for (const count of [0, 1, MAX_WORDS + 1, NaN]) {
    assert.throws(() => makeWords(random, count), RangeError);
  }
  assert.throws(() => makeWords(random.slice(1)), RangeError);
});

test('completing and suggesting match the golden cases', () => {
  for (const [prefix, words] of Object.entries(vectors.complete)) {
    assert.deepEqual(complete(prefix), words);
  }
  for (const [text, word] of Object.entries(vectors.suggest)) {
    assert.equal(suggest(text), word, text);
  }
  assert.deepEqual(complete(''), WORDS);
});

test('secret words do not show when a code is logged', () => {
  const code = Code.parse('7-guitar-ocean');
  assert.ok(!JSON.stringify(code).includes('guitar'));
  assert.deepEqual(Object.keys(code), ['number']);
});

test('a number from a server is checked', () => {
  for (const number of ['', '0', '07', '-1', 'x', '7\n', '1234567890', '٣']) {
    assert.throws(() => new Code(number, ['guitar', 'ocean']), CodeError);
  }
});
