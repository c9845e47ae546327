import assert from 'node:assert/strict';
import { test } from 'node:test';

import { hex, sha256 } from '../../web/client/transfer/engine/base.js';
import {
  FrameError,
  MAX_FRAME,
  SEGMENT_SIZE,
  encodeData,
  encodePack,
  encodeSegment,
  parseFrame,
  partSize,
  segmentFrames,
} from '../../web/client/transfer/protocol/frames.js';
import { fromHex, toHex, vectors } from './support/vectors.js';

const golden = vectors('transfer');

for (const vector of golden.frames) {
  test(`a frame is read and written as in the vectors: ${vector.name}`, () => {
    const frame = parseFrame(fromHex(vector.hex).buffer);
    if (vector.type === 4) {
      assert.equal(frame.type, 'pack');
      const files = frame.files.map((one) => [one.file, toHex(one.digest), toHex(one.content)]);
      assert.deepEqual(files, vector.files);
      assert.equal(toHex(encodePack(frame)), vector.hex);
      return;
    }
    assert.equal(frame.type, vector.type === 1 ? 'segment' : 'data');
    assert.equal(frame.transfer, vector.transfer);
    assert.equal(frame.file, vector.file);
    assert.equal(frame.offset, vector.offset);
    if (frame.type === 'segment') {
      assert.equal(frame.length, vector.length);
      assert.equal(toHex(frame.digest), vector.digest);
      assert.equal(toHex(encodeSegment(frame)), vector.hex);
    } else {
      assert.equal(toHex(frame.payload), vector.payload);
      assert.equal(toHex(encodeData(frame)), vector.hex);
    }
  });
}

for (const vector of golden.ignored_frames) {
  test(`a frame of an unknown type is ignored: ${vector.name}`, () => {
    assert.equal(parseFrame(fromHex(vector.hex).buffer).type, 'unknown');
  });
}

for (const vector of golden.bad_frames) {
  test(`a malformed frame is refused: ${vector.name}`, () => {
    assert.throws(() => parseFrame(fromHex(vector.hex).buffer), FrameError);
  });
}

test('a frame longer than 64 KiB is refused', () => {
  const payload = new Uint8Array(MAX_FRAME - 19);
  assert.throws(
    () => parseFrame(encodeData({ transfer: 1, file: 0, offset: 0, payload }).buffer),
    FrameError,
  );
});

test("data that crosses its segment's end is refused", () => {
  const payload = new Uint8Array(2);
  const frame = encodeData({ transfer: 1, file: 0, offset: SEGMENT_SIZE - 1, payload });
  assert.throws(() => parseFrame(frame.buffer), FrameError);
});

for (const { length, max_frame: maxFrame, parts } of golden.cuts) {
  test(`a segment of ${length} bytes is cut as in the vectors for frames of ${maxFrame}`, () => {
    const data = new Uint8Array(length);
    const digest = new Uint8Array(32);
    const [first, ...rest] = segmentFrames(
      { transfer: 1, file: 0, offset: 0, data, digest },
      maxFrame,
    );
    assert.equal(parseFrame(first.buffer).type, 'segment');
    const cut = rest.map((frame) => {
      const parsed = parseFrame(frame.buffer);
      assert.ok(parsed.type === 'data');
      return [parsed.offset, parsed.payload.length];
    });
    assert.deepEqual(cut, parts);
  });
}

test('no frame size that carries nothing is accepted', () => {
  assert.throws(() => partSize(10, 20), FrameError);
});

for (const { size, digest } of golden.digests) {
  test(`the digest of a file of ${size} bytes is that of its segments' digests`, async () => {
    const content = Uint8Array.from(
      { length: size },
      (_, i) => (7 * i + Math.floor(i / 251)) % 256,
    );
    const digests = [];
    for (let at = 0; at < size; at += SEGMENT_SIZE) {
      digests.push(...(await sha256(content.slice(at, at + SEGMENT_SIZE))));
    }
    assert.equal(hex(await sha256(Uint8Array.from(digests))), digest);
  });
}
