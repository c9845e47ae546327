// @ts-check
// A room, in which peers meet: host a code, join one, or join a named room.
//
//     const room = await Room.host({server: location.origin, name: 'Anna'});
//     show(room.code.toString(), room.code.link(location.href));
//     room.addEventListener('link', ({detail: link}) => ...);     // connected and authenticated
//     room.addEventListener('error', ({detail: problem}) => ...); // {code, sentence, action}

import { Budget } from '../link/guess_budget.js';
import { Code, DEFAULT_WORDS, RANDOM_BYTES, makeWords } from '../security/codes.js';
import { Link } from '../link/link.js';
import { fitName } from '../text.js';
import { passwordBytes } from '../security/pake.js';
import { isSameServer, serverOf } from '../security/pasted.js';
import { problem } from '../problems.js';
import { randomBytes, webCrypto } from '../security/sealing.js';
import { SignalingClient } from '../server/signaling.js';
import { canUseDisk } from '../transfer/disk/sink.js';
import { removeOldFiles } from '../transfer/disk/stores.js';

/** @typedef {import('../problems.js').Problem} Problem */
/** @typedef {import('../server/messages.js').Signal} Signal */
/** @typedef {import('../server/messages.js').PeerEvent} PeerEvent */
/** @typedef {import('../server/messages.js').IceOffer} IceOffer */
/**
 * @template {object} Events
 * @typedef {import('../events.js').TypedEventTarget<Events>} TypedEventTarget
 */

const ROOM_GUESSED =
  'Somebody tried to enter this room and did not prove that they know its password.';
/** Maximum number of links of a room: each costs a connection, and the server names the peers. */
const MAX_LINKS = 128;

/**
 * @typedef {'waiting' | 'connecting' | 'connected' | 'closed'} RoomState
 *   `waiting`: no peer is there yet · `connecting`: a peer came, and a link to it is being set up ·
 *   `connected`: at least one link is up · `closed`: over.
 */

/**
 * @typedef {object} RoomEvents by type, what `detail` holds
 * @property {RoomState} state `room.state` changed
 * @property {Link} connecting a peer came; the link is being set up (its `state` events follow)
 * @property {Link} link the link is connected: chat and transfers may start
 * @property {Problem} error the set-up of a link, or the server, failed; a code room then closes
 * @property {Problem | null} closed the room is closed; null after `close()`, or after the end of a
 *   code room's only link, whose own `closed` event gave the reason
 */

/** One room. Its events are `RoomEvents`, all of them `CustomEvent`s. */
export class Room extends /** @type {new () => TypedEventTarget<RoomEvents>} */ (EventTarget) {
  #signaling;
  #code;
  #name;
  #password;
  /** @type {Budget | null} */
  #budget;
  #ice;
  /** By peer id: links that are being set up, and connected ones. @type {Map<string, Link>} */
  #all = new Map();
  /** @type {Set<Link>} */
  #connected = new Set();
  /** Whether a code room has had its only link. */
  #used = false;
  /** @type {RoomState} */
  #state = 'waiting';
  /** The reason why the connection to the server has ended. @type {Problem | null} */
  #alone = null;
  #onPageHide = () => this.#signaling.leave();

  /**
   * @private use `Room.host` or `Room.join`
   * @param {SignalingClient} signaling
   * @param {{code: Code | null, password: Uint8Array | null, budget: Budget | null, name: string}} options
   */
  constructor(signaling, { code, password, budget, name }) {
    super();
    this.#signaling = signaling;
    this.#code = code;
    this.#password = password;
    this.#budget = budget;
    this.#name = name;
    this.#ice = signaling.welcome.ice;
    signaling.addEventListener('signal', ({ detail }) => this.#receiveSignal(detail));
    signaling.addEventListener('peer', ({ detail }) => this.#receivePeer(detail));
    signaling.addEventListener('ice', ({ detail }) => (this.#ice = detail));
    signaling.addEventListener('closed', ({ detail }) => this.#signalingClosed(detail));
    globalThis.addEventListener?.('pagehide', this.#onPageHide);
    // Earlier peers offer; only after this call has returned can its caller add listeners.
    setTimeout(() => {
      for (const { peer, name: theirs } of signaling.welcome.peers) this.#meet(peer, theirs);
    });
  }

  /**
   * Allocates a code room, in which one peer can join.
   *
   * @param {{server?: string, name?: string, words?: number}} [options] `server`: where its page is
   *   (default: the page's); `name`: this side's name; `words`: number of secret words
   * @returns {Promise<Room>} as soon as the server has allocated the number: `room.code` is set
   * @throws {Problem}
   */
  static async host({ server, name = '', words = DEFAULT_WORDS } = {}) {
    const signaling = await enter(server, { code: true, name });
    const { code: number } = signaling.welcome;
    if (number === null) {
      signaling.leave();
      throw problem('server_protocol');
    }
    const code = new Code(number, makeWords(randomBytes(RANDOM_BYTES), words));
    return new Room(signaling, {
      code,
      password: code.password,
      budget: Budget.ofNewCode(),
      name: fitName(name),
    });
  }

  /**
   * Joins the code room of a code, or a named room.
   *
   * @param {{server?: string, name?: string, code?: string | Code, room?: string,
   *   password?: string | null}} options exactly one of `code` (typed text, a pasted link or a
   *   parsed code) and `room`
   * @returns {Promise<Room>} as soon as the server has admitted this side
   * @throws {Problem} `bad_code`, `other_server`, `no_such_room`, `room_full`, `server_unreachable`, ...
   */
  static async join({ server, name = '', code, room, password = null }) {
    if (code !== undefined) {
      const parsed = typeof code === 'string' ? Code.parse(code) : code;
      const elsewhere = typeof code === 'string' ? serverOf(code) : null;
      // On this server the number belongs to another code, and one attempt would spend it.
      if (elsewhere && !isSameServer(elsewhere, new URL(server ?? location.href)))
        throw problem('other_server', {
          sentence: `This code belongs to another server, ${elsewhere.host}.`,
        });
      const signaling = await enter(server, { code: parsed.number, name });
      return new Room(signaling, {
        code: parsed,
        password: parsed.password,
        budget: Budget.ofCode(String(parsed)),
        name: fitName(name),
      });
    }
    if (!room) throw new TypeError('a code or a room');
    const signaling = await enter(server, { room, name });
    const secret = password ? passwordBytes(password) : null;
    const budget = password ? Budget.ofRoom(server ?? location.origin, room, password) : null;
    return new Room(signaling, { code: null, password: secret, budget, name: fitName(name) });
  }

  /** The code of a code room (`String(code)` is `7-guitar-ocean`), else null. @type {Code | null} */
  get code() {
    return this.#code;
  }

  /** @returns {RoomState} */
  get state() {
    return this.#state;
  }

  /** The connected links. @returns {readonly Link[]} */
  get links() {
    return [...this.#connected];
  }

  /** Leaves the room and closes its links. @returns {Promise<void>} */
  async close() {
    if (this.#state === 'closed') return;
    const links = [...this.#all.values()];
    this.#end(null);
    // A set-up sends its `bye` through the server, so the server is left last.
    await Promise.all(links.map((link) => link.close()));
    this.#signaling.leave();
  }

  /**
   * Begins a link with a peer of the room.
   *
   * @param {string} peer
   * @param {string} name
   */
  #meet(peer, name) {
    if (this.#state === 'closed' || this.#all.has(peer) || this.#all.size >= MAX_LINKS) return;
    // A code allows one link, ever: an attacker has one guess.
    if (this.#code !== null && this.#used) return;
    this.#used = true;
    const link = new Link({
      local: this.#signaling.welcome.peer,
      remote: { peer, name },
      room: this.#signaling.welcome.room,
      password: this.#password,
      attempt: this.#budget?.attempt() ?? null,
      ice: this.#ice,
      name: this.#name,
      send: (signal) => this.#signaling.send(signal),
    });
    this.#all.set(peer, link);
    link.addEventListener('state', () => this.#linkChanged(link));
    link.addEventListener('closed', ({ detail }) => this.#linkClosed(link, peer, detail));
    this.#update();
    this.#emit('connecting', link);
  }

  /** @param {Signal} signal */
  #receiveSignal(signal) {
    const { from } = signal;
    // Its `joined` may be lost in a restart of the server; only the earlier peer signals first.
    if (!this.#all.has(from) && from < this.#signaling.welcome.peer) this.#meet(from, '');
    this.#all.get(from)?.receiveSignal(signal);
  }

  /** @param {PeerEvent} event */
  #receivePeer({ event, peer, name }) {
    if (event === 'joined') this.#meet(peer, name);
    else if (event === 'left') this.#all.get(peer)?.peerLeft();
  }

  /** @param {Link} link */
  #linkChanged(link) {
    if (link.state !== 'connected') return;
    this.#connected.add(link);
    this.#update();
    this.#emit('link', link);
  }

  /**
   * @param {Link} link
   * @param {string} peer
   * @param {Problem} reason
   */
  #linkClosed(link, peer, reason) {
    if (this.#all.get(peer) === link) this.#all.delete(peer);
    const wasUp = this.#connected.delete(link);
    if (this.#state === 'closed') return;
    if (reason.code === 'too_many_guesses' && this.#code !== null) reason = problem('guessed');
    if (reason.code === 'guessed' && this.#code === null)
      reason = problem('guessed', { sentence: ROOM_GUESSED, action: 'Dismiss' });
    if (!wasUp) this.#emit('error', reason);
    if (this.#code !== null) {
      // The code is spent, with either outcome.
      this.#end(wasUp ? null : reason);
      this.#signaling.leave();
    } else if (this.#alone !== null && this.#all.size === 0) {
      this.#end(this.#alone);
    } else {
      this.#update();
    }
  }

  /** @param {Problem | null} reason */
  #signalingClosed(reason) {
    if (this.#state === 'closed') return;
    this.#alone = reason ?? problem('server_unreachable');
    // Links that are connected, or exchange their hellos, no longer need the server.
    if (this.#all.size > 0) return;
    this.#emit('error', this.#alone);
    this.#end(this.#alone);
  }

  #update() {
    if (this.#state === 'closed') return;
    const state =
      this.#connected.size > 0 ? 'connected' : this.#all.size > 0 ? 'connecting' : 'waiting';
    if (state === this.#state) return;
    this.#state = state;
    this.#emit('state', state);
  }

  /** @param {Problem | null} reason */
  #end(reason) {
    if (this.#state === 'closed') return;
    globalThis.removeEventListener?.('pagehide', this.#onPageHide);
    this.#state = 'closed';
    this.#emit('state', 'closed');
    this.#emit('closed', reason);
  }

  /**
   * @template {keyof RoomEvents} Type
   * @param {Type} type
   * @param {RoomEvents[Type]} detail
   */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/**
 * Connects to the server and enters a room.
 *
 * @param {string | undefined} server
 * @param {Parameters<typeof SignalingClient.connect>[1]} where
 * @returns {Promise<SignalingClient>}
 */
async function enter(server, where) {
  webCrypto(); // without WebCrypto nothing below works; its problem tells the person what to do
  if (typeof RTCPeerConnection === 'undefined') throw problem('no_webrtc');
  void removeOldFiles();
  void canUseDisk(); // loads the worker, for programs that use rooms without the page
  return SignalingClient.connect(server ?? new URL('.', location.href).href, where);
}
