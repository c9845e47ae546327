// @ts-check
// The WebSocket to the signaling server: hello, welcome, heartbeats, errors and close codes.

import { BadMessage, LEAVE, PONG, SUBPROTOCOL, hello, parseServer, signal } from './messages.js';
import { Problem, problem } from '../problems.js';

/** @typedef {import('./messages.js').IceOffer} IceOffer */
/** @typedef {import('./messages.js').PeerEvent} PeerEvent */
/** @typedef {import('./messages.js').Signal} Signal */
/** @typedef {import('./messages.js').Welcome} Welcome */
/** @typedef {import('./messages.js').ServerError} ServerError */
/**
 * @template {object} Events
 * @typedef {import('../events.js').TypedEventTarget<Events>} TypedEventTarget
 */

/**
 * @typedef {object} SignalingEvents by type, what `detail` holds
 * @property {PeerEvent} peer a peer joined or left
 * @property {Signal} signal
 * @property {ServerError} error an error that does not end the connection
 * @property {IceOffer} ice
 * @property {Problem | null} closed null after `leave()`
 */

/** Maximum time until the server's welcome, in ms. */
const WELCOME_TIMEOUT = 10_000;
/** Interval of the check for a sleep of this device, and the gap that proves one, in ms. */
const BEAT = 2_000;
const SLEEP = 10_000;
/** Time after a sleep within which the end of the connection is attributed to it, in ms. */
const AFTER_SLEEP = 30_000;
/** Maximum number of characters that wait for a server which does not read. */
const MAX_WAITING = 1024 * 1024;

/** The problem for each close code of the server. */
const CLOSE_CODES = Object.freeze(
  /** @type {Record<number, string>} */ ({
    4000: 'server_protocol',
    4001: 'server_refused',
    4002: 'server_refused',
    4003: 'server_refused',
    4004: 'server_protocol',
    4005: 'server_unreachable',
    4006: 'server_refused',
    4007: 'server_refused',
    4008: 'room_closed',
    4009: 'origin_refused',
    4010: 'server_protocol',
    4100: 'over_capacity',
    4101: 'rate_limited',
    4106: 'room_full',
    4200: 'draining',
  }),
);

/** The problem for each error code of the server. */
const ERROR_CODES = Object.freeze(
  /** @type {Record<string, string>} */ ({
    no_such_room: 'no_such_room',
    room_full: 'room_full',
    rate_limited: 'rate_limited',
    over_capacity: 'over_capacity',
    forbidden: 'server_refused',
    origin_refused: 'origin_refused',
    bad_message: 'server_protocol',
    unsupported: 'server_protocol',
    too_large: 'server_protocol',
  }),
);

/**
 * @param {number} code a WebSocket close code
 * @returns {Problem}
 */
export function problemOfClose(code) {
  return problem(CLOSE_CODES[code] ?? 'server_unreachable');
}

/**
 * @param {ServerError} error
 * @returns {Problem}
 */
export function problemOfError(error) {
  const known = Object.hasOwn(ERROR_CODES, error.code) ? ERROR_CODES[error.code] : 'server_refused';
  return problem(known);
}

/**
 * The WebSocket address of a server.
 *
 * @param {string} server where its page is, `https://host[:port]/[prefix/]`
 * @returns {string}
 * @throws {Problem} it is no http address
 */
export function socketUrl(server) {
  let url;
  try {
    url = new URL(server);
    url = new URL(`${url.pathname.replace(/[^/]*$/, '')}v1/ws`, url);
  } catch {
    throw problem('server_unreachable');
  }
  if (!/^(https?|wss?):$/.test(url.protocol)) throw problem('server_unreachable');
  url.protocol = url.protocol.replace(/^http/, 'ws');
  return url.href;
}

/**
 * A connection to the signaling server that has entered a room. Its events are `SignalingEvents`,
 * all of them `CustomEvent`s.
 */
export class SignalingClient extends /** @type {new () => TypedEventTarget<SignalingEvents>} */ (
  EventTarget
) {
  #socket;
  /** @type {Welcome | null} */
  #welcome = null;
  /** @type {Problem | null} */
  #reason = null;
  #left = false;
  #closed = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #silence;
  /** Time of the last activity here, in ms, of the clock that continues during sleep. */
  #awakeAt = Date.now();
  #sleptAt = -Infinity;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #beat;

  /** @param {WebSocket} socket still connecting */
  constructor(socket) {
    super();
    this.#socket = socket;
  }

  /**
   * Connects, sends the hello and waits for the welcome.
   *
   * @param {string} server where its page is
   * @param {Parameters<typeof hello>[0]} where
   * @param {{WebSocket?: typeof WebSocket}} [options] another WebSocket class (tests)
   * @returns {Promise<SignalingClient>}
   * @throws {Problem}
   */
  static async connect(server, where, options = {}) {
    const Socket = options.WebSocket ?? globalThis.WebSocket;
    let socket;
    try {
      socket = new Socket(socketUrl(server), SUBPROTOCOL);
    } catch (error) {
      if (error instanceof Problem) throw error;
      throw problem('server_unreachable');
    }
    const client = new SignalingClient(socket);
    await client.#open(hello(where));
    return client;
  }

  /** The server's welcome. @returns {Welcome} */
  get welcome() {
    if (this.#welcome === null) throw new TypeError('not welcomed yet');
    return this.#welcome;
  }

  /** Whether messages can still be sent. */
  get open() {
    return !this.#closed && !this.#left && this.#socket.readyState === 1;
  }

  /**
   * Sends a signal to another peer of the room; does nothing once the connection is closed.
   *
   * @param {Parameters<typeof signal>[0]} message
   */
  send(message) {
    this.#transmit(signal(message));
  }

  /** Leaves the room for good and closes. */
  leave() {
    if (this.#closed || this.#left) return;
    this.#transmit(LEAVE);
    this.#left = true;
    this.#socket.close(1000);
    this.#close(null);
  }

  /** @param {string} frame */
  #transmit(frame) {
    if (!this.open) return;
    if (this.#socket.bufferedAmount > MAX_WAITING) this.#fail(problem('server_unreachable'));
    else this.#socket.send(frame);
  }

  /** @param {string} greeting */
  #open(greeting) {
    return new Promise((resolve, reject) => {
      const socket = this.#socket;
      const timer = setTimeout(() => {
        socket.close(1000);
        this.#close(problem('server_unreachable'));
      }, WELCOME_TIMEOUT);
      this.addEventListener(
        'closed',
        ({ detail }) => {
          clearTimeout(timer);
          reject(detail ?? problem('closed'));
        },
        { once: true },
      );
      socket.addEventListener('open', () => socket.send(greeting));
      socket.addEventListener('close', (event) =>
        this.#close(this.#reason ?? problemOfClose(event.code)),
      );
      socket.addEventListener('message', (event) => {
        if (this.#closed) return;
        this.#stir();
        const welcomed = this.#welcome !== null;
        this.#receive(event.data);
        this.#listen();
        if (!welcomed && this.#welcome !== null) {
          clearTimeout(timer);
          this.#beat = setInterval(() => this.#stir(), BEAT);
          resolve(undefined);
        }
      });
    });
  }

  /** Closes the connection when the server misses two heartbeats. */
  #listen() {
    clearTimeout(this.#silence);
    if (this.#closed || this.#welcome === null) return;
    this.#silence = setTimeout(() => {
      this.#socket.close(1000);
      this.#close(problem('server_unreachable'));
    }, 2000 * this.#welcome.heartbeat);
  }

  /** @param {unknown} frame */
  #receive(frame) {
    let message;
    try {
      message = parseServer(frame);
    } catch (error) {
      if (!(error instanceof BadMessage)) throw error;
      // Before the welcome a bad frame ends the connection; later it is only dropped.
      if (this.#welcome === null) this.#fail(problem('server_protocol'));
      return;
    }
    switch (message.t) {
      case 'welcome':
        if (this.#welcome === null) this.#welcome = message;
        break;
      case 'ping':
        this.#transmit(PONG);
        break;
      case 'error':
        if (this.#welcome === null) this.#fail(problemOfError(message));
        else this.#emit('error', message);
        break;
      case 'peer':
      case 'signal':
        if (this.#welcome !== null) this.#emit(message.t, message);
        break;
      case 'ice':
        this.#emit('ice', message.ice);
        break;
      default:
        break; // ok, draining, unknown: no action
    }
  }

  /** Notes activity; a long gap since the last one means that the device slept. */
  #stir() {
    const now = Date.now();
    if (now - this.#awakeAt > SLEEP) this.#sleptAt = now;
    this.#awakeAt = now;
    return now - this.#sleptAt < AFTER_SLEEP;
  }

  /** @param {Problem} reason */
  #fail(reason) {
    this.#reason = reason;
    this.#socket.close(1000);
    this.#close(reason);
  }

  /** @param {Problem | null} reason */
  #close(reason) {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#silence);
    clearInterval(this.#beat);
    const slept = this.#welcome !== null && this.#stir();
    if (slept && reason?.code === 'server_unreachable') reason = problem('slept');
    this.#emit('closed', reason);
  }

  /**
   * @template {keyof SignalingEvents} Type
   * @param {Type} type
   * @param {SignalingEvents[Type]} detail
   */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
