// @ts-check
// A link: the authenticated connection to one other side, with its chat and its transfers.

import { problem } from './problems.js';

/** @typedef {import('./problems.js').Problem} Problem */

/**
 * @typedef {'pairing' | 'connecting' | 'connected' | 'closed'} LinkState
 *   `pairing`: proving the code · `connecting`: looking for a network path · `connected` · `closed`
 */

/**
 * @typedef {object} Path how the bytes travel
 * @property {'direct' | 'relayed'} kind
 * @property {{type: string, address: string | null, protocol: string}} local `type` is the ICE
 *   candidate type: `host`, `srflx`, `prflx` or `relay`
 * @property {{type: string, address: string | null, protocol: string}} remote
 * @property {number | null} roundTrip seconds, as the browser last measured it
 */

/**
 * @typedef {object} Entry one line of a transfer's manifest
 * @property {string} path relative, parts joined by `/`
 * @property {'file' | 'dir' | 'link'} kind
 * @property {number} [size] bytes, files only
 * @property {number} [mtime] unix time in ms
 */

/**
 * @typedef {'offered' | 'running' | 'done' | 'failed'} TransferState
 */

/**
 * @typedef {object} Transfer what both directions have in common (a live object: read it again)
 * @property {number} id
 * @property {'in' | 'out'} direction
 * @property {TransferState} state
 * @property {readonly Entry[]} entries
 * @property {string} title what to call it: the only file's or folder's name, or `3 files`
 * @property {number} files how many files it has
 * @property {number} bytes how many bytes it has
 * @property {number} filesDone files that are verified and in place
 * @property {number} bytesDone bytes that are verified and written at the receiver
 * @property {number} rate bytes a second, over the last seconds; 0 while unknown
 * @property {number | null} secondsLeft
 * @property {number | null} current index of the entry being moved
 * @property {Problem | null} problem why it failed
 * @property {() => void} cancel stops it on both sides; a decline while it is only offered
 */

/**
 * @typedef {object} IncomingExtra
 * @property {'in'} direction
 * @property {'files' | 'zip'} form what will be saved: each file, or one archive (folders, many files)
 * @property {string | null} notice a sentence to show when files have to sit in memory, else null
 * @property {() => Promise<void>} accept starts it; throws a Problem (`no_space`, ...)
 * @property {() => void} decline
 * @property {readonly {name: string, file: File}[]} saved what is ready to be handed to a download
 * @property {() => Promise<void>} discard frees the stored files (after they were saved)
 *
 * @typedef {Transfer & IncomingExtra} Incoming
 */

/**
 * Events (all are `CustomEvent`s):
 *
 * | type | detail | when |
 * |---|---|---|
 * | `state` | `LinkState` | `link.state` changed |
 * | `path` | `Path` | the path became known or changed |
 * | `chat` | `{id, text, at}` | a message arrived; `at`: Date of sending, as the other side says |
 * | `delivered` | `{id}` | the message that `sendChat` gave this id has arrived there |
 * | `offer` | `Incoming` | files are offered: call `accept()` or `decline()` on it |
 * | `progress` | `Transfer` | at most ten times a second per transfer, and at each file's end |
 * | `saved` | `{transfer: Incoming, name, file}` | a received `File` is complete: hand it to a download |
 * | `transferdone` | `Transfer` | everything is verified and in place at the receiver |
 * | `transferfailed` | `Transfer` | declined, cancelled or broken: see `transfer.problem` |
 * | `closed` | `Problem` | the link is over: `closed`, `bye`, `lost`, `wrong_code`, `no_path`, ... |
 */
export class Link extends EventTarget {
  /** @returns {LinkState} */
  get state() {
    return 'pairing';
  }

  /** The other side; name and agent are known once connected. */
  get peer() {
    return { id: '', name: '', agent: '' };
  }

  /** The four words that are the same on both ends, once known. @returns {readonly string[] | null} */
  get sas() {
    return null;
  }

  /** Whether a code or password proved who the other side is. @returns {boolean} */
  get authenticated() {
    return false;
  }

  /** How the bytes travel at this moment, or null while not connected. @returns {Promise<Path | null>} */
  async path() {
    return null;
  }

  /**
   * Sends a line of chat.
   *
   * @param {string} text
   * @returns {number} the id that `delivered` will name
   * @throws {Problem} `message_too_long`, `lost`
   */
  sendChat(text) {
    throw problem('unexpected');
  }

  /**
   * Offers files and folders to the other side.
   *
   * @param {FileList | readonly File[] | DataTransfer | import('./transfer/manifest.js').Manifest} items
   *   what an `<input type=file>` or a drop gave. A `DataTransfer` must be handed over within the
   *   drop handler itself: the browser empties it when the handler returns.
   * @returns {Promise<Transfer>} as soon as the offer is on its way
   * @throws {Problem} `nothing_to_send`, `too_many`, `unsafe_name`, `lost`
   */
  async sendFiles(items) {
    throw problem('unexpected');
  }

  /** The transfers of this link, oldest first. @returns {readonly Transfer[]} */
  get transfers() {
    return [];
  }

  /** Says goodbye and closes. @returns {Promise<void>} */
  async close() {}
}
