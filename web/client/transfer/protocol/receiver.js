// @ts-check
// The receiving half of a transfer: a state machine without a clock, disk or channel.
//
//     receiver.receive(message);                // control: offer, offer_more, cancel
//     receiver.accept({window: 16});
//     receiver.receiveFrame(frame);             // blocks: parsed by frames.js
//     event {type: 'segment', ...}              // verify and write it, then one of:
//     receiver.segmentWritten(file, segment, digest) / segmentDamaged(file, segment)
//     event {type: 'finish', file, digests}     // put the file in place, then:
//     receiver.fileFinished(file, digest)
//
// The memory that the peer can claim is bounded: the manifest by its limits, the data by the window
// of granted segments.

import { SEGMENT_SIZE } from './frames.js';
import { VERSION, creditOf, segmentCount, totals, weightOf } from './messages.js';
import { NameError, checkEntry, planNames } from './names.js';
import { showName } from '../../text.js';
import { MAX_RETRIES } from './sender.js';

/** @typedef {import('./messages.js').Entry} Entry */
/** @typedef {import('./messages.js').OutgoingMessage} OutgoingMessage */
/** @typedef {import('./messages.js').TransferMessage} TransferMessage */
/** @typedef {import('./frames.js').SegmentFrame} SegmentFrame */
/** @typedef {import('./frames.js').DataFrame} DataFrame */
/** @typedef {import('./frames.js').PackFrame} PackFrame */

/** Window of a page, in segments in flight: 16 MiB. */
export const WINDOW = 16;
/** Number of entries that are kept of a declined or withdrawn offer. */
const SHOWN = 400;
/** Maximum number of separate pieces of a segment; an honest sender makes far fewer. */
const MAX_PIECES = 1024;

/**
 * @typedef {{type: 'offered'}
 *   | {type: 'segment', file: number, segment: number, offset: number, digest: Uint8Array<ArrayBuffer>,
 *      data: Uint8Array<ArrayBuffer>}
 *   | {type: 'finish', file: number, digests: Uint8Array<ArrayBuffer>}
 *   | {type: 'skipped', file: number, reason: string}
 *   | {type: 'done'}
 *   | {type: 'failed', code: string, message: string, remote: boolean}} ReceiverEvent
 *   `skipped`: the sender cannot read it any more; answer with `fileSkipped`
 */

/**
 * A segment that has partly arrived.
 *
 * @typedef {object} OpenSegment
 * @property {Uint8Array<ArrayBuffer> | null} data null before the first data, and while it is
 *   written
 * @property {[start: number, end: number][]} pieces the received parts, in order, with gaps between them
 * @property {Uint8Array<ArrayBuffer> | null} digest
 * @property {boolean} writing
 * @property {number} retries
 */

/**
 * A file that has partly arrived.
 *
 * @typedef {object} OpenFile
 * @property {number} written number of verified and written segments
 * @property {Uint8Array} isWritten one byte per segment
 * @property {Uint8Array<ArrayBuffer>} digests
 */

/** One incoming transfer. */
export class Receiver {
  /** @type {'listing' | 'offered' | 'running' | 'done' | 'failed'} */
  state = 'listing';
  /** @type {Entry[]} */
  entries = [];
  /** @type {{files: number, bytes: number}} */
  totals = { files: 0, bytes: 0 };
  #transfer;
  /** @type {OutgoingMessage[]} */
  #messages = [];
  /** @type {ReceiverEvent[]} */
  #events = [];
  /** The version of the protocol in use. */
  version = 1;
  /** Limit and number of bytes in flight. */
  #window = WINDOW * SEGMENT_SIZE;
  #used = 0;
  #skipped = { files: 0, bytes: 0 };
  /** The memory of its list before it is accepted, in bytes. */
  weight = 0;
  /** The paths of all entries, once the list is complete. @type {import('./names.js').NamePlan | null} */
  plan = null;
  /** The number of entries that the sender has left out of the list. */
  leftOut = 0;
  /**
   * Segments in flight and not yet acknowledged, by `file:segment`.
   * @type {Map<string, OpenSegment>}
   */
  #segments = new Map();
  /** @type {Map<number, OpenFile>} */
  #files = new Map();
  /** @type {Set<number>} */
  #finished = new Set();
  /** Files that the sender leaves out. @type {Set<number>} */
  #skips = new Set();

  /** @param {number} transfer its id, from the offer */
  constructor(transfer) {
    this.#transfer = transfer;
  }

  /** The control messages to send, in order; each is returned once. @returns {OutgoingMessage[]} */
  messagesToSend() {
    const messages = this.#messages;
    this.#messages = [];
    return messages;
  }

  /** @returns {ReceiverEvent | null} */
  nextEvent() {
    return this.#events.shift() ?? null;
  }

  /** The number of bytes of segments that have partly arrived. @returns {number} */
  get bytesPending() {
    let bytes = 0;
    for (const [key, { data, pieces, writing }] of this.#segments) {
      if (writing) bytes += this.#lengthOf(key);
      else if (data) for (const [start, end] of pieces) bytes += end - start;
    }
    return bytes;
  }

  /** @param {TransferMessage} message about this transfer */
  receive(message) {
    if (this.state === 'done' || this.state === 'failed') return;
    switch (message.t) {
      case 'offer':
        if (this.entries.length > 0 || this.state !== 'listing')
          return this.#violation('offered twice');
        this.totals = { files: message.files, bytes: message.bytes };
        this.leftOut = message.left_out;
        this.version = Math.min(message.version, VERSION);
        return this.#list(message.entries, message.more);
      case 'offer_more':
        if (this.state !== 'listing') return this.#violation('more than was offered');
        return this.#list(message.entries, message.more);
      case 'skip':
        return this.#skip(message.file, message.reason);
      case 'cancel':
        return this.#fail(message.code || 'cancelled', message.message, true);
      default:
        return this.#violation(`unexpected ${message.t}`);
    }
  }

  /**
   * Accepts the offer: data may arrive.
   *
   * @param {{window?: number}} [options] segments in flight
   */
  accept({ window = WINDOW } = {}) {
    if (this.state !== 'offered') return;
    this.state = 'running';
    this.#window = window * SEGMENT_SIZE;
    this.#messages.push({
      t: 'accept',
      transfer: this.#transfer,
      window,
      ...(this.version > 1 ? { version: this.version } : {}),
    });
    this.entries.forEach((entry, file) => {
      if (entry.kind === 'file' && entry.size === 0) {
        this.#events.push({ type: 'finish', file, digests: new Uint8Array(0) });
      }
    });
    this.#finishIfComplete();
  }

  /**
   * Declines the offer.
   *
   * @param {string} code
   * @param {string} message
   */
  decline(code = 'refused', message = '') {
    if (this.state !== 'offered' && this.state !== 'listing') return;
    this.#messages.push({ t: 'decline', transfer: this.#transfer, code, message });
    this.#fail(code, message, false);
  }

  /**
   * Stops a running transfer, and tells the sender.
   *
   * @param {string} code
   * @param {string} message
   */
  cancel(code, message = '') {
    if (this.state === 'done' || this.state === 'failed') return;
    this.#messages.push({ t: 'cancel', transfer: this.#transfer, code, message });
    this.#fail(code, message, false);
  }

  /**
   * Takes a frame of the blocks channel.
   *
   * @param {SegmentFrame | DataFrame | PackFrame} frame about this transfer
   */
  receiveFrame(frame) {
    if (this.state === 'done' || this.state === 'failed') return;
    if (this.state !== 'running') return this.#violation('data before it was accepted');
    if (frame.type === 'pack') {
      for (const packed of frame.files) {
        if (this.state !== 'running') return;
        this.#receivePacked(packed);
      }
      return;
    }
    const entry = this.entries[frame.file];
    if (entry?.kind !== 'file') return this.#violation('data of no file');
    const size = entry.size ?? 0;
    if (frame.offset >= size) return this.#violation("data past the file's end");
    const segment = Math.floor(frame.offset / SEGMENT_SIZE);
    if (this.#files.get(frame.file)?.isWritten[segment] || this.#finished.has(frame.file))
      return this.#violation('a segment twice');

    const key = `${frame.file}:${segment}`;
    const open = this.#segments.get(key) ?? this.#openSegment(key);
    if (open === null) return this.#violation('more segments than were granted');
    if (open.writing) return this.#violation('a segment twice');
    const start = segment * SEGMENT_SIZE;
    const length = Math.min(SEGMENT_SIZE, size - start);
    if (frame.type === 'segment') {
      if (frame.length !== length || open.digest !== null)
        return this.#violation('a wrong segment');
      open.digest = frame.digest;
    } else {
      const at = frame.offset - start;
      if (at + frame.payload.length > length) return this.#violation("data past the file's end");
      if (!addPiece(open.pieces, at, at + frame.payload.length))
        return this.#violation('data twice');
      open.data ??= new Uint8Array(length);
      open.data.set(frame.payload, at);
    }
    if (
      open.digest === null ||
      open.data === null ||
      open.pieces[0][1] - open.pieces[0][0] !== length
    )
      return;
    const { data, digest } = open;
    open.data = null;
    open.writing = true;
    this.#events.push({ type: 'segment', file: frame.file, segment, offset: start, digest, data });
  }

  /**
   * Tells that a segment matched its digest, and is written.
   *
   * @param {number} file
   * @param {number} segment
   */
  segmentWritten(file, segment) {
    if (this.state !== 'running') return;
    const key = `${file}:${segment}`;
    const open = this.#segments.get(key);
    if (!open?.writing || open.digest === null) return;
    this.#segments.delete(key);
    this.#used -= creditOf(this.entries[file].size ?? 0, this.version);
    const count = segmentCount(this.entries[file].size ?? 0);
    let state = this.#files.get(file);
    if (state === undefined) {
      state = { written: 0, isWritten: new Uint8Array(count), digests: new Uint8Array(count * 32) };
      this.#files.set(file, state);
    }
    state.isWritten[segment] = 1;
    state.written += 1;
    state.digests.set(open.digest, segment * 32);
    // In version 2 `files_done` returns the credit of a small file.
    if (this.version < 2 || count > 1) {
      this.#messages.push({
        t: 'ack',
        transfer: this.#transfer,
        file,
        segments: [[segment, segment]],
      });
    }
    if (state.written === count)
      this.#events.push({ type: 'finish', file, digests: state.digests });
  }

  /**
   * Tells that a segment did not match its digest: asks for it again, up to three times.
   *
   * @param {number} file
   * @param {number} segment
   */
  segmentDamaged(file, segment) {
    if (this.state !== 'running') return;
    const open = this.#segments.get(`${file}:${segment}`);
    if (!open?.writing) return;
    if (open.retries >= MAX_RETRIES)
      return this.cancel('integrity', 'a segment arrived damaged too often');
    open.retries += 1;
    open.writing = false;
    open.digest = null;
    open.pieces = [];
    this.#messages.push({ t: 'retry', transfer: this.#transfer, file, segment });
  }

  /**
   * Tells that a file is complete and in place.
   *
   * @param {number} file
   * @param {string} digest hex: of the file, or in version 2 the SHA-256 of that digest
   */
  fileFinished(file, digest) {
    if (this.state !== 'running' || this.#finished.has(file)) return;
    this.#finished.add(file);
    const state = this.#files.get(file);
    // The bitmap stays, so that late data is recognised.
    if (state !== undefined) state.digests = new Uint8Array(0);
    this.#messages.push(
      this.version < 2
        ? { t: 'file_done', transfer: this.#transfer, file, digest }
        : { t: 'files_done', transfer: this.#transfer, files: [[file, file]], digest },
    );
    this.#finishIfComplete();
  }

  /**
   * Tells that the skip of a file was handled.
   *
   * @param {number} file
   */
  fileSkipped(file) {
    if (this.state !== 'running' || this.#finished.has(file)) return;
    this.#finished.add(file);
    this.#finishIfComplete();
  }

  /**
   * @param {number} file
   * @param {string} reason
   */
  #skip(file, reason) {
    if (this.state !== 'running' || this.version < 2) return this.#violation('skipped a file');
    const size = this.entries[file]?.size ?? 0;
    if (size === 0 || this.#skips.has(file)) return this.#violation('skipped what is no file');
    const begun = this.#files.has(file) || this.#segments.has(`${file}:0`);
    if (begun || this.#finished.has(file)) return this.#violation('skipped a file that has begun');
    this.#skips.add(file);
    this.#skipped.files += 1;
    this.#skipped.bytes += size;
    this.#events.push({ type: 'skipped', file, reason: showName(reason) || 'cannot be read' });
  }

  /** @param {import('./frames.js').PackedFile} packed */
  #receivePacked({ file, digest, content }) {
    const entry = this.entries[file];
    if (this.version < 2 || entry?.kind !== 'file' || entry.size !== content.length)
      return this.#violation('a pack with another file');
    if (this.#finished.has(file) || this.#files.has(file) || this.#skips.has(file))
      return this.#violation('a segment twice');
    const key = `${file}:0`;
    const open = this.#segments.get(key) ?? this.#openSegment(key);
    if (open === null) return this.#violation('more segments than were granted');
    if (open.writing) return this.#violation('a segment twice');
    Object.assign(open, { data: null, digest, pieces: [], writing: true });
    // A copy, because the data is transferred to a worker, and the frame holds several files.
    const data = content.slice();
    this.#events.push({ type: 'segment', file, segment: 0, offset: 0, digest, data });
  }

  #finishIfComplete() {
    if (this.#finished.size < this.totals.files) return;
    this.state = 'done';
    const links = this.entries.filter(({ kind }) => kind === 'link').length;
    this.#messages.push({
      t: 'done',
      transfer: this.#transfer,
      files: this.totals.files - this.#skipped.files,
      bytes: this.totals.bytes - this.#skipped.bytes,
      ...(links > 0 ? { left_out: links } : {}),
    });
    this.#events.push({ type: 'done' });
  }

  /**
   * @param {readonly Entry[]} entries
   * @param {boolean} more
   */
  #list(entries, more) {
    if (entries.length === 0 && more) return this.decline('protocol', 'an empty page');
    this.weight += weightOf(entries);
    try {
      for (const entry of entries) {
        checkEntry(entry, this.entries.length);
        this.entries.push(entry);
      }
    } catch (error) {
      return this.#unsafe(error);
    }
    if (more) return;
    const { files, bytes } = totals(this.entries);
    if (
      !Number.isSafeInteger(bytes) ||
      files !== this.totals.files ||
      bytes !== this.totals.bytes
    ) {
      return this.decline('protocol', 'the totals do not fit the entries');
    }
    try {
      this.plan = planNames(this.entries);
    } catch (error) {
      return this.#unsafe(error);
    }
    this.state = 'offered';
    this.#events.push({ type: 'offered' });
  }

  /** @param {unknown} error of checking the names */
  #unsafe(error) {
    if (!(error instanceof NameError)) throw error;
    this.decline('unsafe_name', error.message);
  }

  /**
   * @param {string} key
   * @returns {OpenSegment | null} null when the window is full
   */
  #openSegment(key) {
    const [file] = key.split(':').map(Number);
    const credit = creditOf(this.entries[file].size ?? 0, this.version);
    if (this.#used + credit > this.#window || this.#skips.has(file)) return null;
    this.#used += credit;
    /** @type {OpenSegment} */
    const open = { data: null, pieces: [], digest: null, writing: false, retries: 0 };
    this.#segments.set(key, open);
    return open;
  }

  /** @param {string} key */
  #lengthOf(key) {
    const [file, segment] = key.split(':').map(Number);
    return Math.min(SEGMENT_SIZE, (this.entries[file].size ?? 0) - segment * SEGMENT_SIZE);
  }

  /** Drops the list of an offer that was not accepted, except for the entries to show. */
  #forget() {
    this.entries.length = Math.min(this.entries.length, SHOWN);
    this.weight = weightOf(this.entries);
    this.plan = null;
  }

  /** @param {string} message */
  #violation(message) {
    if (this.state === 'listing' || this.state === 'offered') this.decline('protocol', message);
    else this.cancel('protocol', message);
  }

  /**
   * @param {string} code
   * @param {string} message
   * @param {boolean} remote
   */
  #fail(code, message, remote) {
    if (this.state === 'listing' || this.state === 'offered') this.#forget();
    this.state = 'failed';
    this.#segments.clear();
    this.#files.clear();
    this.#events.push({ type: 'failed', code, message, remote });
  }
}

/**
 * Notes the arrival of a piece of a segment.
 *
 * @param {[start: number, end: number][]} pieces in order, never touching; changed in place
 * @param {number} start
 * @param {number} end past the last byte
 * @returns {boolean} false if it overlaps an earlier piece, or the segment has too many pieces
 */
function addPiece(pieces, start, end) {
  let index = pieces.length;
  while (index > 0 && pieces[index - 1][0] > start) index -= 1;
  const before = pieces[index - 1];
  const after = pieces[index];
  if ((before && before[1] > start) || (after && after[0] < end)) return false;
  if (before?.[1] === start) {
    before[1] = end;
    if (after?.[0] === end) {
      before[1] = after[1];
      pieces.splice(index, 1);
    }
  } else if (after?.[0] === end) {
    after[0] = start;
  } else {
    if (pieces.length >= MAX_PIECES) return false;
    pieces.splice(index, 0, [start, end]);
  }
  return true;
}
