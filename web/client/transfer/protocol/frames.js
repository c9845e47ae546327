// @ts-check
// The binary frames of the `blocks` channel. All integers are big-endian.
//
//     type u8 · flags u8 (0) · reserved u16 (0) · transfer u32 · file u32 · offset u64
//     type 1 SEGMENT  offset: the segment's start; then length u32 · sha256[32]
//     type 2 DATA     offset: where in the file; then the bytes, never past their segment's end
//     type 4 PACK     file and offset: 0; then small files: file u32 · length u32 · sha256[32] · bytes
//
// Unknown types are ignored, so that later versions can add types.

/** The length of a segment, in bytes; the last one of a file is shorter. */
export const SEGMENT_SIZE = 1024 * 1024;
/** The length of a frame's header, in bytes. */
export const HEADER_SIZE = 20;
/** The maximum length of a frame with its header, in bytes. */
export const MAX_FRAME = 65536;

const TYPE_SEGMENT = 1;
const TYPE_DATA = 2;
const TYPE_PACK = 4;
const DIGEST_SIZE = 32;
/** The length of the header of each file in a PACK, in bytes. */
export const PACKED_HEADER_SIZE = 8 + DIGEST_SIZE;

/** A frame violates the protocol. */
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
 * @typedef {{file: number, digest: Uint8Array<ArrayBuffer>, content: Uint8Array<ArrayBuffer>}} PackedFile
 * @typedef {{type: 'pack', transfer: number, files: PackedFile[]}} PackFrame
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
 * @param {{transfer: number, files: readonly PackedFile[]}} pack
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function encodePack({ transfer, files }) {
  const size = files.reduce((sum, { content }) => sum + PACKED_HEADER_SIZE + content.length, 0);
  const frame = new Uint8Array(HEADER_SIZE + size);
  const view = writeHeader(frame, TYPE_PACK, transfer, 0, 0);
  let at = HEADER_SIZE;
  for (const { file, digest, content } of files) {
    view.setUint32(at, file);
    view.setUint32(at + 4, content.length);
    frame.set(digest, at + 8);
    frame.set(content, at + PACKED_HEADER_SIZE);
    at += PACKED_HEADER_SIZE + content.length;
  }
  return frame;
}

/**
 * @param {ArrayBuffer} buffer
 * @returns {PackedFile[]} at least one
 * @throws {FrameError}
 */
function parsePack(buffer) {
  const view = new DataView(buffer);
  /** @type {PackedFile[]} */
  const files = [];
  for (let at = HEADER_SIZE; at < buffer.byteLength || files.length === 0;) {
    const start = at + PACKED_HEADER_SIZE;
    if (start >= buffer.byteLength) throw new FrameError('a pack that is cut short');
    const length = view.getUint32(at + 4);
    if (length === 0 || start + length > buffer.byteLength)
      throw new FrameError('a pack that is cut short');
    files.push({
      file: view.getUint32(at),
      digest: new Uint8Array(buffer, at + 8, DIGEST_SIZE).slice(),
      content: new Uint8Array(buffer, start, length),
    });
    at = start + length;
  }
  return files;
}

/**
 * The payload length of each DATA frame of a segment, in bytes: equal parts, so that no frame is
 * tiny.
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
 * Parses one frame. The payload is a view of the given bytes, not a copy.
 *
 * @param {ArrayBuffer} buffer
 * @returns {SegmentFrame | DataFrame | PackFrame | UnknownFrame}
 * @throws {FrameError}
 */
export function parseFrame(buffer) {
  if (buffer.byteLength < HEADER_SIZE) throw new FrameError(`frame of ${buffer.byteLength} bytes`);
  const view = new DataView(buffer);
  const type = view.getUint8(0);
  const transfer = view.getUint32(4);
  if (type !== TYPE_SEGMENT && type !== TYPE_DATA && type !== TYPE_PACK)
    return { type: 'unknown', transfer };
  if (buffer.byteLength > MAX_FRAME) throw new FrameError(`frame of ${buffer.byteLength} bytes`);
  if (view.getUint8(1) !== 0) throw new FrameError('unknown flags');
  if (type === TYPE_PACK) return { type: 'pack', transfer, files: parsePack(buffer) };
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
