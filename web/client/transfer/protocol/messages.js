// @ts-check
// The transfer messages of the `control` channel: checks received ones, divides an offer into
// pages.

import { BadMessage, isRecord } from '../../server/messages.js';
import { SEGMENT_SIZE } from './frames.js';

/** The latest supported version of the protocol. */
export const VERSION = 2;
/** The minimum credit of a small file in version 2, in bytes. */
const SMALL_CREDIT = 16 * 1024;
/** Maximum length of a control message, in bytes of UTF-8. */
export const MAX_CONTROL_MESSAGE = 48 * 1024;
/** Maximum memory of the lists of all offers of a link before they are accepted, in bytes. */
export const MAX_UNDECIDED_BYTES = 32 * 1024 * 1024;
/** Maximum number of entries that a page sends in one transfer: more overload a tab. */
export const MAX_SENT = 500_000;

const MAX_U32 = 0xffffffff;
const MAX_PAGE_ENTRIES = 4096;
const MAX_WINDOW = 65535;
const MAX_CODE = 32;
const MAX_SENTENCE = 1000;
const MAX_REASON = 200;
const MAX_RANGES = 4096;
const MAX_PATH = 4096;

/** @typedef {[first: number, last: number]} Range segments, both ends included */
/**
 * @typedef {object} Entry one line of a manifest
 * @property {string} path relative, parts joined by `/`
 * @property {'file' | 'dir' | 'link'} kind
 * @property {number} [size] bytes, files only
 * @property {number} [mtime] unix time in ms
 * @property {number} [mode] unix permission bits
 * @property {string} [target] links only
 * @property {boolean} [escaped] whether `%E7` in path and target is a byte that is not UTF-8
 */
/**
 * @typedef {{t: 'offer', transfer: number, files: number, bytes: number, entries: Entry[], more: boolean,
 *   version: number, left_out: number}} Offer
 * @typedef {{t: 'offer_more', transfer: number, entries: Entry[], more: boolean}} OfferMore
 * @typedef {{t: 'have', transfer: number, have: Map<number, Range[]>}} Have
 * @typedef {{t: 'accept', transfer: number, window: number, have: Map<number, Range[]>,
 *   version: number}} Accept
 * @typedef {{t: 'decline', transfer: number, code: string, message: string}} Decline
 * @typedef {{t: 'ack', transfer: number, file: number, segments: Range[]}} Ack
 * @typedef {{t: 'file_done', transfer: number, file: number, digest: string}} FileDone
 * @typedef {{t: 'files_done', transfer: number, files: Range[], digest: string}} FilesDone
 * @typedef {{t: 'skip', transfer: number, file: number, reason: string}} Skip
 * @typedef {{t: 'done', transfer: number, files: number, bytes: number, left_out: number}} Done
 * @typedef {{t: 'retry', transfer: number, file: number, segment: number}} Retry
 * @typedef {{t: 'cancel', transfer: number, code: string, message: string}} Cancel
 * @typedef {Offer | OfferMore | Have | Accept | Decline | Ack | FileDone | FilesDone | Skip | Done | Retry | Cancel} TransferMessage
 * @typedef {{t: string, transfer: number, [field: string]: unknown}} OutgoingMessage as JSON takes it
 */

/**
 * @param {Record<string, unknown>} record
 * @param {string} key
 * @param {number} most
 * @returns {number}
 */
function integer(record, key, most = Number.MAX_SAFE_INTEGER) {
  const value = record[key];
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0 || value > most) {
    throw new BadMessage(`bad ${key}`);
  }
  return value;
}

/**
 * An optional text; a missing one counts as empty.
 *
 * @param {Record<string, unknown>} record
 * @param {string} key
 * @param {number} most UTF-16 units
 */
function optionalText(record, key, most) {
  const value = record[key] ?? '';
  if (typeof value !== 'string' || value.length > most) throw new BadMessage(`bad ${key}`);
  return value;
}

/** @param {Record<string, unknown>} record */
function reason(record) {
  if (typeof record.code !== 'string') throw new BadMessage('bad code');
  return {
    code: optionalText(record, 'code', MAX_CODE),
    message: optionalText(record, 'message', MAX_SENTENCE),
  };
}

/**
 * @param {unknown} value
 * @returns {Entry}
 */
function parseEntry(value) {
  if (!isRecord(value)) throw new BadMessage('bad entry');
  const { path, kind, mtime, mode, target, escaped } = value;
  if (typeof path !== 'string' || path.length === 0 || path.length > MAX_PATH)
    throw new BadMessage('bad path');
  if (kind !== 'file' && kind !== 'dir' && kind !== 'link') throw new BadMessage('bad kind');
  /** @type {Entry} */
  const entry = { path, kind };
  if (kind === 'file') entry.size = integer(value, 'size');
  else if (value.size !== undefined) throw new BadMessage('bad size');
  if (mtime !== undefined) {
    if (!Number.isSafeInteger(mtime)) throw new BadMessage('bad mtime');
    entry.mtime = /** @type {number} */ (mtime);
  }
  if (mode !== undefined) entry.mode = integer(value, 'mode', 0o177777);
  if (kind === 'link') {
    if (typeof target !== 'string' || target.length === 0 || target.length > MAX_PATH) {
      throw new BadMessage('bad target');
    }
    entry.target = target;
  } else if (target !== undefined) throw new BadMessage('bad target');
  if (escaped !== undefined) {
    if (typeof escaped !== 'boolean') throw new BadMessage('bad escaped');
    if (escaped) entry.escaped = true;
  }
  return entry;
}

/**
 * @param {Record<string, unknown>} record
 * @returns {Entry[]}
 */
function parseEntries(record) {
  const { entries } = record;
  if (!Array.isArray(entries) || entries.length > MAX_PAGE_ENTRIES)
    throw new BadMessage('bad entries');
  return entries.map(parseEntry);
}

/**
 * @param {unknown} value
 * @returns {Range[]}
 */
function parseRanges(value) {
  if (!Array.isArray(value) || value.length > MAX_RANGES) throw new BadMessage('bad segments');
  return value.map((range) => {
    if (!isRange(range)) throw new BadMessage('bad segments');
    return range;
  });
}

/**
 * @param {unknown} value
 * @returns {value is Range}
 */
function isRange(value) {
  if (!Array.isArray(value) || value.length !== 2) return false;
  return value.every((end) => Number.isSafeInteger(end)) && value[0] >= 0 && value[1] >= value[0];
}

/**
 * @param {unknown} value
 * @returns {Map<number, Range[]>}
 */
function parseHave(value) {
  /** @type {Map<number, Range[]>} */
  const have = new Map();
  if (value === undefined || value === null) return have;
  if (!isRecord(value)) throw new BadMessage('bad have');
  for (const [file, ranges] of Object.entries(value)) {
    if (!/^\d{1,10}$/.test(file) || Number(file) > MAX_U32) throw new BadMessage('bad have');
    have.set(Number(file), parseRanges(ranges));
  }
  return have;
}

/** @param {Record<string, unknown>} record */
function parseDigest({ digest }) {
  if (typeof digest !== 'string' || !/^[0-9a-f]{64}$/.test(digest))
    throw new BadMessage('bad digest');
  return digest;
}

/** @param {Record<string, unknown>} record the version that its sender speaks, 1 when it says none */
function parseVersion(record) {
  if (record.version === undefined) return 1;
  const version = integer(record, 'version', MAX_U32);
  if (version === 0) throw new BadMessage('bad version');
  return version;
}

/** @param {Record<string, unknown>} record how much was left out */
function parseLeftOut(record) {
  return record.left_out === undefined ? 0 : integer(record, 'left_out', MAX_U32);
}

/**
 * Checks a control message of a transfer.
 *
 * @param {Record<string, unknown>} record a parsed JSON object
 * @returns {TransferMessage | null} null if its type does not belong to transfers
 * @throws {BadMessage}
 */
export function parseTransferMessage(record) {
  const transfer = () => integer(record, 'transfer', MAX_U32);
  switch (record.t) {
    case 'offer':
      return {
        t: 'offer',
        transfer: transfer(),
        files: integer(record, 'files', MAX_U32),
        bytes: integer(record, 'bytes'),
        entries: parseEntries(record),
        more: record.more === true,
        version: parseVersion(record),
        left_out: parseLeftOut(record),
      };
    case 'offer_more':
      return {
        t: 'offer_more',
        transfer: transfer(),
        entries: parseEntries(record),
        more: record.more === true,
      };
    case 'have':
      return { t: 'have', transfer: transfer(), have: parseHave(record.have) };
    case 'accept': {
      const window = integer(record, 'window', MAX_WINDOW);
      if (window === 0) throw new BadMessage('bad window');
      return {
        t: 'accept',
        transfer: transfer(),
        window,
        have: parseHave(record.have),
        version: parseVersion(record),
      };
    }
    case 'decline':
      return { t: 'decline', transfer: transfer(), ...reason(record) };
    case 'ack':
      return {
        t: 'ack',
        transfer: transfer(),
        file: integer(record, 'file', MAX_U32),
        segments: parseRanges(record.segments),
      };
    case 'file_done':
      return {
        t: 'file_done',
        transfer: transfer(),
        file: integer(record, 'file', MAX_U32),
        digest: parseDigest(record),
      };
    case 'files_done':
      return {
        t: 'files_done',
        transfer: transfer(),
        files: parseRanges(record.files),
        digest: parseDigest(record),
      };
    case 'skip':
      return {
        t: 'skip',
        transfer: transfer(),
        file: integer(record, 'file', MAX_U32),
        reason: optionalText(record, 'reason', MAX_REASON),
      };
    case 'done':
      return {
        t: 'done',
        transfer: transfer(),
        files: integer(record, 'files', MAX_U32),
        bytes: integer(record, 'bytes'),
        left_out: parseLeftOut(record),
      };
    case 'retry':
      return {
        t: 'retry',
        transfer: transfer(),
        file: integer(record, 'file', MAX_U32),
        segment: integer(record, 'segment'),
      };
    case 'cancel':
      return { t: 'cancel', transfer: transfer(), ...reason(record) };
    default:
      return null;
  }
}

/**
 * Divides a manifest into an `offer` and the necessary `offer_more`, lazily.
 *
 * @param {number} transfer
 * @param {readonly Entry[]} entries
 * @returns {Generator<OutgoingMessage, void>} messages whose JSON text is at most `MAX_CONTROL_MESSAGE` bytes
 *   each
 */
export function* offerMessages(transfer, entries) {
  const { files, bytes } = totals(entries);
  const encoder = new TextEncoder();
  // Space for the message around its entries: keys, numbers and `more`.
  const envelope = 256;
  let head = /** @type {OutgoingMessage} */ ({ t: 'offer', transfer, files, bytes, version: VERSION });
  /** @type {Entry[]} */
  let page = [];
  let used = envelope;
  for (const entry of entries) {
    const size = encoder.encode(JSON.stringify(entry)).length + 1;
    const isFull = used + size > MAX_CONTROL_MESSAGE || page.length === MAX_PAGE_ENTRIES;
    if (page.length > 0 && isFull) {
      yield { ...head, entries: page, more: true };
      head = { t: 'offer_more', transfer };
      page = [];
      used = envelope;
    }
    page.push(entry);
    used += size;
  }
  yield { ...head, entries: page };
}

/**
 * The share of the window that a segment of a file takes while in flight, in bytes.
 *
 * @param {number} size of the file, bytes
 * @param {number} version of the protocol
 */
export function creditOf(size, version) {
  return version < 2 || size > SEGMENT_SIZE ? SEGMENT_SIZE : Math.max(size, SMALL_CREDIT);
}

/**
 * The approximate memory of a list of entries, in bytes.
 *
 * @param {readonly Entry[]} entries
 */
export function weightOf(entries) {
  return entries.reduce(
    (sum, { path, target = '' }) => sum + 200 + 2 * (path.length + target.length),
    0,
  );
}

/**
 * The number of files of a manifest, and the number of their bytes.
 *
 * @param {readonly Entry[]} entries
 */
export function totals(entries) {
  let files = 0;
  let bytes = 0;
  for (const entry of entries) {
    if (entry.kind !== 'file') continue;
    files += 1;
    bytes += entry.size ?? 0;
  }
  return { files, bytes };
}

/**
 * The number of segments of a file of this size.
 *
 * @param {number} size bytes
 */
export function segmentCount(size) {
  return Math.ceil(size / SEGMENT_SIZE);
}
