// A hostile peer and a hostile server, from a seeded generator. Their messages end one link at
// most, with a known reason, and cause no uncaught exception.
//
// The environment variable PEERLINE_FUZZ=1000000 makes it a long run.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';

import { Room } from '../../web/client/room/room.js';
import { World, once } from './support/world.js';

/** @typedef {import('../../web/client/problems.js').Problem} Problem */
/** @typedef {import('../../web/client/transfer/engine/base.js').Incoming} Incoming */

const COUNT = Number(process.env.PEERLINE_FUZZ ?? 3000);

/** @type {World} */
let world;
/** @type {Room[]} */
let rooms;
/** Uncaught errors, and faults of ours. @type {unknown[]} */
let faults;
const report = console.error;
const uncaught = (/** @type {unknown} */ error) => faults.push(error);

beforeEach(() => {
  world = new World().install();
  rooms = [];
  faults = [];
  console.error = uncaught;
  process.on('unhandledRejection', uncaught);
});
afterEach(async () => {
  for (const room of rooms) await room.close();
  await pause(5);
  console.error = report;
  process.off('unhandledRejection', uncaught);
  assert.deepEqual(faults, []);
  assert.equal(world.connections.size, 0, 'a connection outlived its room');
});

const pause = (time = 0) => new Promise((resolve) => setTimeout(resolve, time));

function track(/** @type {Room} */ room) {
  rooms.push(room);
  return room;
}

/** @typedef {ReturnType<typeof generator>} Generator */
/** @typedef {{t?: string, [field: string]: unknown}} Message */

/** Mulberry32: the same numbers for the same seed. */
function generator(/** @type {number} */ seed) {
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (/** @type {number} */ most) => Math.floor(next() * most);
  /**
   * @template Item
   * @param {readonly Item[]} list
   */
  const pick = (list) => list[below(list.length)];
  return { below, pick };
}

const ODD = [
  ...[null, true, 0, -1, 1, 1.5, 2 ** 31, 2 ** 32, 2 ** 53, 1e308, '', 'x', '__proto__', 'constructor'],
  ...['<img src=x onerror=alert(1)>', '\u202e\u0000\ud800', 'a'.repeat(5000), '../../x', 'C:\\x', [], {}],
  ...[[[]], [[0, 0]], [[0, 2 ** 31]], [[1, 0]], [null], { t: 'hello' }, [{ path: 'x', kind: 'file', size: 1 }]],
  ...[[{ path: 'x', kind: 'link', target: '/' }], Array(5000).fill(0), [[0, [[0, 0]]]], [[0, [[0, 4096]]]]],
];
const HEX = 'ab'.repeat(32);

/** Valid messages, to be mutated. */
const CONTROL = [
  { t: 'hello', version: 1, name: 'x', agent: 'x' },
  { t: 'ping', n: 1 },
  { t: 'pong', n: 1 },
  { t: 'unread', channel: 1 },
  { t: 'offer', transfer: 1, files: 1, bytes: 5, version: 2, entries: [{ path: 'f', kind: 'file', size: 5 }] },
  { t: 'offer', transfer: 3, files: 2, bytes: 5, entries: [{ path: 'f', kind: 'file', size: 5 }], more: true },
  { t: 'offer_more', transfer: 3, entries: [{ path: 'g', kind: 'file', size: 0 }] },
  { t: 'accept', transfer: 0, window: 4, version: 2 },
  { t: 'have', transfer: 0, have: [[0, [[0, 0]]]] },
  { t: 'decline', transfer: 0, code: 'refused', message: '' },
  { t: 'ack', transfer: 0, file: 0, segments: [[0, 0]] },
  { t: 'file_done', transfer: 0, file: 0, digest: HEX },
  { t: 'files_done', transfer: 0, files: [[0, 0]], digest: HEX },
  { t: 'skip', transfer: 1, file: 0, reason: 'x' },
  { t: 'done', transfer: 0, files: 1, bytes: 5 },
  { t: 'retry', transfer: 0, file: 0, segment: 0 },
  { t: 'cancel', transfer: 0, code: 'cancelled', message: '' },
];
const CHAT = [
  { t: 'message', id: 1, text: 'x', at: 0 },
  { t: 'delivered', id: 1 },
];

/** The last offered transfer. */
let latest = -1;

/**
 * One of the given messages, perhaps with a field of another type, or without one.
 *
 * @param {Generator} random
 * @param {readonly Message[]} messages
 */
function spoiled({ below, pick }, messages) {
  const message = structuredClone(pick(messages));
  // An offer is read only if its id is new.
  if (message.t === 'offer') message.transfer = latest += 2;
  else if (typeof message.transfer === 'number' && message.transfer % 2) message.transfer = latest;
  for (let times = below(2) * below(3); times > 0; times -= 1) {
    const key = pick(Object.keys(message).concat('transfer', 'more', 'x'));
    if (below(5) === 0) delete message[key];
    else message[key] = below(3) ? below(8) : pick(ODD);
  }
  const text = JSON.stringify(message);
  if (below(20) > 0) return text;
  const at = below(text.length);
  return text.slice(0, at) + pick(['', '"', '{', '\u0000', '9'.repeat(400)]) + text.slice(at + below(4));
}

/** A frame of the blocks channel: a nearly valid header, and some bytes. */
function frame(/** @type {Generator} */ { below }) {
  const data = new Uint8Array(below(3) ? 16 + below(120) : below(16));
  for (let i = 0; i < data.length; i += 1) data[i] = below(4) ? below(4) : below(256);
  // For the last offered transfer, and its first file.
  if (data.length > 12 && below(3)) data.set([1 + below(4), 0, 0, 0, 0, 0, latest >> 8, latest, 0, 0, 0, 0]);
  return data;
}

/** Two links; the second one's channels, for sending arbitrary messages. */
async function linked() {
  const host = track(await Room.host({ name: 'Anna' }));
  const joined = track(await Room.join({ code: String(host.code), name: 'Bob' }));
  const [anna] = await Promise.all([once(host, 'link'), once(joined, 'link')]);
  const theirs = [...world.connections.values()][1];
  return { host, joined, anna, channels: [0, 1, 2].map((id) => theirs.channel(id)) };
}

test('a message of a connected peer ends its link at most, with a reason', async () => {
  const random = generator(1);
  /** @type {Awaited<ReturnType<typeof linked>> | undefined} */
  let pair;
  /** @type {Promise<Problem> | undefined} */
  let ended;
  for (let sent = 0; sent < COUNT; sent += 1) {
    if (!pair || sent % 300 === 0 || pair.anna.state === 'closed' || pair.channels[0].readyState !== 'open') {
      if (pair) {
        if (pair.anna.state === 'closed') {
          const reason = (await ended)?.code ?? '';
          assert.ok(['bye', 'lost', 'protocol', 'verification_failed'].includes(reason), reason);
        }
        for (const room of [pair.host, pair.joined]) await room.close();
        rooms = [];
      }
      pair = await linked();
      const { anna } = pair;
      ended = once(anna, 'closed');
      latest = -1;
      // Some offers are accepted, and a transfer runs in the other direction.
      anna.addEventListener('offer', (/** @type {CustomEvent<Incoming>} */ { detail }) => {
        if (random.below(2)) detail.accept().catch(() => {});
      });
      await anna.sendFiles([new File(['hello'], '<b>f</b>')]);
    }
    const which = random.below(4);
    const data = which === 2 ? frame(random) : spoiled(random, which === 1 ? CHAT : CONTROL);
    pair.channels[which % 3].send(data);
    if (random.below(20) === 0) await pause();
  }
});

test('malformed signals end one attempt at most, and spend one code at most', async () => {
  const random = generator(2);
  const kinds = ['offer', 'answer', 'candidate', 'end_of_candidates', 'restart', 'bye', 'x'];
  const share = Buffer.alloc(32, 9).toString('base64url');
  const tag = Buffer.alloc(64, 9).toString('base64url');
  const bodies = [
    ...[{ step: 1, share }, { step: 2, share, tag }, { step: 3, tag }, { code: 'wrong_code' }],
    ...[{ code: 'password_mismatch' }, { code: 'no_path' }, { code: 'verification_failed' }],
    ...[{ code: 'too_many_guesses' }, { candidate: 'candidate:1 1 udp 1 10.0.0.1 1 typ host' }],
    ...[{ sdp: 'v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel', commit: 'x' }, { reason: 'x' }],
  ];
  let confirmed = 0;
  for (let round = 0; round < COUNT / 60; round += 1) {
    const host = track(await Room.host({ name: 'Anna' }));
    const from = world.signals.length;
    const push = (/** @type {object} */ message) => world.deliver({ ...message, to: world.peersOf(host).at(0)?.peer });
    const strangers = ['00000000', 'ffffffff', 'fffffffe'];
    for (let step = 0; step < 12; step += 1) {
      const peer = random.pick(strangers);
      if (random.below(3) === 0) {
        push({ t: 'peer', event: random.pick(['joined', 'left']), peer, name: random.pick(['x', null]) });
      } else {
        const data = spoiled(random, random.below(2) ? bodies : bodies.slice(0, 3));
        const kind = data.includes('"share"') && random.below(6) ? 'pake' : random.pick(kinds);
        const link = random.below(3) ? 'L' : 'M';
        push({ t: 'signal', from: peer, link, gen: random.below(3), kind, data });
      }
      if (random.below(2)) await pause();
    }
    await pause(2);
    const own = world.signals.slice(from).filter(({ kind, data }) => kind === 'pake' && data.includes('"tag"'));
    assert.ok(own.length <= 1, 'more than one confirmation of one code');
    confirmed += own.length;
    await host.close();
    rooms = [];
  }
  assert.ok(confirmed > 0, 'nobody was ever answered');
});

for (const [stage, kind] of [['before the proof', 'pake'], ['before the offer', 'offer'], ['before the answer', 'answer']]) {
  test(`a goodbye that the server makes up ${stage} costs a code at most`, async () => {
    for (const code of ['no_path', 'verification_failed', 'bye', 'too_many_guesses', 'wrong_code', '\u0000']) {
      world.tamper = (signal) => {
        if (signal.kind !== kind) return [signal];
        const bye = { ...signal, kind: 'bye', data: JSON.stringify({ code }) };
        return [bye, { ...bye, from: signal.to, to: signal.from }, signal];
      };
      const host = track(await Room.host({ name: 'Anna' }));
      const joined = track(await Room.join({ code: String(host.code) }));
      const outcome = (/** @type {Room} */ room) =>
        Promise.race([once(room, 'link').then(() => 'linked'), once(room, 'error').then((problem) => problem.code)]);
      const outcomes = await Promise.all([outcome(host), outcome(joined)]);
      // Once there is a key, a `bye` that is not sealed is ignored.
      if (kind !== 'pake') assert.deepEqual(outcomes, ['linked', 'linked']);
      assert.ok(!outcomes.includes('unexpected') && !outcomes.includes('verification_failed'), outcomes.join());
      for (const room of [host, joined]) await room.close();
      rooms = [];
    }
  });
}
