// The sending and the receiving machine, connected directly: in order, out of order, and hostile.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';

import { SEGMENT_SIZE, encodePack, parseFrame, segmentFrames } from '../../web/client/transfer/protocol/frames.js';
import { parseTransferMessage } from '../../web/client/transfer/protocol/messages.js';
import { Receiver, WINDOW } from '../../web/client/transfer/protocol/receiver.js';
import { MAX_RETRIES, Sender } from '../../web/client/transfer/protocol/sender.js';

/** @typedef {import('../../web/client/transfer/protocol/messages.js').Entry} Entry */
/** @typedef {import('../../web/client/transfer/protocol/messages.js').TransferMessage} TransferMessage */
/** @typedef {import('../../web/client/transfer/protocol/frames.js').DataFrame} DataFrame */
/** @typedef {import('../../web/client/transfer/protocol/frames.js').SegmentFrame} SegmentFrame */
/** @typedef {import('../../web/client/transfer/protocol/sender.js').SenderEvent} SenderEvent */
/** @typedef {import('../../web/client/transfer/protocol/receiver.js').ReceiverEvent} ReceiverEvent */
/** @typedef {Uint8Array<ArrayBuffer>} Bytes */

const sha256 = (/** @type {Uint8Array} */ data) => new Uint8Array(createHash('sha256').update(data).digest());
const hex = (/** @type {Uint8Array} */ bytes) => Buffer.from(bytes).toString('hex');
function content(/** @type {number} */ size, seed = 1) {
  const data = new Uint8Array(size); // `Uint8Array.from` takes a second for so many
  for (let i = 0; i < size; i += 1) data[i] = i * 7 + seed + (i >> 8);
  return data;
}

/** A message, as the peer reads it. @returns {TransferMessage} */
function carried(/** @type {unknown} */ message) {
  const parsed = parseTransferMessage(JSON.parse(JSON.stringify(message)));
  assert.ok(parsed);
  return parsed;
}

/** @returns {Entry} */
const fileOf = (/** @type {number} */ size, path = 'f') => ({ path, kind: 'file', size });

/** A transfer whose two ends are machines; the wire and the disks are arrays. */
class Pair {
  /**
   * @param {Bytes[]} contents
   * @param {{damage?: (file: number, segment: number) => boolean, shuffle?: (frames: Bytes[]) => Bytes[],
   *   version?: number}} [options]
   */
  constructor(contents, { damage = () => false, shuffle = (frames) => frames, version = 2 } = {}) {
    this.contents = contents;
    this.version = version;
    this.damage = damage;
    this.shuffle = shuffle;
    this.entries = contents.map((data, i) => fileOf(data.length, `f${i}`));
    this.sender = new Sender({ transfer: 2, entries: this.entries });
    this.receiver = new Receiver(2);
    this.disk = contents.map((data) => new Uint8Array(data.length));
    /** @type {[who: 'sender' | 'receiver', event: SenderEvent | ReceiverEvent][]} */
    this.events = [];
    this.mostOpen = 0;
  }

  /** Carries messages in both directions until none is left. */
  run() {
    for (let moved = true; moved;) {
      moved = false;
      for (const message of this.#toSend()) {
        if (typeof message.version === 'number') message.version = Math.min(message.version, this.version);
        this.receiver.receive(carried(message));
        moved = true;
      }
      for (const frame of this.shuffle(this.#frames())) {
        const parsed = parseFrame(frame.buffer);
        assert.ok(parsed.type !== 'unknown');
        this.receiver.receiveFrame(parsed);
        moved = true;
      }
      moved = this.#drain(this.receiver, 'receiver') || moved;
      for (const message of this.receiver.messagesToSend()) {
        this.sender.receive(carried(message));
        moved = true;
      }
      moved = this.#drain(this.sender, 'sender') || moved;
    }
    return this;
  }

  #toSend() {
    const pages = [];
    for (let page; (page = this.sender.nextPage());) pages.push(page);
    return [...pages, ...this.sender.messagesToSend()];
  }

  #frames() {
    const frames = [];
    let open = 0;
    for (let wanted; (wanted = this.sender.nextSegment());) {
      const { file, segment, offset, length } = wanted;
      const data = this.contents[file].slice(offset, offset + length);
      const digest = sha256(data);
      this.sender.segmentRead(wanted, digest);
      if (this.damage(file, segment)) data[0] ^= 1;
      if (this.sender.version > 1 && data.length < 60000 && data.length === this.contents[file].length)
        frames.push(encodePack({ transfer: 2, files: [{ file, digest, content: data }] }));
      else frames.push(...segmentFrames({ transfer: 2, file, offset, data, digest }, 65536));
      open += 1;
    }
    this.mostOpen = Math.max(this.mostOpen, open);
    return frames;
  }

  /**
   * @param {Sender | Receiver} machine
   * @param {'sender' | 'receiver'} who
   */
  #drain(machine, who) {
    let moved = false;
    for (let event; (event = machine.nextEvent()); moved = true) {
      this.events.push([who, event]);
      if (event.type === 'offered') this.receiver.accept();
      if (event.type === 'segment') {
        if (hex(sha256(event.data)) === hex(event.digest)) {
          this.disk[event.file].set(event.data, event.offset);
          this.receiver.segmentWritten(event.file, event.segment);
        } else {
          this.receiver.segmentDamaged(event.file, event.segment);
        }
      }
      if (event.type === 'finish') {
        const whole = sha256(event.digests);
        this.receiver.fileFinished(event.file, hex(this.version > 1 ? sha256(whole) : whole));
      }
      if (event.type === 'files') {
        const own = Buffer.concat(event.files.map(({ digests }) => sha256(digests ?? new Uint8Array())));
        assert.equal(hex(event.together ? sha256(own) : own), event.digest);
      }
      if (event.type === 'skipped' && who === 'receiver') this.receiver.fileSkipped(event.file);
    }
    return moved;
  }

  outcome(/** @type {'sender' | 'receiver'} */ who) {
    return this.events
      .filter(([by, { type }]) => by === who && (type === 'done' || type === 'failed'))
      .map(([, event]) => event);
  }
}

const reversed = (/** @type {Bytes[]} */ frames) => [...frames].reverse();
const dealt = (/** @type {Bytes[]} */ frames) =>
  frames
    .map((frame, i) => ({ frame, place: (i * 7919) % frames.length }))
    .sort((a, b) => a.place - b.place)
    .map(({ frame }) => frame);

for (const { name, shuffle, version } of [
  { name: 'in order', shuffle: (/** @type {Bytes[]} */ frames) => frames, version: 2 },
  { name: 'backwards', shuffle: reversed, version: 2 },
  { name: 'in any order', shuffle: dealt, version: 2 },
  { name: 'in any order, in version 1', shuffle: dealt, version: 1 },
]) {
  test(`files arrive whole when their frames come ${name}`, () => {
    const sizes = [0, 1, SEGMENT_SIZE - 1, SEGMENT_SIZE, SEGMENT_SIZE + 1, 20 * SEGMENT_SIZE + 5];
    const pair = new Pair(
      sizes.map((size, i) => content(size, i)),
      { shuffle, version },
    ).run();
    assert.equal(pair.sender.version, version);
    assert.deepEqual(pair.outcome('sender'), [{ type: 'done', leftOut: 0 }]);
    assert.deepEqual(pair.outcome('receiver'), [{ type: 'done' }]);
    pair.contents.forEach((data, i) =>
      assert.ok(Buffer.from(data).equals(Buffer.from(pair.disk[i]))),
    );
    assert.ok(pair.mostOpen <= WINDOW);
  });
}

test('a transfer of nothing but empty folders is done at once', () => {
  const sender = new Sender({ transfer: 2, entries: [{ path: 'a/b', kind: 'dir' }] });
  const receiver = new Receiver(2);
  receiver.receive(carried(sender.nextPage()));
  assert.equal(receiver.nextEvent()?.type, 'offered');
  receiver.accept();
  for (const message of receiver.messagesToSend()) sender.receive(carried(message));
  assert.equal(sender.state, 'done');
  assert.equal(receiver.state, 'done');
});

test('a damaged segment is sent again and the file arrives whole', () => {
  let times = 0;
  const damage = (/** @type {number} */ _, /** @type {number} */ segment) => segment === 1 && (times += 1) <= MAX_RETRIES;
  const pair = new Pair([content(3 * SEGMENT_SIZE)], { damage }).run();
  assert.equal(times, MAX_RETRIES + 1);
  assert.deepEqual(pair.outcome('sender'), [{ type: 'done', leftOut: 0 }]);
  assert.ok(Buffer.from(pair.contents[0]).equals(Buffer.from(pair.disk[0])));
});

test('a segment that always arrives damaged ends the transfer on both sides', () => {
  const pair = new Pair([content(3 * SEGMENT_SIZE)], {
    damage: (_, segment) => segment === 1,
  }).run();
  for (const who of /** @type {const} */ (['receiver', 'sender'])) {
    const [event] = pair.outcome(who);
    assert.ok(event.type === 'failed');
    assert.equal(event.code, 'integrity');
  }
});

test('segments that the receiver has already are not sent again', () => {
  const sender = new Sender({
    transfer: 2,
    entries: [{ path: 'f', kind: 'file', size: 5 * SEGMENT_SIZE }],
  });
  sender.receive({ t: 'have', transfer: 2, have: new Map([[0, [[3, 3]]]]) });
  sender.receive({ t: 'accept', transfer: 2, window: 9, have: new Map([[0, [[0, 1]]]]), version: 2 });
  const sent = [];
  for (let wanted; (wanted = sender.nextSegment());) sent.push(wanted.segment);
  assert.deepEqual(sent, [2, 4]);
});

const OFFER = /** @type {const} */ ({ t: 'offer', transfer: 2, more: false, version: 2, left_out: 0 });

function offered(entries = [fileOf(40 * SEGMENT_SIZE)]) {
  const receiver = new Receiver(2);
  const files = entries.filter(({ kind }) => kind === 'file');
  const bytes = files.reduce((sum, { size = 0 }) => sum + size, 0);
  receiver.receive({ ...OFFER, files: files.length, bytes, entries });
  return receiver;
}

function accepted(/** @type {Entry[] | undefined} */ entries = undefined) {
  const receiver = offered(entries);
  receiver.accept();
  receiver.messagesToSend();
  receiver.nextEvent();
  return receiver;
}

/** @returns {DataFrame} */
const data = (/** @type {number} */ offset, /** @type {number} */ size, file = 0) => ({
  type: 'data',
  transfer: 2,
  file,
  offset,
  payload: new Uint8Array(size),
});
/** @returns {SegmentFrame} */
const announce = (/** @type {number} */ offset, /** @type {number} */ length, file = 0) => ({
  type: 'segment',
  transfer: 2,
  file,
  offset,
  length,
  digest: new Uint8Array(32),
});

/** @type {Record<string, [make: () => Receiver, frames: (DataFrame | SegmentFrame)[]]>} */
const ATTACKS = {
  'data before it was accepted': [() => offered(), [data(0, 1)]],
  'data of a file that was not offered': [accepted, [data(0, 1, 7)]],
  'data of a folder': [
    () =>
      accepted([
        { path: 'd', kind: 'dir' },
        { path: 'f', kind: 'file', size: 1 },
      ]),
    [data(0, 1)],
  ],
  "data past the file's end": [accepted, [data(40 * SEGMENT_SIZE, 1)]],
  "data across the file's end": [
    () => accepted([{ path: 'f', kind: 'file', size: 10 }]),
    [data(5, 6)],
  ],
  'the same data twice': [accepted, [data(0, 100), data(50, 100)]],
  'a segment announced twice': [accepted, [announce(0, SEGMENT_SIZE), announce(0, SEGMENT_SIZE)]],
  'a segment of a wrong length': [accepted, [announce(0, 5)]],
  'more segments than were granted': [
    accepted,
    Array.from({ length: WINDOW + 1 }, (_, i) => data(i * SEGMENT_SIZE, 1)),
  ],
  'data in a thousand crumbs': [accepted, Array.from({ length: 1100 }, (_, i) => data(i * 2, 1))],
};

for (const [name, [make, frames]] of Object.entries(ATTACKS)) {
  test(`a sender that sends ${name} is cut off`, () => {
    const receiver = make();
    receiver.messagesToSend();
    for (const frame of frames) receiver.receiveFrame(frame);
    assert.equal(receiver.state, 'failed');
    const [message] = receiver.messagesToSend();
    assert.equal(message.code, 'protocol');
    assert.ok(message.t === 'cancel' || message.t === 'decline');
  });
}

test('the data that a sender can make the receiver hold is bounded by the window', () => {
  const receiver = accepted();
  for (let i = 0; i < WINDOW; i += 1) receiver.receiveFrame(data(i * SEGMENT_SIZE, 60000));
  assert.equal(receiver.bytesPending, WINDOW * 60000);
  receiver.receiveFrame(data(WINDOW * SEGMENT_SIZE, 60000));
  assert.equal(receiver.bytesPending, 0);
});

test('totals that do not fit the entries are declined', () => {
  const receiver = new Receiver(2);
  receiver.receive({ ...OFFER, files: 1, bytes: 6, entries: [fileOf(5)] });
  assert.deepEqual(
    receiver.messagesToSend().map(({ t, code }) => [t, code]),
    [['decline', 'protocol']],
  );
});

test('a name that is not safe is declined before anybody is asked', () => {
  const receiver = offered([fileOf(5, '../f')]);
  assert.equal(receiver.state, 'failed');
  assert.equal(receiver.messagesToSend()[0].code, 'unsafe_name');
  const event = receiver.nextEvent();
  assert.ok(event?.type === 'failed');
  assert.equal(event.code, 'unsafe_name');
});

test('the memory of an offer is known, and released when it is declined', () => {
  const receiver = new Receiver(2);
  const entries = Array.from({ length: 4096 }, (_, i) => fileOf(0, `${i}`));
  const offer = { ...OFFER, files: 4096, bytes: 0, entries, more: true, version: 1 };
  receiver.receive({ ...offer, left_out: 3 });
  assert.ok(receiver.weight > 4096 * 200);
  receiver.decline('busy');
  assert.ok(receiver.weight < 400 * 220);
  assert.equal(receiver.entries.length, 400);
});

test('a file that cannot be read is skipped on both sides', () => {
  const pair = new Pair([content(10), content(3 * SEGMENT_SIZE), content(0), content(20)]);
  const next = pair.sender.nextSegment.bind(pair.sender);
  pair.sender.nextSegment = () => {
    const wanted = next();
    if (wanted?.file !== 1) return wanted;
    assert.ok(pair.sender.skip(1, 'has vanished'));
    return pair.sender.nextSegment();
  };
  pair.run();
  assert.deepEqual(pair.outcome('sender'), [{ type: 'done', leftOut: 0 }]);
  assert.deepEqual(pair.outcome('receiver'), [{ type: 'done' }]);
  const skipped = pair.events.filter(([, { type }]) => type === 'skipped').map(([who]) => who);
  assert.deepEqual(skipped.sort(), ['receiver', 'sender']);
});

test('the last file is not skipped, nor one of which something was sent', () => {
  const only = new Sender({ transfer: 2, entries: [{ path: 'f', kind: 'file', size: 5 }] });
  only.receive(carried({ t: 'accept', transfer: 2, window: 4, version: 2 }));
  only.nextSegment();
  assert.equal(only.skip(0, 'has vanished'), false);
  const pair = new Pair([content(10), content(3 * SEGMENT_SIZE)]);
  pair.sender.receive(carried({ t: 'accept', transfer: 2, window: 4, version: 2 }));
  pair.sender.nextSegment();
  const wanted = pair.sender.nextSegment();
  assert.ok(wanted);
  pair.sender.segmentRead(wanted, new Uint8Array(32));
  assert.equal(pair.sender.skip(1, 'has vanished'), false);
});

test('many small files share the window by their bytes', () => {
  const entries = Array.from({ length: 500 }, (_, i) => fileOf(9, `${i}`));
  for (const [version, most] of [
    [1, 2],
    [2, 128],
  ]) {
    const sender = new Sender({ transfer: 2, entries });
    sender.receive(carried({ t: 'accept', transfer: 2, window: 2, version }));
    let count = 0;
    while (sender.nextSegment()) count += 1;
    assert.equal(count, most);
  }
});

const packed = (/** @type {number} */ file, /** @type {number} */ size) => ({
  file,
  content: content(size),
  digest: sha256(content(size)),
});

for (const [name, lie] of Object.entries({
  'of a file that is not there': [packed(9, 5)],
  'of another size': [packed(0, 6)],
  'of a file twice': [packed(0, 5), packed(0, 5)],
})) {
  test(`a pack ${name} ends the transfer`, () => {
    const receiver = new Receiver(2);
    const entries = [{ path: 'f', kind: 'file', size: 5 }];
    const offer = { t: 'offer', transfer: 2, files: 1, bytes: 5, entries, version: 2 };
    receiver.receive(carried(offer));
    receiver.accept();
    receiver.receiveFrame({ type: 'pack', transfer: 2, files: lie });
    assert.equal(receiver.state, 'failed');
    assert.equal(receiver.messagesToSend().at(-1)?.code, 'protocol');
  });
}

/** @type {Record<string, TransferMessage>} */
const LIES = {
  'acknowledges what was not sent': { t: 'ack', transfer: 2, file: 0, segments: [[30, 30]] },
  "acknowledges past the file's end": { t: 'ack', transfer: 2, file: 0, segments: [[0, 2 ** 40]] },
  'acknowledges a file that was not begun': { t: 'ack', transfer: 2, file: 9, segments: [[0, 0]] },
  'asks again for what was not sent': { t: 'retry', transfer: 2, file: 0, segment: 30 },
  'confirms a file that is not there': {
    t: 'file_done',
    transfer: 2,
    file: 0,
    digest: '0'.repeat(64),
  },
  'is done too early': { t: 'done', transfer: 2, files: 1, bytes: 40 * SEGMENT_SIZE, left_out: 0 },
  'accepts twice': { t: 'accept', transfer: 2, window: 3, have: new Map(), version: 2 },
};

for (const [name, lie] of Object.entries(LIES)) {
  test(`a receiver that ${name} is cut off`, () => {
    const sender = new Sender({
      transfer: 2,
      entries: [{ path: 'f', kind: 'file', size: 40 * SEGMENT_SIZE }],
    });
    sender.receive({ t: 'accept', transfer: 2, window: 3, have: new Map(), version: 2 });
    const wanted = sender.nextSegment();
    assert.ok(wanted);
    sender.segmentRead(wanted, new Uint8Array(32));
    sender.messagesToSend();
    sender.receive(lie);
    assert.equal(sender.state, 'failed');
    assert.equal(sender.messagesToSend()[0].code, 'protocol');
    assert.equal(sender.nextSegment(), null);
  });
}

test('a greedy window does not make the sender read everything at once', () => {
  const sender = new Sender({
    transfer: 2,
    entries: [{ path: 'f', kind: 'file', size: 2000 * SEGMENT_SIZE }],
  });
  sender.receive({ t: 'accept', transfer: 2, window: 65535, have: new Map(), version: 2 });
  let count = 0;
  while (sender.nextSegment()) count += 1;
  assert.ok(count <= 64);
});

test('a transfer sends and requests nothing after its end', () => {
  const pair = new Pair([content(5)]).run();
  pair.sender.receive({ t: 'cancel', transfer: 2, code: 'cancelled', message: '' });
  pair.receiver.receiveFrame(data(0, 5));
  pair.sender.cancel('cancelled');
  pair.receiver.cancel('cancelled');
  assert.deepEqual([...pair.sender.messagesToSend(), ...pair.receiver.messagesToSend()], []);
  assert.equal(pair.sender.nextEvent() ?? pair.receiver.nextEvent(), null);
});
