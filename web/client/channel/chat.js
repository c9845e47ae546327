// @ts-check
// The chat of a link, as a machine. It mirrors `peer/channel/chat/protocol.py`, which documents the
// messages; tests/vectors/transcripts/chat.json checks both.

import { BadMessage, parseObject } from '../server/messages.js';
import { exceeds } from '../text.js';

/** Maximum length of a text, in bytes of UTF-8. */
export const MAX_TEXT = 64 * 1024;
/** Maximum length of a message that is parsed, in bytes: such a text with every byte escaped. */
export const MAX_MESSAGE = 6 * MAX_TEXT + 256;
/** Maximum number of messages without their `delivered`. */
export const MAX_UNDELIVERED = 256;
/**
 * Maximum number of our confirmations, one for each message, that wait for space on the channel.
 */
export const MAX_CONFIRMATIONS = 4 * MAX_UNDELIVERED;
/** Latest time that a `Date` can hold, as unix time in ms. */
export const MAX_TIME = 8_640_000_000_000_000;

/**
 * @typedef {{type: 'message', id: number, text: string, at: number | null}} ChatMessage `at`: the other
 *   side's unix time in ms, if it tells one
 * @typedef {{type: 'delivered', id: number}} Delivered what we wrote has reached the other side
 * @typedef {{type: 'flooded'}} Flooded the other side does not take the confirmations of its messages
 * @typedef {ChatMessage | Delivered | Flooded} ChatEvent
 */

/** One side of a link's chat, in both directions. */
export class Chat {
  #lastSent = 0;
  #lastReceived = 0;
  /** @type {Set<number>} */
  #undelivered = new Set();
  /** @type {string[]} */
  #messages = [];
  /** @type {Set<number>} */
  #confirmations = new Set();
  /** @type {ChatEvent[]} */
  #events = [];

  /** Whether sending must wait until the peer has confirmed some messages. */
  get isFull() {
    return this.#undelivered.size >= MAX_UNDELIVERED;
  }

  /**
   * Queues a message to the peer.
   *
   * @param {string} text 1 byte to 64 KiB of UTF-8
   * @param {number} at unix time in ms
   * @param {{limit?: number}} [channel] bytes of the largest message on the channel; escapes may need
   *   more than the text
   * @returns {number} the message's id, which comes back in `delivered`
   * @throws {RangeError} the text is empty, too long or not Unicode, or too many messages are
   *   unconfirmed
   */
  send(text, at, { limit = Infinity } = {}) {
    const id = this.#lastSent + 1;
    if (text === '' || !text.isWellFormed() || exceeds(text, MAX_TEXT) || this.isFull)
      throw new RangeError(`a text of ${text.length} characters`);
    const message = JSON.stringify({ t: 'message', id, text, at });
    if (exceeds(message, limit)) throw new RangeError(`a message of ${message.length} characters`);
    this.#lastSent = id;
    this.#undelivered.add(id);
    this.#messages.push(message);
    return id;
  }

  /**
   * Takes data of the channel; data that is no message of this version is ignored.
   *
   * @param {unknown} data
   */
  receiveMessage(data) {
    let message;
    try {
      if (typeof data !== 'string') return;
      message = parseObject(data, MAX_MESSAGE);
    } catch (error) {
      if (error instanceof BadMessage) return;
      throw error;
    }
    const { t, id, text, at } = message;
    if (typeof id !== 'number' || !Number.isSafeInteger(id) || id < 1) return;
    if (t === 'delivered') {
      if (this.#undelivered.delete(id)) this.#events.push({ type: 'delivered', id });
    } else if (t === 'message' && typeof text === 'string' && text !== '' && !exceeds(text, MAX_TEXT)) {
      this.#receiveText(id, text, isTime(at) ? at : null);
    }
  }

  /**
   * The messages to send on the channel, in order; each is returned once.
   *
   * @param {{confirmations?: boolean}} [room] whether there is room for those; without it they wait
   */
  messagesToSend({ confirmations = true } = {}) {
    const messages = this.#messages.splice(0);
    if (!confirmations) return messages;
    for (const id of this.#confirmations) messages.push(JSON.stringify({ t: 'delivered', id }));
    this.#confirmations.clear();
    return messages;
  }

  /** The oldest event that was not returned yet, or null. */
  nextEvent() {
    return this.#events.shift() ?? null;
  }

  /**
   * @param {number} id
   * @param {string} text
   * @param {number | null} at
   */
  #receiveText(id, text, at) {
    if (this.#confirmations.size >= MAX_CONFIRMATIONS) {
      this.#events.push({ type: 'flooded' });
      return;
    }
    this.#confirmations.add(id);
    if (id <= this.#lastReceived) return;
    this.#lastReceived = id;
    this.#events.push({ type: 'message', id, text, at });
  }
}

/**
 * Whether a value of the peer is a valid time.
 *
 * @param {unknown} at
 * @returns {at is number}
 */
function isTime(at) {
  return typeof at === 'number' && Number.isInteger(at) && at >= 0 && at <= MAX_TIME;
}
