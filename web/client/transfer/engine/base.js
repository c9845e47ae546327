// @ts-check
// The common part of both directions of a transfer: progress, rate and outcome.

import { Meter } from './meter.js';
import { titleOf } from '../disk/manifest.js';
import { totals } from '../protocol/messages.js';
import { problem } from '../../problems.js';

/** @typedef {import('../protocol/messages.js').Entry} Entry */
/** @typedef {import('../protocol/notable.js').Notable} Notable */
/** @typedef {import('../protocol/notable.js').Renamed} Renamed */
/** @typedef {import('../protocol/notable.js').LeftOut} LeftOut */
/** @typedef {import('../../problems.js').Problem} Problem */

/**
 * @typedef {'offered' | 'running' | 'done' | 'failed'} TransferState
 */

/**
 * @typedef {object} CommonParts the common part of both directions (a live object: read it again)
 * @property {number} id
 * @property {TransferState} state
 * @property {readonly Entry[]} entries
 * @property {string} title the name of the only file or folder, or `3 files`
 * @property {number} files number of files
 * @property {number} bytes number of bytes
 * @property {number} filesDone number of files that are verified and in place at the receiver
 * @property {number} bytesDone number of bytes that have moved; once the transfer is done, all are
 *   verified
 * @property {number} rate bytes per second, over the last seconds; 0 while unknown
 * @property {number | null} secondsLeft
 * @property {number | null} current index of the entry in progress
 * @property {Problem | null} problem the reason of its failure
 * @property {readonly Renamed[]} renamed names that were changed
 * @property {readonly LeftOut[]} leftOut entries that were not sent or not saved, with the reasons
 * @property {number} leftOutThere number of entries that the peer reports as left out
 * @property {() => void} cancel stops it on both sides; before it is accepted, declines it
 */

/**
 * @typedef {object} IncomingExtra
 * @property {'in'} direction
 * @property {'files' | 'zip'} form each file is saved, or one archive (folders, many files)
 * @property {{first: readonly Notable[], total: number}} notable hidden files and programs, to be
 *   shown first
 * @property {string | null} notice a sentence to show if files have to stay in memory, else null
 * @property {() => Promise<void>} accept starts the transfer; throws a Problem (`no_space`, ...)
 * @property {() => void} decline
 * @property {readonly {name: string, file: File}[]} saved complete files, ready for a download
 * @property {() => Promise<void>} discard frees the stored files, after they were saved
 *
 * @typedef {CommonParts & IncomingExtra} Incoming
 * @typedef {CommonParts & {direction: 'out'}} Outgoing
 * @typedef {Incoming | Outgoing} Transfer `direction` tells which
 */

/**
 * @typedef {object} TransferEvents by type, what `detail` holds
 * @property {Incoming} offer files are offered: call `accept()` or `decline()` on it
 * @property {Transfer} progress at most ten times per second and transfer, and at the end of each
 *   file
 * @property {{transfer: Incoming, name: string, file: File}} saved a received `File` is complete:
 *   pass it to a download
 * @property {Transfer} transferdone everything is verified and in place at the receiver
 * @property {Transfer} transferfailed declined, cancelled or broken: see `transfer.problem`
 */

/**
 * The part of a link that a transfer uses.
 *
 * @typedef {object} Wire
 * @property {(message: object) => void} sendControl
 * @property {(message: object, isWanted: () => boolean) => Promise<void>} sendList sends one of
 *   many messages once few bytes are buffered, if it is still wanted then; rejects when the link is
 *   closed
 * @property {(frame: Uint8Array<ArrayBuffer>) => Promise<void>} sendBlock waits while much is
 *   buffered; rejects when the link is closed
 * @property {() => number} bufferedBlocks number of bytes that `sendBlock` has taken and that are
 *   not sent yet
 * @property {() => number} maxFrame the maximum length of a frame, in bytes
 * @property {<Type extends keyof TransferEvents>(type: Type, detail: TransferEvents[Type]) => void} emit
 *   dispatches an event of the link
 */

/** The interval of progress events, in ms. */
const TICK = 100;
/**
 * Number of ticks after which progress is reported even without any, so that a stall is visible.
 */
const QUIET_TICKS = 5;

/** The code of a problem for each code with which the peer ends a transfer. */
const REMOTE_CODES = Object.freeze(
  /** @type {Record<string, string>} */ ({
    refused: 'refused',
    unsafe_name: 'unsafe_name',
    no_space: 'no_space',
    too_many: 'too_many',
    cancelled: 'peer_cancelled',
    integrity: 'integrity',
    changed: 'changed',
    disk: 'disk',
    busy: 'busy',
  }),
);

const REMOTE_SENTENCES = Object.freeze(
  /** @type {Record<string, string>} */ ({
    unsafe_name: 'The other side refuses a file because its name is not safe to save.',
    no_space: 'The other side has not enough free space for the files.',
    disk: 'The other side could not read or write a file.',
    changed: 'A file changed or went away on the other side while it was being sent.',
    too_many: 'That is more than the other side takes in one transfer.',
  }),
);

/**
 * @param {string} code as the other side sent it: hostile
 * @returns {Problem}
 */
function remoteProblem(code) {
  const known = Object.hasOwn(REMOTE_CODES, code) ? REMOTE_CODES[code] : 'peer_cancelled';
  return problem(known, {
    sentence: Object.hasOwn(REMOTE_SENTENCES, code) ? REMOTE_SENTENCES[code] : undefined,
  });
}

/** A transfer, as the user interface sees it. */
export class TransferBase {
  /** @type {'offered' | 'running' | 'done' | 'failed'} */
  state = 'offered';
  /** @type {Problem | null} */
  problem = null;
  filesDone = 0;
  bytesDone = 0;
  rate = 0;
  /** @type {number | null} */
  secondsLeft = null;
  /** @type {number | null} */
  current = null;
  #meter = new Meter();
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;
  #quiet = 0;

  /**
   * @param {Wire} wire
   * @param {number} id
   * @param {readonly Entry[]} entries
   */
  constructor(wire, id, entries) {
    /** @protected */
    this.wire = wire;
    this.id = id;
    this.entries = entries;
    const { files, bytes } = totals(entries);
    this.files = files;
    this.bytes = bytes;
    this.title = titleOf(entries);
  }

  /** Whether the transfer has ended. */
  get over() {
    return this.state === 'done' || this.state === 'failed';
  }

  /**
   * The number of bytes that have moved, as precise as possible now.
   *
   * @protected
   * @returns {number}
   */
  moved() {
    return this.bytesDone;
  }

  /** @protected */
  start() {
    this.state = 'running';
    this.#meter.add(performance.now() / 1000, 0);
    this.#timer = setInterval(() => this.#tick(), TICK);
    this.#emit('progress');
  }

  /** Ends the transfer successfully: every file is in place. @protected */
  finish() {
    if (this.over) return;
    this.#stop('done');
    this.bytesDone = this.bytes;
    this.filesDone = this.files;
    this.#emit('transferdone');
  }

  /**
   * Ends the transfer with a problem.
   *
   * @protected
   * @param {Problem} reason
   */
  fail(reason) {
    if (this.over) return;
    this.#stop('failed');
    this.problem = reason;
    this.#emit('transferfailed');
  }

  /**
   * @protected
   * @param {{code: string, remote: boolean, message: string}} event `failed` of a machine
   */
  failWith({ code, remote }) {
    this.fail(remote ? remoteProblem(code) : problem(code === 'refused' ? 'declined' : code));
  }

  /** Reports the progress. @protected */
  tell() {
    const now = performance.now() / 1000;
    this.bytesDone = this.moved();
    this.#meter.add(now, this.bytesDone);
    this.rate = this.#meter.rate(now);
    this.secondsLeft = this.rate > 0 ? (this.bytes - this.bytesDone) / this.rate : null;
    this.#emit('progress');
  }

  /** @param {'progress' | 'transferdone' | 'transferfailed'} type */
  #emit(type) {
    // Only the classes of the two directions extend this one.
    this.wire.emit(type, /** @type {Transfer} */ (/** @type {unknown} */ (this)));
  }

  #tick() {
    this.#quiet += 1;
    if (this.moved() === this.bytesDone && this.#quiet < QUIET_TICKS) return;
    this.#quiet = 0;
    this.tell();
  }

  /** @param {'done' | 'failed'} state */
  #stop(state) {
    clearInterval(this.#timer);
    this.state = state;
    this.rate = 0;
    this.secondsLeft = null;
    this.current = null;
  }
}

/**
 * @param {Uint8Array} bytes
 * @returns {string} in lower case
 */
export function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * @param {BufferSource} data
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
export async function sha256(data) {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', data));
}
