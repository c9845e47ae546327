// Whole rooms and links: two pages in one process, with an honest server and with hostile ones.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';

import { Problem } from '../../web/client/problems.js';
import { Room } from '../../web/client/room/room.js';
import { problemOfClose, problemOfError } from '../../web/client/server/signaling.js';
import { World, once } from './support/world.js';

/** @typedef {import('../../web/client/link/link.js').Link} Link */
/** @typedef {import('../../web/client/transfer/engine/base.js').Incoming} Incoming */
/** @typedef {import('../../web/client/transfer/engine/base.js').Outgoing} Outgoing */
/** @typedef {import('./support/world.js').FakePeerConnection} FakePeerConnection */

/** @type {World} */
let world;
/** @type {Room[]} */
let rooms;

beforeEach(() => {
  world = new World().install();
  rooms = [];
});
afterEach(async () => {
  for (const room of rooms) await room.close();
  assert.equal(world.connections.size, 0, 'a connection outlived its room');
});

function track(/** @type {Room} */ room) {
  rooms.push(room);
  return room;
}

async function pair(code = (/** @type {Room} */ room) => String(room.code)) {
  const host = track(await Room.host({ name: 'Anna' }));
  const joined = track(await Room.join({ code: code(host), name: 'Bob' }));
  return [host, joined];
}

async function linked() {
  const [host, joined] = await pair();
  return Promise.all([once(host, 'link'), once(joined, 'link')]);
}

const outcome = (/** @type {Room} */ room) =>
  Promise.race([
    once(room, 'link').then(() => 'linked'),
    once(room, 'error').then(({ code }) => code),
  ]);
const refused = (/** @type {string} */ code) => (/** @type {unknown} */ error) =>
  error instanceof Problem && error.code === code;
const wrong = (/** @type {Room} */ room) =>
  String(room.code).replace(/[a-z]+$/, (word) => (word === 'abdomen' ? 'aardvark' : 'abdomen'));

test('a code connects two sides that see the same words', async () => {
  const [anna, bob] = await linked();
  assert.deepEqual(anna.sas, bob.sas);
  assert.equal(anna.sas.length, 4);
  assert.ok(anna.authenticated && bob.authenticated);
  assert.equal(anna.peer.name, 'Bob');
  assert.equal(bob.peer.name, 'Anna');
  assert.match(bob.peer.agent, /^peerline\/.* page$/);
  assert.deepEqual((await anna.path()).kind, 'direct');
});

test('the server sees neither addresses nor certificates', async () => {
  await linked();
  const kinds = new Set(world.signals.map(({ kind }) => kind));
  assert.ok(
    ['pake', 'offer', 'answer', 'candidate', 'end_of_candidates'].every((kind) => kinds.has(kind)),
  );
  for (const { data } of world.signals)
    assert.ok(!/fingerprint|candidate|10\.0\.0\.1|m=/.test(data));
});

test('candidates are used at any time of their arrival', async () => {
  await linked();
  const connections = [...world.connections.values()];
  await until(() => connections.every(({ iceCandidates }) => iceCandidates.length > 0));
  for (const { iceCandidates } of connections) assert.equal(iceCandidates.length, 1);
});

test('a wrong word stops both sides, and the code is spent', async () => {
  const [host, joined] = await pair(wrong);
  assert.deepEqual(await Promise.all([outcome(host), outcome(joined)]), [
    'wrong_code',
    'wrong_code',
  ]);
  assert.equal(host.state, 'closed');
});

test('a second peer at a used code gets no second guess', async () => {
  const [host, joined] = await pair(wrong);
  /** @type {Link[]} */
  const meetings = [];
  host.addEventListener('connecting', ({ detail }) => meetings.push(detail));
  await Promise.all([outcome(host), outcome(joined)]);
  world.deliver({ t: 'peer', event: 'joined', peer: '00000099', to: '00000001' });
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(meetings.length, 1);
});

test('an invalid code is refused before anything is sent', async () => {
  await assert.rejects(Room.join({ code: 'hello' }), refused('bad_code'));
  assert.equal(world.rooms.size, 0);
});

test('an unknown code and a used code have different errors', async () => {
  await assert.rejects(Room.join({ code: '9-abdomen-aardvark' }), refused('no_such_room'));
  const [host] = await pair();
  await once(host, 'link');
  await assert.rejects(Room.join({ code: String(host.code) }), refused('room_full'));
});

// An attacker on the server

test('a server that swaps the fingerprint causes only a failed connection', async () => {
  world.tamper = (signal) =>
    signal.kind === 'offer'
      ? [{ ...signal, data: JSON.stringify({ sdp: 'v=0\r\na=fingerprint:sha-256 AA' }) }]
      : [signal];
  const [host, joined] = await pair();
  /** @type {Room[]} */
  const seen = [];
  for (const room of [host, joined]) room.addEventListener('link', () => seen.push(room));
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(seen, []);
});

test('a server that changes one letter of a sealed signal is not listened to', async () => {
  const flip = (/** @type {string} */ data) => data.slice(0, 30) + (data[30] === 'A' ? 'B' : 'A') + data.slice(31);
  world.tamper = (signal) =>
    signal.kind === 'pake' ? [signal] : [{ ...signal, data: flip(signal.data) }, signal];
  const [host, joined] = await pair();
  assert.deepEqual(await Promise.all([outcome(host), outcome(joined)]), ['linked', 'linked']);
});

test('a server that repeats and reorders sealed signals does no harm', async () => {
  world.tamper = (signal, server) => {
    const old = server.signals.filter(({ kind }) => kind !== 'pake').slice(-3, -1);
    return [signal, signal, ...old];
  };
  // A repeated step of the proof would end the attempt, with an error on both sides.
  const honest = world.tamper;
  world.tamper = (signal, server) => (signal.kind === 'pake' ? [signal] : honest(signal, server));
  const [host, joined] = await pair();
  assert.deepEqual(await Promise.all([outcome(host), outcome(joined)]), ['linked', 'linked']);
});

test('a server that moves a sealed signal to another kind is not listened to', async () => {
  world.tamper = (signal) =>
    signal.kind === 'candidate' ? [{ ...signal, kind: 'bye' }] : [signal];
  const [host, joined] = await pair();
  assert.deepEqual(await Promise.all([outcome(host), outcome(joined)]), ['linked', 'linked']);
});

test('a server that plays the other side without the words fails', async () => {
  world.tamper = (signal) => {
    if (signal.kind !== 'pake' || JSON.parse(signal.data).step !== 1) return [];
    const share = Buffer.alloc(32, 9).toString('base64url');
    const tag = Buffer.alloc(64).toString('base64url');
    return [
      {
        ...signal,
        from: signal.to,
        to: signal.from,
        data: JSON.stringify({ step: 2, share, tag }),
      },
    ];
  };
  const [host] = await pair();
  assert.equal(await outcome(host), 'wrong_code');
});

test('garbage from the server ends nothing', async () => {
  world.tamper = (signal) =>
    [
      { t: 'signal' },
      { ...signal, gen: -5 },
      { ...signal, data: {} },
      { ...signal, kind: 'x'.repeat(100) },
      { t: 'future' },
      signal,
      { ...signal, link: 'another' },
    ].map((each) => ({ to: signal.to, ...each }));
  const [host, joined] = await pair();
  assert.deepEqual(await Promise.all([outcome(host), outcome(joined)]), ['linked', 'linked']);
});

test('an offer that comes unsealed where a password is due is refused by both', async () => {
  const guarded = track(await Room.join({ room: 'demo', password: 'secret', name: 'Anna' }));
  const open = track(await Room.join({ room: 'demo', name: 'Bob' }));
  const codes = await Promise.all([outcome(guarded), outcome(open)]);
  assert.deepEqual(codes, ['wrong_code', 'wrong_code']);
});

// Guesses

/** A client that sends arbitrary signals. */
class Stranger {
  /** @type {any[]} */
  heard = [];
  peer = '';
  /** @type {((message: any) => boolean)[]} */
  #waiting = [];

  constructor(/** @type {object} */ where) {
    this.socket = new WebSocket('ws://server.test/v1/ws', 'x');
    this.socket.addEventListener('open', () => this.#send({ t: 'hello', ...where }));
    this.socket.addEventListener('message', ({ data }) => {
      const message = JSON.parse(data);
      if (message.t === 'welcome') this.peer = message.peer;
      this.heard.push(message);
      this.#waiting = this.#waiting.filter((check) => !check(message));
    });
  }

  #send(/** @type {object} */ message) {
    this.socket.send(JSON.stringify(message));
  }

  /**
   * The first message, received already or later, for which `wanted` is true.
   *
   * @param {(message: any) => boolean} wanted
   * @returns {Promise<any>}
   */
  hears(wanted) {
    const found = this.heard.find(wanted);
    if (found) return Promise.resolve(found);
    return new Promise((resolve) =>
      this.#waiting.push((message) => wanted(message) && (resolve(message), true)),
    );
  }

  /**
   * @param {string} to
   * @param {string} link
   * @param {string} kind
   * @param {object} body
   */
  signal(to, link, kind, body) {
    this.#send({ t: 'signal', to, link, gen: 0, kind, data: JSON.stringify(body) });
  }

  /** Answers the first step of the proof with a wrong guess. */
  async guesses() {
    // Each member has its own count: all guesses are at the first one.
    const step = await this.hears(
      ({ kind, from }) => from === '00000001' && (kind === 'pake' || kind === 'bye'),
    );
    const tag = Buffer.alloc(64).toString('base64url');
    this.signal(step.from, step.link, 'pake', { step: 2, share, tag });
    return this.hears(({ kind, from }) => from === step.from && kind === 'bye').then(
      ({ data }) => JSON.parse(data).code,
    );
  }

  leave() {
    this.#send({ t: 'leave' });
  }
}

const share = Buffer.alloc(32, 9).toString('base64url');
const firstStep = {
  ...{ t: 'signal', from: '00000000', to: '00000001', link: 'L', gen: 0, kind: 'pake' },
  data: JSON.stringify({ step: 1, share }),
};
const until = async (/** @type {() => boolean} */ check) => {
  while (!check()) await new Promise((resolve) => setTimeout(resolve, 1));
};
/** The id of the last peer. */
const newest = () =>
  [...world.rooms.values()].flatMap(({ peers }) => [...peers.keys()]).sort().at(-1);
const confirmations = () =>
  world.signals.filter(({ kind, data }) => kind === 'pake' && JSON.parse(data).tag).length;

test('a peer that takes the confirmation of a code and leaves has used the one guess', async () => {
  const host = track(await Room.host({ name: 'Anna' }));
  const told = once(host, 'error');
  // A server can claim that the peer came first: then the host confirms first.
  world.deliver(firstStep);
  await until(() => confirmations() === 1);
  world.deliver({ t: 'peer', event: 'left', peer: '00000000', to: '00000001' });
  const problem = await told;
  assert.equal(problem.code, 'guessed');
  assert.match(problem.sentence, /used this code/);
  assert.equal(host.state, 'closed');
});

test('a server gets one confirmation of a code, whatever it plays', async () => {
  const host = track(await Room.host({ name: 'Anna' }));
  for (let i = 0; i < 50; i += 1) {
    const peer = String(i).padStart(7, '0');
    for (const from of [peer, `${peer}x`]) {
      world.deliver({ t: 'peer', event: 'joined', peer: from, to: '00000001' });
      world.deliver({ ...firstStep, from, link: `L${i}` });
      world.deliver({ t: 'peer', event: 'left', peer: from, to: '00000001' });
    }
  }
  await once(host, 'closed');
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.ok(confirmations() <= 1);
});

test('a server that plays many peers of a named room gets eight guesses', async () => {
  track(await Room.join({ room: 'besieged', password: 'secret' }));
  for (let i = 0; i < 40; i += 1) {
    // The id sorts before the member's, so that the member confirms first.
    const from = `00000000-${i}`;
    world.deliver({ ...firstStep, from, link: `L${i}` });
    await until(() => world.signals.some(({ to }) => to === from));
    world.deliver({ t: 'peer', event: 'left', peer: from, to: '00000001' });
  }
  assert.equal(confirmations(), 8);
  const refused = world.signals.filter(({ kind }) => kind === 'bye');
  assert.deepEqual(new Set(refused.map(({ data }) => JSON.parse(data).code)), new Set(['too_many_guesses']));
  assert.equal(refused.length, 32);
});

test('a named room takes eight guesses, then no newcomer, and those inside stay', async () => {
  const where = { room: 'guarded', password: 'secret' };
  const [first, second] = [track(await Room.join(where)), track(await Room.join(where))];
  const [anna] = await Promise.all([once(first, 'link'), once(second, 'link')]);
  const codes = [];
  for (let i = 0; i < 9; i += 1) {
    const stranger = new Stranger({ room: 'guarded' });
    codes.push(await stranger.guesses());
    stranger.leave();
  }
  assert.deepEqual(codes, [...Array(8).fill('wrong_code'), 'too_many_guesses']);
  const late = track(await Room.join({ ...where, server: 'http://elsewhere.test' }));
  assert.equal(await outcome(late), 'too_many_guesses');
  const heard = once([...second.links][0], 'chat');
  anna.sendChat('still here');
  assert.equal((await heard).text, 'still here');
});

test('a return to a room, also under another name, gives no new guesses', async () => {
  let visits = 0;
  world.called = (room) => `${room}${(visits += 1)}`;
  for (let visit = 0; visit < 3; visit += 1) {
    const room = track(await Room.join({ room: 'revisited', password: 'secret' }));
    const to = newest();
    for (let i = 0; i < 5; i += 1) {
      const from = `00000000-${visit}-${i}`;
      world.deliver({ ...firstStep, from, to, link: `L${i}` });
      await until(() => world.signals.some((signal) => signal.to === from));
      world.deliver({ t: 'peer', event: 'left', peer: from, to });
    }
    await room.close();
  }
  assert.equal(confirmations(), 8);
});

test('a mistyped password does not affect the right one', async () => {
  const where = { room: 'mistyped', password: 'right' };
  track(await Room.join(where));
  for (let i = 0; i < 3; i += 1) {
    const mistyped = track(await Room.join({ ...where, password: 'wrong' }));
    assert.equal(await outcome(mistyped), 'wrong_code');
    await mistyped.close();
  }
  assert.equal(await outcome(track(await Room.join(where))), 'linked');
});

test('a code that is tried again, there or elsewhere, allows one guess', async () => {
  for (const server of ['http://server.test', 'http://elsewhere.test', 'http://server.test']) {
    world.rooms.set('4', { peers: new Map(), code: true });
    const room = track(await Room.join({ server, code: '4-guitar-ocean' }));
    const [told, to] = [once(room, 'error'), newest()];
    world.deliver({ ...firstStep, to });
    await until(() => world.signals.some((signal) => signal.from === to));
    world.deliver({ t: 'peer', event: 'left', peer: '00000000', to });
    assert.equal((await told).code, 'guessed');
  }
  assert.equal(confirmations(), 1);
});

test('many members of a room all prove themselves to each other', async () => {
  const rooms = [];
  const links = [];
  for (let i = 0; i < 11; i += 1) {
    const room = track(await Room.join({ room: 'crowded', password: 'secret' }));
    links.push(new Promise((resolve) => {
      room.addEventListener('link', () => room.links.length === 10 && resolve(undefined));
    }));
    rooms.push(room);
  }
  await Promise.all(links);
  assert.ok(rooms.every((room) => room.links.every(({ authenticated }) => authenticated)));
});

test('a goodbye that is not sealed ends nothing once there is a key', async () => {
  const [host, joined] = await pair();
  const [anna, bob] = await Promise.all([once(host, 'link'), once(joined, 'link')]);
  const { link } = world.signals[0];
  for (const code of ['wrong_code', 'password_mismatch', 'too_many_guesses'])
    for (const [from, to] of [['00000001', '00000002'], ['00000002', '00000001']])
      world.deliver({ t: 'signal', from, to, link, gen: 0, kind: 'bye', data: JSON.stringify({ code }) });
  const heard = once(bob, 'chat');
  anna.sendChat('still here');
  assert.equal((await heard).text, 'still here');
  assert.deepEqual([anna.state, bob.state], ['connected', 'connected']);
});

// Named rooms

test('a room without a password connects, unauthenticated, with words to compare', async () => {
  const first = track(await Room.join({ room: 'demo', name: 'Anna' }));
  const second = track(await Room.join({ room: 'demo', name: 'Bob' }));
  const [anna, bob] = await Promise.all([once(first, 'link'), once(second, 'link')]);
  assert.deepEqual(anna.sas, bob.sas);
  assert.equal(anna.authenticated, false);
});

test('a room with a password connects those who know it, each with each', async () => {
  const members = [];
  for (const name of ['Anna', 'Bob', 'Cleo']) {
    members.push(track(await Room.join({ room: 'demo', password: 'pässword', name })));
  }
  await Promise.all(
    members.map(async (room) => {
      while (room.links.length < 2) await once(room, 'link');
    }),
  );
  assert.ok(members.every(({ links }) => links.every(({ authenticated }) => authenticated)));
});

test('a server in the middle of an open room shows in the words', async () => {
  // The server is the endpoint of both links: to each side it is the peer.
  const attacker = new Map();
  world.tamper = (signal) => {
    if (signal.kind !== 'offer' && signal.kind !== 'answer') return [signal];
    const body = JSON.parse(signal.data);
    const commit = body.commit && Buffer.alloc(32, 7).toString('base64url');
    const nonce = body.nonce && Buffer.alloc(32, 8).toString('base64url');
    attacker.set(signal.kind, body);
    return [
      {
        ...signal,
        data: JSON.stringify({ ...body, ...(commit && { commit }), ...(nonce && { nonce }) }),
      },
    ];
  };
  const first = track(await Room.join({ room: 'demo', name: 'Anna' }));
  const second = track(await Room.join({ room: 'demo', name: 'Bob' }));
  const [a, b] = await Promise.all([outcome(first), outcome(second)]);
  assert.equal(b, 'verification_failed');
  assert.ok(a === 'verification_failed' || a === 'linked');
});

test('a certificate that DTLS verified is compared with what was described', async () => {
  world.verified = Array(32).fill('00').join(':');
  for (const where of [{ room: 'open' }, { room: 'closed', password: 'secret' }]) {
    const both = [track(await Room.join(where)), track(await Room.join(where))];
    const codes = await Promise.all(both.map(outcome));
    assert.ok(codes.includes('verification_failed') && !codes.includes('linked'), codes.join());
  }
});

/**
 * Makes a connection end while its certificate is read, as Chromium reports it.
 *
 * @param {FakePeerConnection} connection
 * @param {() => void | Promise<void>} how
 */
function endsWhenAsked(connection, how) {
  connection.getStats = async () => {
    await how();
    throw new DOMException('the connection is closed', 'InvalidStateError');
  };
}

test('a connection that ends while it is verified is no failed verification', async () => {
  const [host, joined] = await pair();
  await once(host, 'connecting');
  while (world.connections.size < 2) await new Promise(setImmediate);
  const connections = [...world.connections.values()];
  for (const connection of connections)
    endsWhenAsked(connection, () => {
      connection.connectionState = 'failed';
      connection.dispatchEvent(new Event('connectionstatechange'));
    });
  const codes = await Promise.all([outcome(host), outcome(joined)]);
  assert.deepEqual(codes, ['linked', 'linked']); // by the second connection
});

test('a connection that another one replaces while it is verified says nothing', async () => {
  const [host, joined] = await pair();
  await once(host, 'connecting');
  while (world.connections.size < 2) await new Promise(setImmediate);
  /** @type {((reason: Error) => void)[]} */
  const asked = [];
  const [first, ...others] = world.connections.values();
  for (const each of [first, ...others])
    each.getStats = () => new Promise((_, reject) => asked.push(reject));
  const links = Promise.all([once(host, 'link'), once(joined, 'link')]);
  while (asked.length < 2) await new Promise(setImmediate);
  first.connectionState = 'failed';
  first.dispatchEvent(new Event('connectionstatechange'));
  const [anna, bob] = await links;
  for (const reject of asked) reject(new DOMException('it is closed', 'InvalidStateError'));
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual([anna.state, bob.state], ['connected', 'connected']);
});

test('a fault while the other side is verified is ours, and not a failed verification', async () => {
  const [host, joined] = await pair();
  await once(host, 'connecting');
  while (world.connections.size < 2) await new Promise(setImmediate);
  const error = console.error;
  /** @type {Error[]} */
  const reported = [];
  console.error = (thrown) => reported.push(thrown);
  for (const connection of world.connections.values())
    connection.getStats = async () => {
      throw new TypeError('unforeseen');
    };
  try {
    const codes = await Promise.all([outcome(host), outcome(joined)]);
    assert.ok(codes.includes('unexpected') && !codes.includes('verification_failed'), codes.join());
    assert.ok(reported.some(({ message }) => message === 'unforeseen'));
  } finally {
    console.error = error;
  }
});

test('a proof that takes too long is reported as silence, not as a failed proof', async (t) => {
  // The clock stands still, so that both sides set timers of exactly 15 s, under any load.
  let clock = 0;
  t.mock.method(performance, 'now', () => clock);
  /** @type {(() => void)[]} */
  const timers = [];
  const later = setTimeout;
  globalThis.setTimeout = /** @type {typeof setTimeout} */ (
    /** @type {unknown} */ (
      (/** @type {() => void} */ step, /** @type {number} */ time) =>
        time === 15_000 ? timers.push(step) : later(step, time)
    )
  );
  t.after(() => (globalThis.setTimeout = later));
  world.tamper = (signal) => (signal.kind === 'pake' ? [] : [signal]);
  const [host, joined] = await pair();
  const told = Promise.all([outcome(host), outcome(joined)]);
  // Each side sets its timer when it is made, and again after its first step: then both are idle.
  while (timers.length < 4) await new Promise(setImmediate);
  clock = 15_000;
  timers.at(-1)?.(); // one side ends it, and tells the other
  assert.deepEqual((await told).sort(), ['peer_left', 'timeout']);
});

// Paths

test('a second connection is tried when the first finds no path', async () => {
  world.broken = 1;
  const [anna, bob] = await linked();
  assert.equal(anna.state, 'connected');
  assert.deepEqual(anna.sas, bob.sas);
  assert.ok(world.signals.some(({ kind, gen }) => kind === 'offer' && gen === 1));
});

test('when no connection finds a path, both sides say so', async () => {
  world.broken = 100;
  const [host, joined] = await pair();
  assert.deepEqual(await Promise.all([outcome(host), outcome(joined)]), ['no_path', 'no_path']);
});

test('two devices without a network are told so after a short time', async () => {
  world.hasNetwork = false;
  const [host, joined] = await pair();
  const codes = await Promise.all([outcome(host), outcome(joined)]);
  assert.ok(codes.includes('no_network'));
  assert.ok(codes.every((code) => code === 'no_network' || code === 'no_path'));
});

// Ends

test('a peer that leaves during the set-up is noticed at once', async () => {
  world.tamper = () => [];
  const [host, joined] = await pair();
  const [told] = await Promise.all([outcome(host), joined.close()]);
  assert.equal(told, 'peer_left');
});

test('a set-up that was given up does not continue', async () => {
  const host = track(await Room.host({ name: 'Anna' }));
  world.tamper = (signal) => {
    // While the peer's proof is being checked.
    if (signal.to === '00000001') setImmediate(() => setImmediate(() => void host.close()));
    return [signal];
  };
  const joined = track(await Room.join({ code: String(host.code), name: 'Bob' }));
  await outcome(joined);
  world.tamper = (signal) => [signal];
  await linked();
  assert.equal(world.connections.size, 2); // only those of the later pair
});

test('a goodbye reaches the other side', async () => {
  const [anna, bob] = await linked();
  const [told, own] = await Promise.all([once(bob, 'closed'), once(anna, 'closed'), anna.close()]);
  assert.deepEqual([told.code, own.code], ['bye', 'closed']);
});

test('a link outlives the server', async () => {
  const [anna, bob] = await linked();
  for (const { peers } of world.rooms.values())
    for (const socket of peers.values()) socket.close(1006);
  await new Promise((resolve) => setTimeout(resolve, 10));
  const heard = once(bob, 'chat');
  anna.sendChat('still there?');
  assert.equal((await heard).text, 'still there?');
});

test('a server that is lost while one waits is told', async () => {
  const host = track(await Room.host({}));
  const told = outcome(host);
  for (const { peers } of world.rooms.values())
    for (const socket of peers.values()) socket.close(4200);
  assert.equal(await told, 'draining');
});

test('a code that ended while the device slept is told as that', async (t) => {
  const host = track(await Room.host({}));
  const told = outcome(host);
  const { now } = Date;
  t.after(() => (Date.now = now));
  Date.now = () => now() + 60_000;
  for (const { peers } of world.rooms.values())
    for (const socket of peers.values()) socket.close(1006);
  assert.equal(await told, 'slept');
});

/** @type {import('../../web/client/server/messages.js').ServerError} */
const REFUSED = {
  t: 'error',
  id: null,
  code: 'origin_refused',
  message: '',
  retryable: false,
  retryAfter: null,
};

test('a server that refuses the page because of its address is told as that', () => {
  assert.equal(problemOfClose(4009).code, 'origin_refused');
  assert.equal(problemOfError(REFUSED).code, 'origin_refused');
});

test('a link of another server is not tried at this one', async () => {
  for (const code of [
    'https://other.test/#9-abdomen-aardvark',
    'other.test/#9-abdomen-aardvark',
    'peerline receive --server other.test 9-abdomen-aardvark',
  ])
    await assert.rejects(Room.join({ code }), refused('other_server'), code);
  assert.equal(world.rooms.size, 0);
  const host = track(await Room.host({}));
  const joined = track(await Room.join({ code: host.code?.link('https://server.test/') }));
  assert.equal(await outcome(joined), 'linked');
});

// The content of a link

test('chat goes both ways and its arrival is told', async () => {
  const [anna, bob] = await linked();
  const [heard, delivered] = [once(bob, 'chat'), once(anna, 'delivered')];
  const id = anna.sendChat('hello ☃');
  assert.equal((await heard).text, 'hello ☃');
  assert.deepEqual(await delivered, { id });
  assert.throws(() => anna.sendChat('x'.repeat(70_000)), refused('message_too_long'));
});

function bytes(/** @type {number} */ size) {
  const data = new Uint8Array(size); // `Uint8Array.from` takes a second for so many
  for (let i = 0; i < size; i += 1) data[i] = i * 31 + (i >> 9);
  return data;
}

test('files go through, in both directions at once', async () => {
  const [anna, bob] = await linked();
  const content = bytes(3_500_000);
  const send = async (/** @type {Link} */ from, /** @type {Link} */ to) => {
    const offered = once(to, 'offer');
    /** @type {Promise<Outgoing>} */
    const done = new Promise((resolve) => {
      from.addEventListener(
        'transferdone',
        ({ detail }) => detail.direction === 'out' && resolve(detail),
      );
    });
    await from.sendFiles([new File([content], 'big.bin'), new File([], 'empty')]);
    const incoming = await offered;
    assert.equal(incoming.form, 'files');
    assert.match(incoming.notice, /memory/); // this world has no disk
    await incoming.accept();
    const outgoing = await done;
    assert.deepEqual(
      [outgoing.bytesDone, outgoing.filesDone, outgoing.state],
      [content.length, 2, 'done'],
    );
    const big = incoming.saved.find((/** @type {{name: string}} */ { name }) => name === 'big.bin').file;
    assert.ok(Buffer.from(await big.arrayBuffer()).equals(Buffer.from(content)));
  };
  await Promise.all([send(anna, bob), send(bob, anna)]);
});

test('a folder arrives as one archive', async () => {
  const [anna, bob] = await linked();
  const file = Object.defineProperty(new File(['hi'], 'a.txt'), 'webkitRelativePath', {
    value: 'tree/a.txt',
  });
  const offered = once(bob, 'offer');
  const done = once(anna, 'transferdone');
  await anna.sendFiles([file]);
  const incoming = await offered;
  const saved = once(bob, 'saved');
  await incoming.accept();
  await done;
  assert.equal((await saved).name, 'tree.zip');
  assert.equal(Buffer.from(await incoming.saved[0].file.arrayBuffer()).readUInt32LE(0), 0x04034b50);
});

test('a declined offer is told to the sender', async () => {
  const [anna, bob] = await linked();
  const offered = once(bob, 'offer');
  const failed = once(anna, 'transferfailed');
  await anna.sendFiles([new File(['x'], 'x')]);
  (await offered).decline();
  assert.equal((await failed).problem.code, 'refused');
});

test('a cancelled transfer stops on both sides', async () => {
  const [anna, bob] = await linked();
  const offered = once(bob, 'offer');
  const outgoing = await anna.sendFiles([new File([bytes(20_000_000)], 'x')]);
  const incoming = await offered;
  const ends = Promise.all([once(anna, 'transferfailed'), once(bob, 'transferfailed')]);
  await incoming.accept();
  outgoing.cancel();
  const [ours, theirs] = await ends;
  assert.deepEqual([ours.problem.code, theirs.problem.code], ['cancelled', 'peer_cancelled']);
});

test('a file that changes while it is sent ends the transfer with the reason', async () => {
  const [anna, bob] = await linked();
  const file = new File([bytes(5)], 'x');
  file.slice = () =>
    Object.assign(new Blob(), {
      arrayBuffer: () => Promise.reject(new DOMException('changed', 'NotReadableError')),
    });
  const offered = once(bob, 'offer');
  const ends = Promise.all([once(anna, 'transferfailed'), once(bob, 'transferfailed')]);
  await anna.sendFiles([file]);
  await (await offered).accept();
  const [ours, theirs] = await ends;
  assert.deepEqual([ours.problem.code, theirs.problem.code], ['changed', 'changed']);
});

test('a link that ends takes its transfers with it', async () => {
  const [anna, bob] = await linked();
  const offered = once(bob, 'offer');
  const failed = once(anna, 'transferfailed');
  await anna.sendFiles([new File(['x'], 'x')]);
  await offered;
  await bob.close();
  assert.equal((await failed).problem.code, 'broken');
});

test('more files than memory can hold are refused with a reason', async () => {
  const [anna, bob] = await linked();
  const offered = once(bob, 'offer');
  const failed = once(anna, 'transferfailed');
  const huge = Object.defineProperty(new File(['x'], 'huge'), 'size', { value: 10 ** 12 });
  await anna.sendFiles([huge]);
  const incoming = await offered;
  await assert.rejects(incoming.accept(), refused('too_large'));
  assert.equal(incoming.state, 'failed');
  assert.equal((await failed).state, 'failed');
});

test('offers that nobody answers are bounded', async () => {
  const [anna, bob] = await linked();
  /** @type {Incoming[]} */
  const offers = [];
  bob.addEventListener('offer', (/** @type {CustomEvent<Incoming>} */ { detail }) => offers.push(detail));
  const failed = once(anna, 'transferfailed');
  for (let i = 0; i < 20; i += 1) await anna.sendFiles([new File(['x'], `x${i}`)]);
  assert.equal((await failed).problem.code, 'busy');
  assert.ok(offers.length <= 16);
});
