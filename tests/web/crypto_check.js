// @ts-check
// Runs in a real browser, for test_crypto_in_browsers.py: the golden vectors of CPace and sealing,
// and posts the differences back. (Node runs the same vectors; browsers have their own X25519.)

import { Pake, passwordBytes, scalarMultVfy } from '/web/client/security/pake.js';
import { Sealer, checkReveal, openLinkSas } from '/web/client/security/sealing.js';

/** @type {string[]} */
const differences = [];
let compared = 0;

/** @param {string} what @param {unknown} made @param {unknown} golden */
function compare(what, made, golden) {
  compared += 1;
  if (JSON.stringify(made) !== JSON.stringify(golden)) {
    differences.push(`${what}: ${JSON.stringify(made)} instead of ${JSON.stringify(golden)}`);
  }
}

/** @param {string} name @returns {Promise<any>} */
const load = async (name) => (await fetch(`/vectors/${name}`)).json();
const fromHex = (/** @type {string} */ text) =>
  Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
const toHex = (/** @type {Uint8Array} */ bytes) =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** @param {any} run @param {boolean} offerer */
const pakeOf = (run, offerer) =>
  Pake[offerer ? 'offerer' : 'answerer']({
    password: passwordBytes(run.password),
    room: run.room,
    link: run.link,
    ownId: offerer ? run.offerer : run.answerer,
    peerId: offerer ? run.answerer : run.offerer,
    scalar: fromHex(offerer ? run.offerer_scalar : run.answerer_scalar),
  });

async function check() {
  const draft = await load('cpace_draft.json');
  for (const { u, q } of draft.low_order.points) {
    const product = await scalarMultVfy(fromHex(draft.low_order.s), fromHex(u));
    compare(`X25519 of ${u}`, product && toHex(product), q);
  }
  const { runs, rejected } = await load('pake.json');
  for (const run of runs) {
    const [offerer, answerer] = [await pakeOf(run, true), await pakeOf(run, false)];
    const messages = offerer.messagesToSend();
    messages.push(...(await answerer.receive(messages[0])));
    messages.push(...(await offerer.receive(messages[1])));
    await answerer.receive(messages[2]);
    compare(`messages of ${run.password}`, messages, run.messages);
    for (const event of [offerer.nextEvent(), answerer.nextEvent()]) {
      const keys = event?.type === 'done' ? event.keys : null;
      compare(`sas of ${run.password}`, keys?.sas, run.keys.sas);
      compare(`resume of ${run.password}`, keys && toHex(keys.resume), run.keys.resume);
    }
  }
  for (const { due, text, reason } of rejected) {
    const machine = await pakeOf(runs[0], due === 2);
    if (due === 3) await machine.receive(runs[0].messages[0]);
    await machine.receive(text);
    const event = machine.nextEvent();
    compare(`${due} ${text}`, event?.type === 'failed' && event.reason, reason);
  }
  const sealing = await load('sealing.json');
  const keys = {
    sealOfferer: fromHex(sealing.keys.seal_offerer),
    sealAnswerer: fromHex(sealing.keys.seal_answerer),
    resume: new Uint8Array(32),
    sas: [],
  };
  for (const role of ['offerer', 'answerer']) {
    const sender = new Sealer(keys, { offerer: role === 'offerer' });
    const receiver = new Sealer(keys, { offerer: role !== 'offerer' });
    for (const { envelope, plaintext, data } of sealing[role]) {
      compare('sealed', await sender.seal(envelope, plaintext), data);
      const opened = await receiver.open(envelope, data);
      compare('opened', new TextDecoder().decode(opened), plaintext);
    }
  }
  const { commit, reveal, nonce } = sealing.commitment;
  compare('reveal', toHex(await checkReveal(commit, reveal)), nonce);
  const open = sealing.open_link;
  const sas = await openLinkSas({
    offererNonce: fromHex(open.offerer_nonce),
    answererNonce: fromHex(open.answerer_nonce),
    offererFingerprint: fromHex(open.offerer_fingerprint),
    answererFingerprint: fromHex(open.answerer_fingerprint),
  });
  compare('open link', sas, open.sas);
}

try {
  await check();
} catch (error) {
  differences.push(`${String(error)} ${error instanceof Error ? error.stack : ''}`);
}
await fetch('/result', { method: 'POST', body: JSON.stringify({ compared, differences }) });
