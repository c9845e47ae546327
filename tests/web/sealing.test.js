// @ts-check
import assert from 'node:assert/strict';
import test from 'node:test';

import { Problem } from '../../web/client/problems.js';
import {
  MAX_PLAINTEXT,
  NoWebCrypto,
  SealError,
  Sealer,
  b64uDecode,
  b64uEncode,
  checkReveal,
  commitment,
  deriveLinkKeys,
  lvCat,
  openLinkSas,
  sasWords,
} from '../../web/client/security/sealing.js';
import { WORDS } from '../../web/client/security/words.js';
import { fromHex, vectors as load, toHex } from './support/vectors.js';

const vectors = load('sealing');
const draft = load('cpace_draft');

const envelope = { from: 'p-0001', to: 'p-0002', link: 'l', gen: 0, kind: 'offer' };
const text = (/** @type {Uint8Array} */ bytes) => new TextDecoder().decode(bytes);

async function pair() {
  const keys = await deriveLinkKeys(fromHex(vectors.isk));
  return [new Sealer(keys, { offerer: true }), new Sealer(keys, { offerer: false })];
}

test('keys match the golden ones', async () => {
  const keys = await deriveLinkKeys(fromHex(vectors.isk));
  assert.equal(toHex(keys.sealOfferer), vectors.keys.seal_offerer);
  assert.equal(toHex(keys.sealAnswerer), vectors.keys.seal_answerer);
  assert.equal(toHex(keys.resume), vectors.keys.resume);
  assert.deepEqual(keys.sas, vectors.keys.sas);
  await assert.rejects(deriveLinkKeys(new Uint8Array(63)), RangeError);
});

test('sealed signals match the golden ones', async () => {
  for (const role of ['offerer', 'answerer']) {
    const [offerer, answerer] = await pair();
    const [sender, receiver] = role === 'offerer' ? [offerer, answerer] : [answerer, offerer];
    for (const signal of vectors[role]) {
      assert.equal(await sender.seal(signal.envelope, signal.plaintext), signal.data);
      assert.equal(text(await receiver.open(signal.envelope, signal.data)), signal.plaintext);
    }
  }
});

test('calls that overlap keep their order', async () => {
  const [offerer, answerer] = await pair();
  const plaintexts = Array.from({ length: 40 }, (_, n) => 'x'.repeat((40 - n) * 500) + n);
  /** @type {string[]} */
  const settled = [];
  await Promise.all(
    plaintexts.map((plaintext) =>
      offerer.seal(envelope, plaintext).then((sealed) => settled.push(sealed)),
    ),
  );
  const opened = await Promise.all(settled.map((sealed) => answerer.open(envelope, sealed)));
  assert.deepEqual(opened.map(text), plaintexts);
});

test('an envelope that changes after the call does not change what is sealed', async () => {
  const [offerer, answerer] = await pair();
  const changing = { ...envelope };
  const sealing = offerer.seal(changing, 'x');
  changing.kind = 'bye';
  assert.equal(text(await answerer.open(envelope, await sealing)), 'x');
});

test('a signal in another envelope does not open', async () => {
  const [offerer, answerer] = await pair();
  const sealed = await offerer.seal(envelope, 'v=0');
  for (const changes of [
    { from: 'p-0003' },
    { to: 'p-0003' },
    { from: 'p-0002', to: 'p-0001' },
    { link: 'm' },
    { gen: 1 },
    { kind: 'answer' },
    { from: 'p-0001p', to: '-0002' },
  ]) {
    await assert.rejects(answerer.open({ ...envelope, ...changes }, sealed), SealError);
  }
  assert.equal(text(await answerer.open(envelope, sealed)), 'v=0');
});

test('no flipped bit goes unnoticed', async () => {
  const [offerer, answerer] = await pair();
  const sealed = b64uDecode(await offerer.seal(envelope, 'v=0'));
  for (let bit = 0; bit < sealed.length * 8; bit += 1) {
    const altered = sealed.slice();
    altered[bit >> 3] ^= 1 << (bit & 7);
    await assert.rejects(answerer.open(envelope, b64uEncode(altered)), SealError);
  }
  assert.equal(text(await answerer.open(envelope, b64uEncode(sealed))), 'v=0');
});

test('replays, late ones, reflections and clear text are refused', async () => {
  const [offerer, answerer] = await pair();
  const sealed = [];
  for (let n = 0; n < 5; n += 1) sealed.push(await offerer.seal(envelope, String(n)));
  assert.equal(text(await answerer.open(envelope, sealed[1])), '1');
  assert.equal(text(await answerer.open(envelope, sealed[3])), '3');
  for (const late of [0, 1, 2, 3]) {
    await assert.rejects(answerer.open(envelope, sealed[late]), SealError);
  }
  await assert.rejects(offerer.open(envelope, sealed[4]), SealError);
  for (const junk of ['', 'A', '{"sdp":"v=0"}', 'A'.repeat(32), 'A'.repeat(49153), '\ud800', 'é']) {
    await assert.rejects(answerer.open(envelope, junk), SealError);
  }
  assert.equal(text(await answerer.open(envelope, sealed[4])), '4');
});

test('the longest plaintext fits into a signal', async () => {
  const [offerer, answerer] = await pair();
  assert.equal(MAX_PLAINTEXT, vectors.max_plaintext);
  const sealed = await offerer.seal(envelope, new Uint8Array(MAX_PLAINTEXT));
  assert.equal(sealed.length, 48 * 1024);
  assert.equal((await answerer.open(envelope, sealed)).length, MAX_PLAINTEXT);
  await assert.rejects(offerer.seal(envelope, new Uint8Array(MAX_PLAINTEXT + 1)), SealError);
  // A refused signal leaves no gap and no broken queue.
  assert.equal(text(await answerer.open(envelope, await offerer.seal(envelope, 'next'))), 'next');
});

test('encodings match the golden cases and the draft', () => {
  assert.equal(toHex(lvCat(...draft.lv_cat.parts)), draft.lv_cat.joined);
  for (const { parts, joined } of vectors.lv_cat) {
    assert.equal(toHex(lvCat(...parts.map(fromHex))), joined);
  }
  for (const [hex, encoded] of Object.entries(vectors.b64u.valid)) {
    assert.equal(b64uEncode(fromHex(hex)), encoded);
    assert.equal(toHex(b64uDecode(encoded)), hex);
  }
  for (const invalid of vectors.b64u.invalid) assert.throws(() => b64uDecode(invalid), RangeError);
});

test('words are digits, least significant first', () => {
  const key = new Uint8Array(32);
  new DataView(key.buffer).setBigUint64(0, 5n + 7n * 1296n + 11n * 1296n ** 2n + 1296n ** 4n);
  assert.deepEqual(sasWords(key), [WORDS[5], WORDS[7], WORDS[11], WORDS[0]]);
});

test('words of an open link match the golden ones', async () => {
  const vector = vectors.open_link;
  const parts = {
    offererNonce: fromHex(vector.offerer_nonce),
    answererNonce: fromHex(vector.answerer_nonce),
    offererFingerprint: fromHex(vector.offerer_fingerprint),
    answererFingerprint: fromHex(vector.answerer_fingerprint),
  };
  assert.deepEqual(await openLinkSas(parts), vector.sas);
  for (const name of Object.keys(parts)) {
    const other = await openLinkSas({ ...parts, [name]: new Uint8Array(32) });
    assert.notDeepEqual(other, vector.sas);
    await assert.rejects(openLinkSas({ ...parts, [name]: new Uint8Array(31) }), RangeError);
  }
});

test('a revealed nonce is checked against its commitment', async () => {
  const { nonce, commit, reveal } = vectors.commitment;
  assert.equal(await commitment(fromHex(nonce)), commit);
  assert.equal(toHex(await checkReveal(commit, reveal)), nonce);
  for (const other of ['', 'A', 'A'.repeat(43), 'A'.repeat(42), b64uEncode(new Uint8Array(64))]) {
    await assert.rejects(
      checkReveal(commit, other),
      (/** @type {any} */ error) =>
        error instanceof Problem && error.code === 'verification_failed',
    );
  }
});

test('without WebCrypto there is a plain sentence', async () => {
  const descriptor = Object.getOwnPropertyDescriptor(globalThis, 'crypto');
  assert.ok(descriptor);
  for (const value of [undefined, {}]) {
    Object.defineProperty(globalThis, 'crypto', { value, configurable: true });
    try {
      await assert.rejects(
        commitment(new Uint8Array(32)),
        (/** @type {any} */ error) =>
          error instanceof NoWebCrypto && error.code === 'insecure_context' && !!error.action,
      );
    } finally {
      Object.defineProperty(globalThis, 'crypto', descriptor);
    }
  }
});
