// The small machines: chat, keepalive, the meter, and what is read from statistics.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Chat, MAX_TEXT } from '../../web/client/channel/chat.js';
import { Keepalive } from '../../web/client/link/keepalive.js';
import { Problem, asProblem, problem } from '../../web/client/problems.js';
import { pathOf } from '../../web/client/rtc/connection.js';
import { Meter } from '../../web/client/transfer/engine/meter.js';

// Chat

test('what one side says arrives, and its arrival is told', () => {
  const [anna, bob] = [new Chat(), new Chat()];
  const id = anna.say('hello ☃', 1_700_000_000_000);
  for (const message of anna.messagesToSend()) bob.receive(message);
  assert.deepEqual(bob.nextEvent(), {
    type: 'message',
    id,
    text: 'hello ☃',
    at: new Date(1_700_000_000_000),
  });
  for (const message of bob.messagesToSend()) anna.receive(message);
  assert.deepEqual(anna.nextEvent(), { type: 'delivered', id });
  assert.equal(anna.nextEvent(), null);
});

test('an arrival of what was never said, or told twice, is ignored', () => {
  const chat = new Chat();
  const id = chat.say('x', 0);
  for (const told of [99, id, id]) chat.receive(JSON.stringify({ t: 'delivered', id: told }));
  assert.deepEqual([chat.nextEvent(), chat.nextEvent()], [{ type: 'delivered', id }, null]);
});

test('garbage on the chat channel is ignored', () => {
  const chat = new Chat();
  const garbage = [
    new ArrayBuffer(4),
    '',
    '{',
    '[]',
    '{"t":"message"}',
    '{"t":"message","id":-1,"text":"x"}',
    '{"t":"message","id":1,"text":5}',
    '{"t":"message","id":1e999,"text":"x"}',
    '{"t":"message","id":0,"text":"x"}',
    '{"t":"message","id":1,"text":""}',
    `{"t":"message","id":1,"text":"${'x'.repeat(MAX_TEXT + 1)}"}`,
    `"${'x'.repeat(6 * MAX_TEXT + 300)}"`,
  ];
  for (const message of garbage) chat.receive(message);
  assert.deepEqual([chat.messagesToSend(), chat.nextEvent()], [[], null]);
});

test('a message with an impossible time still arrives', () => {
  const chat = new Chat();
  chat.receive(JSON.stringify({ t: 'message', id: 1, text: 'x', at: 1e300 }));
  const event = chat.nextEvent();
  assert.ok(event?.type === 'message');
  assert.ok(Math.abs(event.at.getTime() - Date.now()) < 60_000);
});

test('a text that does not fit into one message is refused, and nothing is sent', () => {
  const chat = new Chat();
  for (const text of ['', '☃'.repeat(30_000), '\0'.repeat(60_000)]) {
    assert.throws(() => chat.say(text, 0), RangeError);
  }
  assert.deepEqual(chat.messagesToSend(), []);
  assert.equal(chat.say('x'.repeat(MAX_TEXT), 0), 1);
});

test('a repeated message is confirmed again, and shown once', () => {
  const [anna, bob] = [new Chat(), new Chat()];
  anna.say('once', 0);
  const [message] = anna.messagesToSend();
  bob.receive(message);
  bob.receive(message);
  assert.equal(bob.messagesToSend().length, 2);
  const event = bob.nextEvent();
  assert.ok(event?.type === 'message');
  assert.equal(event.text, 'once');
  assert.equal(bob.nextEvent(), null);
});

// Keepalive

function keepaliveAt(/** @type {number} */ start) {
  const state = { now: start, pings: /** @type {number[]} */ ([]), lost: 0 };
  const keepalive = new Keepalive({
    ping: (n) => state.pings.push(n),
    onLost: () => (state.lost += 1),
    now: () => state.now,
  });
  keepalive.start();
  keepalive.stop(); // the timer: the test calls tick itself
  return { keepalive, state };
}

test('silence is answered with pings, and after 15 seconds with the end', () => {
  const { keepalive, state } = keepaliveAt(100);
  for (let second = 1; second <= 14; second += 1) {
    state.now = 100 + second;
    keepalive.tick();
  }
  assert.deepEqual([state.pings.length, state.lost], [2, 0]);
  state.now = 115;
  keepalive.tick();
  assert.equal(state.lost, 1);
});

test('anything that arrives counts as life', () => {
  const { keepalive, state } = keepaliveAt(0);
  for (let second = 1; second <= 60; second += 1) {
    state.now = second;
    if (second % 10 === 0) keepalive.heard();
    keepalive.tick();
  }
  assert.equal(state.lost, 0);
});

test('a doubt about the other side is settled sooner, one way or the other', () => {
  const gone = keepaliveAt(0);
  gone.keepalive.doubt();
  assert.equal(gone.state.pings.length, 1);
  for (let second = 1; second <= 6; second += 1) {
    gone.state.now = second;
    gone.keepalive.tick();
  }
  assert.equal(gone.state.lost, 1);

  const there = keepaliveAt(0);
  there.keepalive.doubt();
  there.keepalive.heard();
  for (let second = 1; second <= 10; second += 1) {
    there.state.now = second;
    there.keepalive.tick();
  }
  assert.equal(there.state.lost, 0);
});

test('after a sleep of this device the other side gets a moment to answer', () => {
  const { keepalive, state } = keepaliveAt(0);
  state.now = 1;
  keepalive.tick();
  state.now = 3600;
  keepalive.tick();
  assert.equal(state.lost, 0);
  assert.equal(state.pings.length, 1);
  for (let second = 1; second <= 5; second += 1) {
    state.now = 3600 + second;
    keepalive.tick();
  }
  assert.equal(state.lost, 1);
});

// The meter

test('a steady rate is measured, and a stall shows', () => {
  const meter = new Meter();
  for (let tenth = 0; tenth <= 50; tenth += 1) meter.add(tenth / 10, tenth * 100);
  assert.ok(Math.abs(meter.rate(5) - 1000) < 50);
  assert.ok(meter.rate(15) < 400);
});

test('nothing is claimed before there is anything to measure', () => {
  const meter = new Meter();
  assert.equal(meter.rate(1), 0);
  meter.add(1, 500);
  assert.equal(meter.rate(1.1), 0);
});

// Statistics

const report = (
  /** @type {object} */ pair,
  /** @type {string} */ localType,
  /** @type {string} */ remoteType,
  transport = false,
) =>
  new Map(
    [
      ...(transport ? [{ id: 'T', type: 'transport', selectedCandidatePairId: 'P' }] : []),
      {
        id: 'X',
        type: 'candidate-pair',
        state: 'failed',
        localCandidateId: 'L',
        remoteCandidateId: 'R',
      },
      { id: 'P', type: 'candidate-pair', localCandidateId: 'L', remoteCandidateId: 'R', ...pair },
      {
        id: 'L',
        type: 'local-candidate',
        candidateType: localType,
        address: '10.0.0.1',
        port: 5,
        protocol: 'udp',
      },
      {
        id: 'R',
        type: 'remote-candidate',
        candidateType: remoteType,
        ip: 'fd00::1',
        port: 6,
        protocol: 'udp',
      },
    ].map((stat) => [stat.id, stat]),
  );

test('the path is direct or relayed, as the pair in use says', () => {
  const chromium = pathOf(report({ currentRoundTripTime: 0.02 }, 'host', 'prflx', true));
  assert.deepEqual(chromium, {
    kind: 'direct',
    local: { type: 'host', address: '10.0.0.1', port: 5, protocol: 'udp' },
    remote: { type: 'prflx', address: 'fd00::1', port: 6, protocol: 'udp' },
    roundTrip: 0.02,
  });
  assert.equal(pathOf(report({ selected: true }, 'relay', 'host'))?.kind, 'relayed');
  assert.equal(
    pathOf(report({ nominated: true, state: 'succeeded' }, 'host', 'relay'))?.kind,
    'relayed',
  );
  assert.equal(pathOf(new Map()), null);
});

// Problems

test('every problem is a code, a sentence and a button', () => {
  const known = problem('no_path');
  assert.ok(known instanceof Problem && known.sentence.endsWith('.') && known.action !== '');
  assert.equal(problem('toString').code, 'unexpected');
  assert.equal(asProblem(known), known);
  assert.equal(asProblem(new Error('x'), 'disk').code, 'disk');
});
