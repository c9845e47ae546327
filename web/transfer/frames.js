// @ts-check
// The binary frames of the `blocks` channel. All integers are big-endian.
//
//     type u8 · flags u8 (0) · reserved u16 (0) · transfer u32 · file u32 · offset u64
//     type 1 SEGMENT  offset: the segment's start; then length u32 · sha256[32]
//     type 2 DATA     offset: where in the file; then the bytes, never past their segment's end
//
// Unknown types are ignored, so that later versions may add some.

/** Bytes of a segment; the last one of a file is shorter. */
export const SEGMENT_SIZE = 1024 * 1024;
/** Bytes before a frame's payload. */
export const HEADER_SIZE = 20;
/** Most bytes of a frame, header and payload. */
export const MAX_FRAME = 65536;

const TYPE_SEGMENT = 1;
const TYPE_DATA = 2;
const DIGEST_SIZE = 32;

/** A frame that no honest sender makes. */
export class FrameError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = 'FrameError';
  }
}

/**
 * @typedef {{type: 'segment', transfer: number, file: number, offset: number, length: number,
 *   digest: Uint8Array<ArrayBuffer>}} SegmentFrame
 * @typedef {{type: 'data', transfer: number, file: number, offset: number,
 *   payload: Uint8Array<ArrayBuffer>}} DataFrame
 * @typedef {{type: 'unknown', transfer: number}} UnknownFrame
 */

/**
 * @param {Uint8Array<ArrayBuffer>} frame
 * @param {number} type
 * @param {number} transfer
 * @param {number} file
 * @param {number} offset
 * @returns {DataView}
 */
function writeHeader(frame, type, transfer, file, offset) {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  view.setUint8(0, type);
  view.setUint32(4, transfer);
  view.setUint32(8, file);
  view.setBigUint64(12, BigInt(offset));
  return view;
}

/**
 * @param {{transfer: number, file: number, offset: number, length: number, digest: Uint8Array}} segment
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function encodeSegment({ transfer, file, offset, length, digest }) {
  const frame = new Uint8Array(HEADER_SIZE + 4 + DIGEST_SIZE);
  writeHeader(frame, TYPE_SEGMENT, transfer, file, offset).setUint32(HEADER_SIZE, length);
  frame.set(digest, HEADER_SIZE + 4);
  return frame;
}

/**
 * @param {{transfer: number, file: number, offset: number, payload: Uint8Array}} data
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function encodeData({ transfer, file, offset, payload }) {
  const frame = new Uint8Array(HEADER_SIZE + payload.length);
  writeHeader(frame, TYPE_DATA, transfer, file, offset);
  frame.set(payload, HEADER_SIZE);
  return frame;
}

/**
 * The bytes of each DATA frame of a segment: equal parts, so that no frame is a crumb.
 *
 * @param {number} length the segment's bytes, at least 1
 * @param {number} maxFrame most bytes of a frame
 * @returns {number}
 */
export function partSize(length, maxFrame) {
  const most = Math.min(maxFrame, MAX_FRAME) - HEADER_SIZE;
  if (most < 1) throw new FrameError(`frames of ${maxFrame} bytes carry nothing`);
  return Math.ceil(length / Math.ceil(length / most));
}

/**
 * All frames of one segment: its digest, then its data.
 *
 * @param {{transfer: number, file: number, offset: number, data: Uint8Array<ArrayBuffer>,
 *   digest: Uint8Array}} segment
 * @param {number} maxFrame
 * @returns {Generator<Uint8Array<ArrayBuffer>>}
 */
export function* segmentFrames({ transfer, file, offset, data, digest }, maxFrame) {
  yield encodeSegment({ transfer, file, offset, length: data.length, digest });
  const size = partSize(data.length, maxFrame);
  for (let start = 0; start < data.length; start += size) {
    const payload = data.subarray(start, Math.min(start + size, data.length));
    yield encodeData({ transfer, file, offset: offset + start, payload });
  }
}

/**
 * Parses one frame. The payload is a view of what was given, not a copy.
 *
 * @param {ArrayBuffer} buffer
 * @returns {SegmentFrame | DataFrame | UnknownFrame}
 * @throws {FrameError}
 */
export function parseFrame(buffer) {
  if (buffer.byteLength < HEADER_SIZE) throw new FrameError(`frame of ${buffer.byteLength} bytes`);
  const view = new DataView(buffer);
  const type = view.getUint8(0);
  const transfer = view.getUint32(4);
  if (type !== TYPE_SEGMENT && type !== TYPE_DATA) return { type: 'unknown', transfer };
  if (buffer.byteLength > MAX_FRAME) throw new FrameError(`frame of ${buffer.byteLength} bytes`);
  if (view.getUint8(1) !== 0) throw new FrameError('unknown flags');
  const file = view.getUint32(8);
  const wide = view.getBigUint64(12);
  if (wide > BigInt(Number.MAX_SAFE_INTEGER)) throw new FrameError('offset out of range');
  const offset = Number(wide);
  if (type === TYPE_DATA) {
    const payload = new Uint8Array(buffer, HEADER_SIZE);
    if (payload.length === 0) throw new FrameError('data frame without data');
    if ((offset % SEGMENT_SIZE) + payload.length > SEGMENT_SIZE) {
      throw new FrameError("data past its segment's end");
    }
    return { type: 'data', transfer, file, offset, payload };
  }
  if (buffer.byteLength !== HEADER_SIZE + 4 + DIGEST_SIZE)
    throw new FrameError('bad segment frame');
  const length = view.getUint32(HEADER_SIZE);
  if (offset % SEGMENT_SIZE !== 0) throw new FrameError('segment off its place');
  if (length === 0 || length > SEGMENT_SIZE) throw new FrameError(`segment of ${length} bytes`);
  return {
    type: 'segment',
    transfer,
    file,
    offset,
    length,
    digest: new Uint8Array(buffer, HEADER_SIZE + 4).slice(),
  };
}
