// @ts-check
// One side of a link over stdin and stdout, for test_pake_across.py: proves the code, then seals and
// opens signals. A line is a signal, {kind, data}; lines about its state have the kinds `done`,
// `opened`, `dropped` and `failed`.
//
//     node pake_peer.js '{"code": "7-guitar-ocean", "offerer": true, "ownId": ..., ...}'

import { createInterface } from 'node:readline';

import { Code } from '../../web/client/security/codes.js';
import { Pake } from '../../web/client/security/pake.js';
import { Sealer } from '../../web/client/security/sealing.js';

const { code: typed, offerer, ownId, peerId, link } = JSON.parse(process.argv[2]);
const code = Code.parse(typed);

/** @param {string} kind @param {unknown} data */
function write(kind, data) {
  process.stdout.write(`${JSON.stringify({ kind, data })}\n`);
}

const inputs = { password: code.password, room: code.number, link, ownId, peerId };
const pake = await (offerer ? Pake.offerer(inputs) : Pake.answerer(inputs));
let sealer = /** @type {Sealer | null} */ (null);

/** @param {string[]} messages */
async function settle(messages) {
  for (const message of messages) write('pake', message);
  const event = pake.nextEvent();
  if (event?.type === 'failed') {
    if (event.bye) write('bye', event.bye);
    write('failed', event.reason);
  } else if (event?.type === 'done') {
    sealer = new Sealer(event.keys, { offerer });
    write('done', event.keys.sas);
    for (const text of ['one', 'zwei \u00fc', '\u{1f30a}']) {
      const envelope = { from: ownId, to: peerId, link, gen: 0, kind: 'candidate' };
      write('candidate', await sealer.seal(envelope, text));
    }
  }
}

await settle(pake.messagesToSend());
for await (const line of createInterface({ input: process.stdin })) {
  const { kind, data } = JSON.parse(line);
  if (kind === 'pake') await settle(await pake.receive(data));
  else if (sealer) {
    try {
      const envelope = { from: peerId, to: ownId, link, gen: 0, kind };
      write('opened', new TextDecoder().decode(await sealer.open(envelope, data)));
    } catch (error) {
      write('dropped', String(error));
    }
  } else {
    await pake.receiveBye(data);
    await settle([]);
  }
}
