// @ts-check
// The messages of the `chat` channel: lines of text, and their acknowledgements. A machine.
//
// `message {t, id, text, at}`: `id` counts up from 1 on each side, `text` is 1 byte to 64 KiB of
// UTF-8, `at` is the sender's unix time in ms. `delivered {t, id}`: it has reached the other side.
// A message whose id is not above the last one's is a repetition: confirmed again, shown once.

import { BadMessage, parseObject } from '../server/messages.js';

/** Most bytes of UTF-8 of a text. */
export const MAX_TEXT = 64 * 1024;
/** Most UTF-16 units of a message that is parsed: the longest text with every byte escaped. */
const MAX_MESSAGE = 6 * MAX_TEXT + 256;
/** Most bytes of a message that is sent: every browser accepts this size. */
const MAX_SENT = 200 * 1024;
/** Most lines that may be unacknowledged. */
const MAX_UNDELIVERED = 256;

/**
 * @typedef {{type: 'message', id: number, text: string, at: Date} | {type: 'delivered', id: number}} ChatEvent
 */

/** One side of a conversation, without channel or clock. */
export class Chat {
  #lastSent = 0;
  #lastReceived = 0;
  /** @type {Set<number>} */
  #undelivered = new Set();
  /** @type {string[]} */
  #messages = [];
  /** @type {ChatEvent[]} */
  #events = [];
  #encoder = new TextEncoder();

  /** Whether the limit of unacknowledged lines is reached. */
  get isFull() {
    return this.#undelivered.size >= MAX_UNDELIVERED;
  }

  /**
   * Queues a line of text.
   *
   * @param {string} text
   * @param {number} at unix time in ms
   * @returns {number} its id
   * @throws {RangeError} it is empty, or too long for one message
   */
  say(text, at) {
    const id = this.#lastSent + 1;
    const said = text.toWellFormed();
    const size = this.#encoder.encode(said).length;
    const message = JSON.stringify({ t: 'message', id, text: said, at: Math.floor(at) });
    if (size === 0 || size > MAX_TEXT || this.#encoder.encode(message).length > MAX_SENT) {
      throw new RangeError(`a text of ${size} bytes`);
    }
    this.#lastSent = id;
    this.#undelivered.add(id);
    this.#messages.push(message);
    return id;
  }

  /**
   * Receives a message of the channel; one that is not of this version is ignored.
   *
   * @param {unknown} data
   */
  receive(data) {
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
    } else if (
      t === 'message' &&
      typeof text === 'string' &&
      text !== '' &&
      text.length <= MAX_TEXT
    ) {
      this.#messages.push(JSON.stringify({ t: 'delivered', id }));
      if (id <= this.#lastReceived) return;
      this.#lastReceived = id;
      const sent = new Date(typeof at === 'number' ? at : Number.NaN);
      // The peer's clock may be wrong: a time that `Date` cannot hold becomes now.
      const when = Number.isNaN(sent.getTime()) ? new Date() : sent;
      this.#events.push({ type: 'message', id, text, at: when });
    }
  }

  /** Messages to send, in order; each is returned once. @returns {string[]} */
  messagesToSend() {
    return this.#messages.splice(0);
  }

  /** @returns {ChatEvent | null} */
  nextEvent() {
    return this.#events.shift() ?? null;
  }
}
