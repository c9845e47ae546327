// @ts-check
// A room: where this page meets the other side. Host a code, join one, or join a named room.
//
//     const room = await Room.host({server: location.origin, name: 'Anna'});
//     show(room.code.toString(), room.code.link(location.href));
//     room.addEventListener('link', ({detail: link}) => ...);     // connected and authenticated
//     room.addEventListener('error', ({detail: problem}) => ...); // {code, sentence, action}

import { problem } from './problems.js';

/** @typedef {import('./link.js').Link} Link */
/** @typedef {import('./problems.js').Problem} Problem */
/** @typedef {import('./codes.js').Code} Code */

/**
 * @typedef {'waiting' | 'connecting' | 'connected' | 'closed'} RoomState
 *   `waiting`: nobody is there yet · `connecting`: somebody came, keys and paths are being tried ·
 *   `connected`: at least one link is up · `closed`: over.
 */

/**
 * Events (all are `CustomEvent`s):
 *
 * | type | detail | when |
 * |---|---|---|
 * | `state` | `RoomState` | `room.state` changed |
 * | `connecting` | `Link` | somebody came; the link is being made (`link.state` events follow) |
 * | `link` | `Link` | the link is connected: chat and files may start |
 * | `error` | `Problem` | a link could not be made, or the server failed; a code room closes after it |
 * | `closed` | `Problem \| null` | the room is over; null when `close()` was called |
 */
export class Room extends EventTarget {
  /**
   * Allocates a code room and waits in it for one other side.
   *
   * @param {{server?: string, name?: string, words?: number}} [options] `server`: its origin
   *   (default: the page's); `name`: how this side is called; `words`: how many secret words
   * @returns {Promise<Room>} as soon as the server gave the number: `room.code` is known
   * @throws {Problem}
   */
  static async host(options = {}) {
    throw problem('unexpected');
  }

  /**
   * Joins the code room of a code, or a named room.
   *
   * @param {{server?: string, name?: string, code?: string | Code, room?: string,
   *   password?: string | null}} options exactly one of `code` (typed text, a pasted link or a
   *   parsed code) and `room`
   * @returns {Promise<Room>} as soon as the server let us in
   * @throws {Problem} `bad_code`, `no_such_room`, `room_full`, `server_unreachable`, ...
   */
  static async join(options) {
    throw problem('unexpected');
  }

  /** The code of a code room (`String(code)` is `7-guitar-ocean`), else null. @type {Code | null} */
  get code() {
    return null;
  }

  /** @returns {RoomState} */
  get state() {
    return 'waiting';
  }

  /** The connected links. @returns {readonly Link[]} */
  get links() {
    return [];
  }

  /** Leaves the room and closes its links. @returns {Promise<void>} */
  async close() {}
}
