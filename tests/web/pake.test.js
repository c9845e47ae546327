// @ts-check
import assert from 'node:assert/strict';
import test from 'node:test';

import {
  Pake,
  elligator2,
  generator,
  generatorString,
  passwordBytes,
  scalarMultVfy,
} from '../../web/client/security/pake.js';
import { NoWebCrypto, b64uEncode } from '../../web/client/security/sealing.js';
import { fromHex, vectors as load, toHex } from './support/vectors.js';

const vectors = load('pake');
const draft = load('cpace_draft');
const [run] = vectors.runs;

/** @param {any} inputs */
const offererOf = (inputs) =>
  Pake.offerer({
    password: passwordBytes(inputs.password),
    room: inputs.room,
    link: inputs.link,
    ownId: inputs.offerer,
    peerId: inputs.answerer,
    scalar: fromHex(inputs.offerer_scalar),
  });

/** @param {any} inputs */
const answererOf = (inputs) =>
  Pake.answerer({
    password: passwordBytes(inputs.password),
    room: inputs.room,
    link: inputs.link,
    ownId: inputs.answerer,
    peerId: inputs.offerer,
    scalar: fromHex(inputs.answerer_scalar),
  });

/** @param {number} due */
async function waitingFor(due) {
  if (due === 2) {
    const offerer = await offererOf(run);
    offerer.messagesToSend();
    return offerer;
  }
  const answerer = await answererOf(run);
  if (due === 3) await answerer.receive(run.messages[0]);
  return answerer;
}

test("generator is the draft's", async () => {
  const [prs, ci, sid] = [draft.PRS, draft.CI, draft.sid].map(fromHex);
  assert.equal(toHex(generatorString(prs, ci, sid)), draft.generator_string);
  assert.equal(toHex(await generator(prs, ci, sid)), draft.g);
});

test("shares and secret are the draft's", async () => {
  const vector = Object.fromEntries(
    ['ya', 'yb', 'g', 'Ya', 'Yb'].map((name) => [name, fromHex(draft[name])]),
  );
  const product = async (/** @type {Uint8Array} */ y, /** @type {Uint8Array} */ point) =>
    toHex((await scalarMultVfy(y, point)) ?? new Uint8Array());
  assert.equal(await product(vector.ya, vector.g), draft.Ya);
  assert.equal(await product(vector.yb, vector.g), draft.Yb);
  assert.equal(await product(vector.ya, vector.Yb), draft.K);
  assert.equal(await product(vector.yb, vector.Ya), draft.K);
});

test('points of low order are those of the draft', async () => {
  for (const { u, q } of draft.low_order.points) {
    const product = await scalarMultVfy(fromHex(draft.low_order.s), fromHex(u));
    assert.equal(product && toHex(product), q, u);
  }
});

test('elligator2 matches the golden cases', () => {
  for (const { r, u } of vectors.elligator2) assert.equal(toHex(elligator2(BigInt(`0x${r}`))), u);
});

test('runs match the golden ones', async () => {
  for (const golden of vectors.runs) {
    const [offerer, answerer] = [await offererOf(golden), await answererOf(golden)];
    const first = offerer.messagesToSend();
    assert.deepEqual(answerer.messagesToSend(), []);
    const second = await answerer.receive(first[0]);
    const third = await offerer.receive(second[0]);
    assert.deepEqual(await answerer.receive(third[0]), []);
    assert.deepEqual([...first, ...second, ...third], golden.messages);
    for (const event of [offerer.nextEvent(), answerer.nextEvent()]) {
      assert.ok(event?.type === 'done');
      assert.deepEqual(
        {
          seal_offerer: toHex(event.keys.sealOfferer),
          seal_answerer: toHex(event.keys.sealAnswerer),
          resume: toHex(event.keys.resume),
          sas: event.keys.sas,
        },
        golden.keys,
      );
    }
    assert.equal(offerer.nextEvent(), null);
  }
});

test('fresh scalars lead to fresh shares and the same keys', async () => {
  const inputs = { password: passwordBytes('x'), room: 'r', link: 'l' };
  const offerer = await Pake.offerer({ ...inputs, ownId: 'a', peerId: 'b' });
  const answerer = await Pake.answerer({ ...inputs, ownId: 'b', peerId: 'a' });
  const other = await Pake.offerer({ ...inputs, ownId: 'a', peerId: 'b' });
  const [first] = offerer.messagesToSend();
  assert.notEqual(first, other.messagesToSend()[0]);
  const [second] = await answerer.receive(first);
  const [third] = await offerer.receive(second);
  await answerer.receive(third);
  assert.deepEqual(offerer.nextEvent(), answerer.nextEvent());
});

test('a wrong code fails on both sides', async () => {
  const offerer = await offererOf({ ...run, password: '7-guitar-olympics' });
  const answerer = await answererOf(run);
  const [second] = await answerer.receive(offerer.messagesToSend()[0]);
  assert.deepEqual(await offerer.receive(second), []);
  const failed = offerer.nextEvent();
  assert.ok(failed?.type === 'failed');
  assert.equal(failed.reason, 'wrong_code');
  assert.equal(failed.bye, '{"code":"wrong_code"}');
  assert.equal(failed.problem.code, 'wrong_code');
  await answerer.receiveBye(failed.bye);
  const told = answerer.nextEvent();
  assert.ok(told?.type === 'failed');
  assert.equal(told.reason, 'wrong_code');
  assert.equal(told.bye, null);
});

test('a bad message fails the run with its reason', async () => {
  for (const { due, text, reason } of vectors.rejected) {
    const machine = await waitingFor(due);
    assert.deepEqual(await machine.receive(text), []);
    const failed = machine.nextEvent();
    assert.ok(failed?.type === 'failed', `${due} ${text}`);
    assert.equal(failed.reason, reason, `${due} ${text}`);
    assert.ok(failed.detail);
    // The run stays failed.
    for (const message of run.messages) assert.deepEqual(await machine.receive(message), []);
    assert.equal(machine.nextEvent(), null);
  }
});

test('messages that arrive while another is being worked on wait for it', async () => {
  const answerer = await answererOf(run);
  const [second, nothing] = await Promise.all([
    answerer.receive(run.messages[0]),
    answerer.receive(run.messages[2]),
  ]);
  assert.deepEqual([...second, ...nothing], [run.messages[1]]);
  assert.equal(answerer.nextEvent()?.type, 'done');
});

test('messages after the end change nothing', async () => {
  const offerer = await offererOf(run);
  offerer.messagesToSend();
  await offerer.receive(run.messages[1]);
  assert.equal(offerer.nextEvent()?.type, 'done');
  assert.deepEqual(await offerer.receive(run.messages[1]), []);
  assert.deepEqual(await offerer.receive('garbage'), []);
  await offerer.receiveBye('{"code":"wrong_code"}');
  assert.equal(offerer.nextEvent(), null);
});

test('a goodbye ends the run', async () => {
  for (const [text, reason] of [
    ['{"code":"wrong_code"}', 'wrong_code'],
    ['{"code":"pake_failed"}', 'peer_gave_up'],
    ['{}', 'peer_gave_up'],
    ['', 'peer_gave_up'],
    ['null', 'peer_gave_up'],
    ['['.repeat(100_000), 'peer_gave_up'],
  ]) {
    for (const due of [1, 2, 3]) {
      const machine = await waitingFor(due);
      await machine.receiveBye(text);
      const failed = machine.nextEvent();
      assert.ok(failed?.type === 'failed');
      assert.equal(failed.reason, reason);
      assert.equal(failed.bye, null);
    }
  }
});

test('our own share sent back fails', async () => {
  const offerer = await offererOf(run);
  const { share } = JSON.parse(offerer.messagesToSend()[0]);
  await offerer.receive(JSON.stringify({ step: 2, share, tag: b64uEncode(new Uint8Array(64)) }));
  const failed = offerer.nextEvent();
  assert.ok(failed?.type === 'failed' && failed.reason === 'reflected');
});

test('a scalar has 32 bytes', async () => {
  await assert.rejects(offererOf({ ...run, offerer_scalar: '00' }), RangeError);
});

test('passwords typed on different keyboards are the same', () => {
  assert.deepEqual(passwordBytes('u\u0308'), passwordBytes('\u00fc'));
});

/**
 * Makes imports of one format fail while `body` runs.
 *
 * @param {string} format @param {string} name of the exception @param {() => Promise<void>} body
 */
async function withFailingImport(format, name, body) {
  const subtle = globalThis.crypto.subtle;
  const original = /** @type {(...args: unknown[]) => Promise<CryptoKey>} */ (
    subtle.importKey.bind(subtle)
  );
  /** @param {unknown[]} args */
  const value = (...args) =>
    args[0] === format && args[2] === 'X25519'
      ? Promise.reject(new DOMException('no', name))
      : original(...args);
  Object.defineProperty(subtle, 'importKey', { value, configurable: true });
  try {
    await body();
  } finally {
    Object.defineProperty(subtle, 'importKey', { value: original, configurable: true });
  }
}

test('without X25519 there is a plain sentence', async () => {
  await withFailingImport('pkcs8', 'NotSupportedError', async () => {
    await assert.rejects(
      offererOf(run),
      (/** @type {any} */ error) => error instanceof NoWebCrypto && /too old/.test(error.sentence),
    );
  });
});

test('a point that is refused when it is imported, as in Firefox, is of low order', async () => {
  const answerer = await answererOf(run);
  await withFailingImport('raw', 'DataError', async () => {
    await answerer.receive(run.messages[0]);
  });
  const failed = answerer.nextEvent();
  assert.ok(failed?.type === 'failed' && failed.reason === 'low_order');
});
