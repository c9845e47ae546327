import assert from 'node:assert/strict';
import { test } from 'node:test';

import { BadMessage, hello, parseServer, signal } from '../../web/client/server/messages.js';

const WELCOME = {
  t: 'welcome',
  session: 's',
  resume_token: 'x',
  peer: '00000002-a',
  room: '7',
  code: '7',
  seq: 0,
  peers: [{ peer: '00000001-b', name: 'Bob', meta: null, state: 'online' }],
  ice: {
    servers: [{ urls: ['stun:a:1'] }, { urls: 'turn:b', username: 'u', credential: 'c' }],
    policy: 'relay',
  },
  heartbeat: { interval: 20, timeout: 10 },
};
const parse = (/** @type {object} */ message) => parseServer(JSON.stringify(message));

test('a welcome tells who we are, who is there and which servers to use', () => {
  const welcome = parse(WELCOME);
  assert.ok(welcome.t === 'welcome');
  assert.equal(welcome.peer, '00000002-a');
  assert.equal(welcome.code, '7');
  assert.deepEqual(welcome.peers, [{ peer: '00000001-b', name: 'Bob', state: 'online' }]);
  assert.deepEqual(welcome.ice, {
    policy: 'relay',
    servers: [{ urls: ['stun:a:1'] }, { urls: ['turn:b'], username: 'u', credential: 'c' }],
  });
  assert.equal(welcome.heartbeat, 30);
});

test('optional fields may be missing', () => {
  const welcome = parse({ t: 'welcome', session: 's', peer: 'p', room: 'demo' });
  assert.ok(welcome.t === 'welcome');
  assert.deepEqual(
    [welcome.peers, welcome.code, welcome.ice],
    [[], null, { servers: [], policy: 'all' }],
  );
});

const BAD = [
  'x',
  '[]',
  '7',
  'null',
  '{}',
  '{"t":5}',
  { ...WELCOME, peer: 7 },
  { ...WELCOME, peers: {} },
  { ...WELCOME, peers: [{}] },
  { ...WELCOME, room: undefined },
  { ...WELCOME, ice: { servers: [{ urls: ['http://x'] }] } },
  { ...WELCOME, ice: { servers: [{ urls: [] }] } },
  { ...WELCOME, ice: { servers: Array(100).fill({ urls: 'stun:a' }) } },
  { ...WELCOME, heartbeat: { interval: 'x' } },
  { t: 'signal', from: 'a', link: 'l', gen: -1, kind: 'offer', data: '' },
  { t: 'signal', from: 'a', link: 'l', gen: 0.5, kind: 'offer', data: '' },
  { t: 'signal', from: 'a', link: 'ü', gen: 0, kind: 'offer', data: '' },
  { t: 'signal', from: 'a', link: 'l', gen: 0, kind: 'offer', data: { sdp: '' } },
  { t: 'signal', from: 'a', link: 'l', gen: 0, kind: 'offer', data: 'x'.repeat(50_000) },
  { t: 'peer', event: 'joined' },
  { t: 'error', code: 5 },
];
BAD.forEach((message, i) => {
  test(`malformed message ${i} is refused: ${JSON.stringify(message).slice(0, 70)}`, () => {
    assert.throws(
      () => parseServer(typeof message === 'string' ? message : JSON.stringify(message)),
      BadMessage,
    );
  });
});

test('a binary frame and an endless one are refused', () => {
  assert.throws(() => parseServer(new ArrayBuffer(3)), BadMessage);
  assert.throws(() => parseServer(`{"t":"${'x'.repeat(2 ** 20)}"}`), BadMessage);
});

test('a type of a later version is left alone', () => {
  assert.deepEqual(parse({ t: 'weather' }), { t: 'unknown' });
});

test('messages of the page have the fields that the server requires', () => {
  assert.deepEqual(JSON.parse(hello({ code: true, name: 'Anna' })), {
    t: 'hello',
    code: true,
    name: 'Anna',
  });
  assert.deepEqual(JSON.parse(hello({ code: '7' })), { t: 'hello', code: '7' });
  assert.deepEqual(JSON.parse(hello({ room: 'demo', name: '' })), { t: 'hello', room: 'demo' });
  assert.deepEqual(JSON.parse(signal({ to: 'b', link: 'l', gen: 1, kind: 'offer', data: 'x' })), {
    t: 'signal',
    to: 'b',
    link: 'l',
    gen: 1,
    kind: 'offer',
    data: 'x',
  });
});

test('a message that nests deeper than it can be checked is malformed', () => {
  const deep = `${'['.repeat(100_000)}"\\ud83d\\ude00"${']'.repeat(100_000)}`;
  assert.throws(() => parseServer(`{"t":"ping","deep":${deep}}`), BadMessage);
});
