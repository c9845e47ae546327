// @ts-check
// The control channel of a link, as a machine: hello, pings and bye. It mirrors
// `peer/link/control.py`, which documents the messages; tests/vectors/transcripts/control.json
// checks both.
//
// It has no clock and no timer: calls pass `now`, in seconds. After each call send
// `messagesToSend`, read `nextEvent` until it returns null, and set a timer to `deadline`.

import { BadMessage, parseObject } from '../server/messages.js';
import { fitCode, fitName, showName } from '../text.js';

export const VERSION = 1;
/** Maximum length of a message that is read, in bytes. */
export const MAX_MESSAGE = 64 * 1024;
/** Interval of pings on an otherwise silent link, in seconds. */
export const PING_INTERVAL = 5;
/** Silence after which the peer counts as lost, in seconds. */
export const LOST_AFTER = 15;
/** The same, once there is a reason to suspect the loss. */
export const LOST_AFTER_DOUBT = 6;
/** Delay of a timer that proves that this side slept, in seconds. */
export const LATE = 2;
const MAX_SENTENCE = 1000;

/**
 * @typedef {{type: 'hello', name: string, agent: string, reveal: string | null}} HelloReceived the
 *   other side is there; `reveal`: its nonce, on a link without a password
 * @typedef {{type: 'bye', code: string, message: string}} ByeReceived it is leaving, in order
 * @typedef {{type: 'unread', channel: number}} ChannelUnread it closes a channel that it did not read
 * @typedef {{type: 'other', text: string, message: Record<string, unknown>}} OtherMessage for somebody
 *   else
 * @typedef {{type: 'silent', after: number}} PeerSilent nothing has been heard of it for so many seconds
 * @typedef {HelloReceived | ByeReceived | ChannelUnread | OtherMessage | PeerSilent} ControlEvent
 */

/** One side of a control channel. */
export class Control {
  /**
   * Round-trip time of the last answered ping, in seconds; null before the first.
   * @type {number | null}
   */
  roundTrip = null;
  #heard;
  #nextPing;
  #patience = LOST_AFTER;
  #pings = 0;
  /** @type {number | null} */
  #pingSent = null;
  #greeted = false;
  #over = false;
  /** @type {string[]} */
  #outbox = [];
  /** The newest unanswered ping. @type {number | null} */
  #pong = null;
  /** @type {ControlEvent[]} */
  #events = [];

  /** @param {number} now */
  constructor(now) {
    this.#heard = now;
    this.#nextPing = now + PING_INTERVAL;
  }

  /**
   * Queues the hello, the first message.
   *
   * @param {string} name
   * @param {string} agent
   * @param {string | null} reveal
   */
  hello(name, agent, reveal) {
    /** @type {Record<string, unknown>} */
    const message = { t: 'hello', version: VERSION };
    if (fitName(name) !== '') message.name = fitName(name);
    if (agent !== '') message.agent = agent;
    if (reveal !== null) message.reveal = reveal;
    this.#send(message);
  }

  /**
   * Queues the bye, the last message.
   *
   * @param {string} [code] tells programs why
   * @param {string} [sentence] tells people why
   */
  bye(code = 'bye', sentence = '') {
    if (this.#over) return;
    this.#over = true;
    this.#pong = null;
    /** @type {Record<string, unknown>} */
    const message = { t: 'bye' };
    if (code !== 'bye') message.code = code;
    if (sentence !== '') message.message = sentence;
    this.#send(message);
  }

  /**
   * Tells that data of the peer has arrived, on any channel.
   *
   * @param {number} now
   */
  heard(now) {
    this.#heard = now;
    this.#patience = LOST_AFTER;
    this.#nextPing = now + PING_INTERVAL;
  }

  /**
   * Tells that the peer may be lost: sends a ping at once, and waits for a shorter time.
   *
   * @param {number} now
   */
  doubt(now) {
    if (this.#over || this.#patience < LOST_AFTER) return;
    this.#patience = LOST_AFTER_DOUBT;
    this.#heard = now;
    this.#ping(now);
  }

  /**
   * Takes a message of the channel; never throws, ignores malformed messages.
   *
   * @param {unknown} data
   * @param {number} now
   */
  receiveMessage(data, now) {
    this.heard(now);
    if (this.#over || typeof data !== 'string') return;
    let message;
    try {
      message = parseObject(data, MAX_MESSAGE);
    } catch (error) {
      if (error instanceof BadMessage) return;
      throw error;
    }
    const { t, n, channel } = message;
    switch (t) {
      case 'hello':
        this.#receiveHello(message);
        break;
      case 'ping':
        if (isCount(n)) this.#pong = n;
        break;
      case 'pong':
        if (n !== this.#pings || this.#pingSent === null) break;
        this.roundTrip = now - this.#pingSent;
        this.#pingSent = null;
        break;
      case 'unread':
        if (isCount(channel) && channel <= 65535) this.#events.push({ type: 'unread', channel });
        break;
      case 'bye':
        this.#receiveBye(message);
        break;
      default:
        if (typeof t === 'string') this.#events.push({ type: 'other', text: data, message });
    }
  }

  /** The time at which to call `handleTimer`; null: no timer. */
  get deadline() {
    return this.#over ? null : Math.min(this.#nextPing, this.#heard + this.#patience);
  }

  /**
   * Handles the timer at `deadline`.
   *
   * @param {number} now
   */
  handleTimer(now) {
    const due = this.deadline;
    if (due === null || now < due) return;
    if (now - due > LATE) {
      // This side did not run for a while: messages of the peer may wait to be read.
      this.#heard = Math.max(this.#heard, now - this.#patience + PING_INTERVAL);
    } else if (now >= this.#heard + this.#patience) {
      this.#over = true;
      this.#events.push({ type: 'silent', after: this.#patience });
      return;
    }
    this.#ping(now);
  }

  /**
   * The messages to send now, in order; each is returned once.
   *
   * @param {{replies?: boolean}} [room] whether there is room for answers; without it they wait, and
   *   only the newest is kept
   */
  messagesToSend({ replies = true } = {}) {
    if (replies && this.#pong !== null) {
      this.#send({ t: 'pong', n: this.#pong });
      this.#pong = null;
    }
    return this.#outbox.splice(0);
  }

  /** The next event, or null. */
  nextEvent() {
    return this.#events.shift() ?? null;
  }

  /** @param {Record<string, unknown>} message */
  #receiveHello({ version, name = '', agent = '', reveal = null }) {
    if (this.#greeted || !isCount(version) || version < 1) return;
    if (typeof name !== 'string' || typeof agent !== 'string') return;
    if (reveal !== null && typeof reveal !== 'string') return;
    this.#greeted = true;
    this.#events.push({ type: 'hello', name: fitName(name), agent: fitName(agent), reveal });
  }

  /** @param {Record<string, unknown>} message */
  #receiveBye({ code = '', message = '' }) {
    if (typeof code !== 'string' || typeof message !== 'string') return;
    this.#over = true;
    const sentence = showName(message, MAX_SENTENCE);
    this.#events.push({ type: 'bye', code: fitCode(code, 'bye'), message: sentence });
  }

  /** @param {number} now */
  #ping(now) {
    this.#pings += 1;
    this.#pingSent = now;
    this.#nextPing = now + PING_INTERVAL;
    this.#send({ t: 'ping', n: this.#pings });
  }

  /** @param {object} message */
  #send(message) {
    this.#outbox.push(JSON.stringify(message));
  }
}

/**
 * @param {unknown} value
 * @returns {value is number}
 */
function isCount(value) {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
