// @ts-check
// The sending half of a transfer: a state machine without a clock, disk or channel.
//
//     for (const message of sender.messagesToSend()) control.send(JSON.stringify(message));
//     for (let page; (page = sender.nextPage()); ) ...   // whenever the channel has room
//     const wanted = sender.nextSegment();      // read and hash it, then:
//     sender.segmentRead(wanted, digest);       // and put its frames on the blocks channel
//     sender.receive(message);                  // what came on the control channel
//     for (let event; (event = sender.nextEvent()); ) ...

import { SEGMENT_SIZE } from './frames.js';
import { VERSION, creditOf, offerMessages, segmentCount, totals } from './messages.js';

/** @typedef {import('./messages.js').Entry} Entry */
/** @typedef {import('./messages.js').Range} Range */
/** @typedef {import('./messages.js').OutgoingMessage} OutgoingMessage */
/** @typedef {import('./messages.js').TransferMessage} TransferMessage */

/** Maximum number of damaged arrivals of one segment before the transfer fails. */
export const MAX_RETRIES = 3;
/** Maximum number of segments of 1 MiB in flight, also if the receiver grants more. */
const MAX_WINDOW = 64;
/** Maximum number of ranges of held segments of one file; segments beyond are sent again. */
const MAX_HELD = 65536;

/**
 * @typedef {{file: number, segment: number, offset: number, length: number, again: boolean}} Wanted
 *   a segment to be read and sent; `again`: it arrived damaged before
 * @typedef {{type: 'accepted'}
 *   | {type: 'acknowledged', bytes: number}
 *   | {type: 'files', files: {file: number, digests: Uint8Array | null}[], digest: string,
 *      together: boolean}
 *   | {type: 'skipped', file: number, reason: string}
 *   | {type: 'done', leftOut: number}
 *   | {type: 'failed', code: string, message: string, remote: boolean}} SenderEvent
 *   `files`: the receiver has them in place. `digests` are the digests of a file's segments, null
 *   if the receiver held some before this transfer; `digest`, to compare with, is that of the file,
 *   or (`together`) the SHA-256 of the digests of all files
 */

/**
 * The state of a file, from its first segment until the receiver's confirmation.
 *
 * @typedef {object} OpenFile
 * @property {number} count number of its segments
 * @property {Set<number>} acknowledged
 * @property {Uint8Array | null} digests
 */

/** One outgoing transfer. */
export class Sender {
  /** @type {'offered' | 'running' | 'done' | 'failed'} */
  state = 'offered';
  #transfer;
  #entries;
  #totals;
  /** @type {OutgoingMessage[]} */
  #messages = [];
  /** The pages of the offer. @type {Iterator<OutgoingMessage, void>} */
  #pages;
  /** Reports of left-out entries that are not sent yet. @type {OutgoingMessage[]} */
  #skips = [];
  /** @type {SenderEvent[]} */
  #events = [];
  /** The version of the protocol in use. */
  version = 1;
  #window = 0;
  #used = 0;
  #skipped = { files: 0, bytes: 0 };
  /** @type {Map<number, Range[]>} */
  #have = new Map();
  /** @type {Map<number, OpenFile>} */
  #open = new Map();
  /** Keys `file:segment` of requested segments that are not acknowledged. @type {Set<string>} */
  #inFlight = new Set();
  /** Keys of requested segments that may not have been read yet. @type {Set<string>} */
  #unread = new Set();
  /** @type {Wanted[]} */
  #again = [];
  /** @type {Map<string, number>} */
  #retries = new Map();
  #cursor = { file: 0, segment: 0 };
  /** The number of files that the receiver has in place. */
  #placed = 0;
  /** @type {Set<number>} */
  #confirmed = new Set();

  /**
   * @param {{transfer: number, entries: readonly Entry[]}} offer
   */
  constructor({ transfer, entries }) {
    this.#transfer = transfer;
    this.#entries = entries;
    this.#totals = totals(entries);
    this.#pages = offerMessages(transfer, entries);
  }

  /**
   * The next of the numerous control messages, to send when few bytes are buffered.
   *
   * @returns {OutgoingMessage | null}
   */
  nextPage() {
    if (this.state === 'done' || this.state === 'failed') return null;
    return this.#pages.next().value ?? this.#skips.shift() ?? null;
  }

  /** The control messages to send at once; each is returned once. @returns {OutgoingMessage[]} */
  messagesToSend() {
    const messages = this.#messages;
    this.#messages = [];
    return messages;
  }

  /** @returns {SenderEvent | null} */
  nextEvent() {
    return this.#events.shift() ?? null;
  }

  /**
   * The next segment to read, within the receiver's credit.
   *
   * @returns {Wanted | null} null: nothing to read before the next acknowledgement, or at all
   */
  nextSegment() {
    if (this.state !== 'running') return null;
    const again = this.#again.shift();
    if (again) return again;
    while (this.#cursor.file < this.#entries.length) {
      const { file, segment } = this.#cursor;
      const entry = this.#entries[file];
      const count = entry.kind === 'file' ? segmentCount(entry.size ?? 0) : 0;
      if (segment >= count || this.#confirmed.has(file)) {
        this.#cursor = { file: file + 1, segment: 0 };
        continue;
      }
      const credit = this.#creditOf(file);
      if (this.#used + credit > this.#window) return null;
      this.#cursor.segment += 1;
      if (this.#have.get(file)?.some(([first, last]) => first <= segment && segment <= last)) {
        this.#skip(file, segment, count);
        continue;
      }
      this.#openFile(file, count);
      const key = `${file}:${segment}`;
      this.#used += credit;
      this.#inFlight.add(key);
      this.#unread.add(key);
      return this.#wanted(file, segment, false);
    }
    return null;
  }

  /**
   * Takes the digest of a requested segment (`nextSegment`); its frames may be sent now.
   *
   * @param {Wanted} wanted
   * @param {Uint8Array} digest its SHA-256
   * @returns {boolean} false when the transfer has ended: send nothing
   */
  segmentRead(wanted, digest) {
    if (this.state !== 'running' || this.#confirmed.has(wanted.file)) return false;
    this.#unread.delete(`${wanted.file}:${wanted.segment}`);
    const { digests } = this.#openFile(wanted.file, 0);
    if (digests !== null) digests.set(digest, wanted.segment * 32);
    return true;
  }

  /** @param {TransferMessage} message about this transfer */
  receive(message) {
    if (this.state === 'done' || this.state === 'failed') return;
    switch (message.t) {
      case 'have':
        if (this.state !== 'offered') return this.#violation('held more after it accepted');
        return this.#hold(message.have);
      case 'accept':
        if (this.state !== 'offered') return this.#violation('accepted twice');
        if (message.version > VERSION) return this.#violation('a version that was not offered');
        this.state = 'running';
        this.version = message.version;
        this.#window = Math.min(message.window, MAX_WINDOW) * SEGMENT_SIZE;
        this.#hold(message.have);
        this.#events.push({ type: 'accepted' });
        return;
      case 'decline':
        return this.#fail(message.code || 'refused', message.message, true);
      case 'cancel':
        return this.#fail(message.code || 'cancelled', message.message, true);
      case 'ack':
        return this.#acknowledge(message.file, message.segments);
      case 'retry':
        return this.#retry(message.file, message.segment);
      case 'file_done':
        return this.#filesDone([[message.file, message.file]], message.digest, false);
      case 'files_done':
        if (this.version < 2) return this.#violation('files_done in version 1');
        return this.#filesDone(message.files, message.digest, true);
      case 'done':
        return this.#done(message);
      default:
        return this.#violation(`unexpected ${message.t}`);
    }
  }

  /**
   * Stops the transfer and tells the receiver.
   *
   * @param {string} code
   * @param {string} message
   */
  cancel(code, message = '') {
    if (this.state === 'done' || this.state === 'failed') return;
    this.#messages.push({ t: 'cancel', transfer: this.#transfer, code, message });
    this.#fail(code, message, false);
  }

  /** @param {Map<number, Range[]>} have segments that the receiver need not be sent */
  #hold(have) {
    for (const [file, ranges] of have) {
      this.#have.set(file, [...(this.#have.get(file) ?? []), ...ranges].slice(0, MAX_HELD));
    }
  }

  /**
   * @param {number} file
   * @param {number} segment
   * @param {boolean} again
   * @returns {Wanted}
   */
  #wanted(file, segment, again) {
    const offset = segment * SEGMENT_SIZE;
    const length = Math.min(SEGMENT_SIZE, (this.#entries[file].size ?? 0) - offset);
    return { file, segment, offset, length, again };
  }

  /**
   * @param {number} file
   * @param {number} count
   * @returns {OpenFile}
   */
  #openFile(file, count) {
    let open = this.#open.get(file);
    if (open === undefined) {
      open = { count, acknowledged: new Set(), digests: new Uint8Array(count * 32) };
      this.#open.set(file, open);
    }
    return open;
  }

  /**
   * Skips a segment that the receiver verified in an earlier run.
   *
   * @param {number} file
   * @param {number} segment
   * @param {number} count
   */
  #skip(file, segment, count) {
    const open = this.#openFile(file, count);
    open.digests = null;
    open.acknowledged.add(segment);
    this.#events.push({ type: 'acknowledged', bytes: this.#wanted(file, segment, false).length });
  }

  /**
   * @param {number} file
   * @param {readonly Range[]} ranges
   */
  #acknowledge(file, ranges) {
    const open = this.#open.get(file);
    if (open === undefined) return this.#violation('acknowledged what was not sent');
    let bytes = 0;
    for (const [first, last] of ranges) {
      if (last >= open.count) return this.#violation('acknowledged past the end');
      for (let segment = first; segment <= last; segment += 1) {
        if (open.acknowledged.has(segment)) continue;
        const key = `${file}:${segment}`;
        if (!this.#inFlight.has(key) || this.#unread.has(key)) {
          return this.#violation('acknowledged what was not sent');
        }
        this.#land(file, segment, open);
        bytes += this.#wanted(file, segment, false).length;
      }
    }
    if (bytes > 0) this.#events.push({ type: 'acknowledged', bytes });
  }

  /** @param {number} file */
  #creditOf(file) {
    return creditOf(this.#entries[file].size ?? 0, this.version);
  }

  /**
   * Returns the credit of a segment that the receiver has.
   *
   * @param {number} file
   * @param {number} segment
   * @param {OpenFile} open
   */
  #land(file, segment, open) {
    const key = `${file}:${segment}`;
    this.#inFlight.delete(key);
    this.#retries.delete(key);
    this.#used -= this.#creditOf(file);
    open.acknowledged.add(segment);
  }

  /**
   * Tells that a file cannot be read any more.
   *
   * @param {number} file
   * @param {string} reason to follow its path in a sentence
   * @returns {boolean} whether the transfer continues without it: not if a part of it was sent, if
   *   nothing else is left, or if the receiver is too old
   */
  skip(file, reason) {
    if (this.state !== 'running' || this.#confirmed.has(file)) return true;
    const keys = [...this.#inFlight].filter((key) => key.startsWith(`${file}:`));
    const begun = (this.#open.get(file)?.acknowledged.size ?? 0) > 0;
    const sent = begun || keys.some((key) => !this.#unread.has(key) || this.#retries.has(key));
    if (this.version < 2 || sent || this.#skipped.files + 1 === this.#totals.files) return false;
    for (const key of keys) {
      this.#inFlight.delete(key);
      this.#unread.delete(key);
      this.#used -= this.#creditOf(file);
    }
    this.#open.delete(file);
    this.#confirmed.add(file);
    this.#skipped.files += 1;
    this.#skipped.bytes += this.#entries[file].size ?? 0;
    this.#skips.push({ t: 'skip', transfer: this.#transfer, file, reason });
    this.#events.push({ type: 'skipped', file, reason });
    return true;
  }

  /**
   * @param {number} file
   * @param {number} segment
   */
  #retry(file, segment) {
    const key = `${file}:${segment}`;
    if (!this.#inFlight.has(key) || this.#unread.has(key))
      return this.#violation('retry of what is not in flight');
    const times = (this.#retries.get(key) ?? 0) + 1;
    if (times > MAX_RETRIES) return this.cancel('integrity', 'a segment arrived damaged too often');
    this.#retries.set(key, times);
    this.#unread.add(key);
    this.#again.push(this.#wanted(file, segment, true));
  }

  /**
   * @param {readonly Range[]} ranges of files
   * @param {string} digest
   * @param {boolean} together whether it is that of all their digests
   */
  #filesDone(ranges, digest, together) {
    /** @type {{file: number, digests: Uint8Array | null}[]} */
    const files = [];
    for (const [first, last] of ranges) {
      for (let file = first; file <= last; file += 1) {
        const entry = this.#entries[file];
        if (entry?.kind !== 'file' || this.#confirmed.has(file))
          return this.#violation('confirmed what is no file');
        const open = this.#open.get(file);
        const count = segmentCount(entry.size ?? 0);
        const key = `${file}:0`;
        if (together && count === 1 && open && this.#inFlight.has(key) && !this.#unread.has(key)) {
          this.#land(file, 0, open);
          this.#events.push({ type: 'acknowledged', bytes: entry.size ?? 0 });
        }
        if ((open?.acknowledged.size ?? 0) !== count)
          return this.#violation('confirmed before its segments');
        this.#confirmed.add(file);
        this.#placed += 1;
        this.#open.delete(file);
        files.push({ file, digests: open === undefined ? new Uint8Array(0) : open.digests });
      }
    }
    this.#events.push({ type: 'files', files, digest, together });
  }

  /** @param {{files: number, bytes: number, left_out: number}} message */
  #done({ files, bytes, left_out: leftOut }) {
    if (this.state !== 'running') return this.#violation('done before it began');
    const expected = this.#totals.files - this.#skipped.files;
    if (
      this.#placed !== expected ||
      files !== expected ||
      bytes !== this.#totals.bytes - this.#skipped.bytes
    ) {
      return this.#violation('done before every file was');
    }
    this.state = 'done';
    this.#events.push({ type: 'done', leftOut });
  }

  /** @param {string} message */
  #violation(message) {
    this.cancel('protocol', message);
  }

  /**
   * @param {string} code
   * @param {string} message
   * @param {boolean} remote
   */
  #fail(code, message, remote) {
    this.state = 'failed';
    this.#again = [];
    this.#events.push({ type: 'failed', code, message, remote });
  }
}
