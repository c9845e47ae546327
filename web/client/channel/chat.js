// @ts-check
// The chat of a link as a machine: the same as `peer/channel/chat/protocol.py`, where the messages are
// written down; tests/vectors/transcripts/chat.json holds both to it.

import { BadMessage, parseObject } from '../server/messages.js';
import { exceeds } from '../text.js';

/** Most bytes of UTF-8 of a text. */
export const MAX_TEXT = 64 * 1024;
/** Most bytes of a message that is parsed: such a text with every byte escaped. */
export const MAX_MESSAGE = 6 * MAX_TEXT + 256;
/** Messages that may wait for their `delivered`. */
export const MAX_UNDELIVERED = 256;
/** Confirmations of ours that may wait for room on the channel, one for each message. */
export const MAX_CONFIRMATIONS = 4 * MAX_UNDELIVERED;
/** The last moment a calendar has, unix time in ms. */
export const MAX_TIME = 8_640_000_000_000_000;

/**
 * @typedef {{type: 'message', id: number, text: string, at: number | null}} ChatMessage `at`: the other
 *   side's unix time in ms, if it tells one
 * @typedef {{type: 'delivered', id: number}} Delivered what we wrote has reached the other side
 * @typedef {{type: 'flooded'}} Flooded the other side does not take the confirmations of its messages
 * @typedef {ChatMessage | Delivered | Flooded} ChatEvent
 */

/** Both directions of one link's chat. */
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

  /** Whether no more can be sent until the other side has confirmed some of it. */
  get isFull() {
    return this.#undelivered.size >= MAX_UNDELIVERED;
  }

  /**
   * Writes something to the other side.
   *
   * @param {string} text 1 byte to 64 KiB of UTF-8
   * @param {number} at unix time in ms
   * @param {{limit?: number}} [channel] bytes of the largest message on the channel; escapes may need
   *   more than the text
   * @returns {number} the message's id, which comes back in `delivered`
   * @throws {RangeError} it is empty, too long or not Unicode, or too many wait to be confirmed
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
   * Takes what arrived on the channel; what is no message of this version is ignored.
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
   * What has to go out on the channel, in order; each is returned once.
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

  /** The oldest event; null when there is none now. */
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
 * Whether it is a moment; the other side's clock may say anything.
 *
 * @param {unknown} at
 * @returns {at is number}
 */
function isTime(at) {
  return typeof at === 'number' && Number.isInteger(at) && at >= 0 && at <= MAX_TIME;
}
