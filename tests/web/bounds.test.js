// Bounds of what a peer, a stranger and the server can make a page keep or end.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';

import { LinkSetup } from '../../web/client/link/setup.js';
import { Negotiation } from '../../web/client/link/negotiation.js';
import { Room } from '../../web/client/room/room.js';
import { World, once } from './support/world.js';

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

const pause = (time = 20) => new Promise((resolve) => setTimeout(resolve, time));
const until = async (/** @type {() => boolean} */ check) => {
  while (!check()) await pause(1);
};

/** Two links, and the second side's channels by name, for sending arbitrary messages. */
async function linked() {
  const host = track(await Room.host({ name: 'Anna' }));
  const joined = track(await Room.join({ code: String(host.code), name: 'Bob' }));
  const [anna, bob] = await Promise.all([once(host, 'link'), once(joined, 'link')]);
  const [ours, theirs] = [...world.connections.values()];
  const [control, chat, blocks] = [0, 1, 2].map((id) => theirs.channel(id));
  const own = [0, 1, 2].map((id) => ours.channel(id));
  return { host, anna, bob, control, chat, blocks, own };
}

test('pings that come while nothing can be sent are not answered', async () => {
  const { anna, control, own } = await linked();
  /** @type {unknown[]} */
  const sent = [];
  own[0].send = (text) => sent.push(text);
  own[0].bufferedAmount = 100_000;
  for (let n = 0; n < 10_000; n += 1) control.send(JSON.stringify({ t: 'ping', n }));
  await pause();
  assert.deepEqual([sent.length, anna.state], [0, 'connected']);
});

test('a chat that does not take its receipts ends the link, and fills no memory', async () => {
  const { anna, chat, own } = await linked();
  own[1].send = (text) => (own[1].bufferedAmount += text.length);
  const ended = once(anna, 'closed');
  let id = 0;
  while (chat.readyState === 'open' && id < 100_000) {
    for (let i = 0; i < 1000; i += 1) chat.send(JSON.stringify({ t: 'message', id: ++id, text: 'x' }));
    await pause(0);
  }
  assert.equal((await ended).code, 'protocol');
  assert.ok(own[1].bufferedAmount < 100 * 1024);
});

test('our own chat waits for its channel', async () => {
  const { anna, own } = await linked();
  own[1].bufferedAmount = 300_000;
  assert.throws(() => anna.sendChat('x'), { code: 'not_delivered' });
});

test('a list of files waits for its channel, and ends with its transfer', async () => {
  const { anna, control, own } = await linked();
  const files = Array.from({ length: 120_000 }, (_, i) => ({
    ...{ name: `${i}.txt`, size: 0, lastModified: 0, webkitRelativePath: `folder/${'x'.repeat(60)}/${i}.txt` },
  }));
  let most = 0;
  let pages = 0;
  let waits = 0;
  control.addEventListener('message', (event) => {
    assert.ok(event instanceof MessageEvent);
    if (String(event.data).includes('"entries"')) pages += 1;
  });
  Object.defineProperty(own[0], 'bufferedAmount', {
    ...{ get: () => waits, configurable: true },
    set: (/** @type {number} */ bytes) => {
      waits = bytes;
      most = Math.max(most, bytes);
    },
  });
  const transfer = await anna.sendFiles(files);
  while (pages < 50) await pause(1);
  await anna.sendFiles([new File(['x'], 'another.txt')]);
  assert.ok(most <= 256 * 1024, `${most}`);
  transfer.cancel();
  await pause(5);
  const sent = pages;
  await pause(20);
  assert.ok(pages <= sent + 1 && pages < 300, `${pages}`);
  assert.equal(anna.state, 'connected');
});

test('a fault that a message brings about ends its link, and no other', async () => {
  /** @type {Room[]} */
  const members = [];
  for (let i = 0; i < 3; i += 1) members.push(track(await Room.join({ room: 'open', name: `${i}` })));
  await Promise.all(members.map(async (room) => {
    while (room.links.length < 2) await once(room, 'link');
  }));
  const [first, second] = members[0].links;
  const error = console.error;
  /** @type {Error[]} */
  /** @type {Error[]} */
  const reported = [];
  console.error = (thrown) => reported.push(thrown);
  // Simulates a fault in a machine, at the call that sends its answer.
  const connection = [...world.connections.values()].find(({ channels }) => channels.get(0)?.other);
  assert.ok(connection);
  const channel = connection.channel(0);
  Object.defineProperty(channel, 'bufferedAmount', {
    get() {
      throw new TypeError('unforeseen');
    },
  });
  try {
    channel.other?.send(JSON.stringify({ t: 'ping', n: 1 }));
    await until(() => members[1].links.length + members[2].links.length < 4);
  } finally {
    Object.defineProperty(channel, 'bufferedAmount', { value: 0 });
    console.error = error;
  }
  assert.ok(reported.some(({ message }) => message === 'unforeseen'));
  assert.equal([first, second].filter(({ state }) => state === 'connected').length, 1);
  assert.equal(members[1].links.length + members[2].links.length, 3);
});

test('the other side cannot have connections tried without end', async () => {
  world.broken = 1000;
  let made = 0;
  const add = world.connections.set.bind(world.connections);
  world.connections.set = (key, value) => ((made += 1), add(key, value));
  // The member arrived later than this peer, which offers repeatedly.
  track(await Room.join({ room: 'open' }));
  const sdp = [
    'v=0',
    'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
    'a=ice-ufrag:fake',
    'a=ice-pwd:fakefakefakefakefakefake',
    'a=setup:actpass',
    `a=fingerprint:sha-256 ${Array(32).fill('AB').join(':')}`,
  ].join('\r\n');
  for (let gen = 0; gen < 100; gen += 1) {
    world.deliver({
      ...{ t: 'signal', from: '00000000', to: '00000001', link: 'L', gen, kind: 'offer' },
      data: JSON.stringify({ sdp, commit: 'x' }),
    });
  }
  await until(() => made >= 8);
  await pause();
  assert.equal(made, 8);
  assert.equal(world.connections.size, 1);
  for (let i = 0; i < 1000; i += 1) {
    world.deliver({
      ...{ t: 'signal', from: '00000000', to: '00000001', link: 'L', gen: 7, kind: 'candidate' },
      data: JSON.stringify({ candidate: `candidate:${i} 1 udp 1 10.0.0.1 5000 typ host` }),
    });
    if (i % 100 === 0) await pause(2);
  }
  await pause(20);
  const [connection] = world.connections.values();
  assert.ok(connection.iceCandidates.length <= 128);
});

test('peers that the server makes up are bounded, and freed when they leave', async () => {
  track(await Room.join({ room: 'open' }));
  const told = (/** @type {string} */ event, /** @type {number} */ i) =>
    world.deliver({ t: 'peer', event, peer: `1${String(i).padStart(7, '0')}`, to: '00000001' });
  for (let i = 0; i < 1000; i += 1) told('joined', i);
  await until(() => world.connections.size >= 128);
  await pause();
  assert.equal(world.connections.size, 128);
  for (let i = 0; i < 1000; i += 1) told('left', i);
  await until(() => world.connections.size === 0);
});

test('peers that come and go leave nothing behind', async () => {
  const room = track(await Room.join({ room: 'open' }));
  for (let i = 0; i < 300; i += 1) {
    const peer = `1${String(i).padStart(7, '0')}`;
    world.deliver({ t: 'peer', event: 'joined', peer, to: '00000001' });
    if (i % 2) await pause(0);
    world.deliver({ t: 'peer', event: 'left', peer, to: '00000001' });
  }
  await pause();
  await until(() => world.connections.size === 0);
  assert.equal(room.state, 'waiting');
});

test('messages before the check of the hello are bounded', async () => {
  const add = world.connections.set.bind(world.connections);
  world.connections.set = (key, value) => {
    // The second connection, of the joining side, sends no hello.
    if (world.connections.size === 1)
      queueMicrotask(() => (value.channel(0).send = () => {}));
    return add(key, value);
  };
  const host = track(await Room.host({}));
  const error = once(host, 'error');
  const joined = track(await Room.join({ code: String(host.code) }));
  while (world.connections.size < 2) await pause(0);
  const own = [...world.connections.values()][0].channel(2);
  while (own.readyState !== 'open') await pause(0);
  for (let i = 0; i < 100; i += 1)
    own.dispatchEvent(new MessageEvent('message', { data: new ArrayBuffer(100_000) }));
  const outcome = await Promise.race([error, once(host, 'link').then(() => ({ code: 'linked' }))]);
  assert.equal(outcome.code, 'protocol');
  await joined.close();
});

test('a server that reads nothing is given up', async () => {
  const host = track(await Room.host({}));
  const [socket] = world.peersOf(host);
  socket.bufferedAmount = 2 ** 21;
  const told = once(host, 'error');
  socket.push({ t: 'ping' });
  assert.equal((await told).code, 'server_unreachable');
});

// The set-up of a link, which waits for WebCrypto and for the browser

/** A set-up in a room without a password, of the offerer or of the answerer. */
function setupOf({ local = '00000002', remote = '00000001', send = () => {} } = {}) {
  /** @type {string[]} */
  const failed = [];
  const setup = new LinkSetup({
    ...{ local, remote, room: 'open', password: null, attempt: null, send },
    ice: { servers: [], policy: 'all' },
    onStage: () => {},
    onConnection: () => {},
    onFailed: ({ code }) => failed.push(code),
  });
  return { setup, failed };
}

test('signals without end do not put off the time by which there must be a description', async () => {
  const { setup, failed } = setupOf();
  const now = performance.now();
  const clock = mock.method(performance, 'now', () => now + 16_000);
  try {
    for (let i = 0; i < 10 && failed.length === 0; i += 1) {
      setup.receiveSignal({ t: 'signal', from: '00000001', link: 'L', gen: 0, kind: 'unknown', data: '' });
      await new Promise((resolve) => setImmediate(resolve));
    }
  } finally {
    clock.mock.restore();
    setup.stop();
  }
  assert.deepEqual(failed, ['timeout']);
});

test('a fault while an event of the machine is handled ends the set-up', async () => {
  const error = console.error;
  /** @type {string[]} */
  const reported = [];
  console.error = (thrown) => reported.push(thrown.message);
  let sent = 0;
  const send = () => {
    sent += 1;
    if (sent === 1) throw new TypeError('unforeseen');
  };
  const { setup, failed } = setupOf({ local: '00000001', remote: '00000002', send });
  try {
    await until(() => failed.length > 0);
  } finally {
    console.error = error;
    setup.stop();
  }
  assert.deepEqual([failed, reported], [['unexpected'], ['unforeseen']]);
});

test('a goodbye of the set-up that is still being opened does not end the link', async () => {
  const machine = new Negotiation({
    ...{ local: '00000002', remote: '00000001', room: 'open', password: null, link: null },
    ...{ random: new Uint8Array(32), now: 0 },
  });
  const offer = { link: 'L', gen: 0, kind: 'offer', data: JSON.stringify({ sdp: 'x', commit: 'x' }) };
  await machine.receiveSignal(offer, 0);
  await machine.descriptionMade(0, 'answer', { random: new Uint8Array(32), now: 0 });
  for (const [kind, data] of [['bye', '{}'], ['offer', 'nonsense']]) {
    const opening = machine.receiveSignal({ link: 'L', gen: 0, kind, data }, 0);
    machine.established();
    await opening;
    assert.equal(machine.stage, 'established', kind);
  }
});
