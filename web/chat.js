// @ts-check
// The messages of the `chat` channel: lines of text, and the news that they arrived.

import { BadMessage, parseObject } from './messages.js';

/** Most bytes of UTF-8 of a chat message, with everything around its text. */
export const MAX_CHAT_MESSAGE = 64 * 1024;
/** Lines whose arrival is still awaited; with more, the oldest are forgotten. */
const MAX_UNDELIVERED = 1000;

/**
 * @typedef {{type: 'message', id: number, text: string, at: Date} | {type: 'delivered', id: number}} ChatEvent
 */

/** One side of a conversation, without channel or clock. */
export class Chat {
  #nextId = 0;
  /** @type {Set<number>} */
  #undelivered = new Set();
  /** @type {string[]} */
  #messages = [];
  /** @type {ChatEvent[]} */
  #events = [];

  /**
   * Says something.
   *
   * @param {string} text
   * @param {number} at unix time in ms
   * @returns {number} its id
   * @throws {RangeError} it is too long for one message
   */
  say(text, at) {
    const id = this.#nextId;
    const message = JSON.stringify({ t: 'message', id, text: text.toWellFormed(), at: Math.floor(at) });
    if (new TextEncoder().encode(message).length > MAX_CHAT_MESSAGE) throw new RangeError('too long');
    this.#nextId += 1;
    this.#undelivered.add(id);
    if (this.#undelivered.size > MAX_UNDELIVERED) {
      for (const oldest of this.#undelivered) {
        this.#undelivered.delete(oldest);
        break;
      }
    }
    this.#messages.push(message);
    return id;
  }

  /**
   * Takes what came on the channel; what is no message of this version is ignored.
   *
   * @param {unknown} data
   */
  receive(data) {
    let message;
    try {
      if (typeof data !== 'string') return;
      message = parseObject(data, MAX_CHAT_MESSAGE);
    } catch (error) {
      if (error instanceof BadMessage) return;
      throw error;
    }
    const { t, id, text, at } = message;
    if (typeof id !== 'number' || !Number.isSafeInteger(id) || id < 0) return;
    if (t === 'delivered') {
      if (this.#undelivered.delete(id)) this.#events.push({ type: 'delivered', id });
    } else if (t === 'message' && typeof text === 'string') {
      const sent = new Date(typeof at === 'number' ? at : Number.NaN);
      // The other side's clock may say anything; a moment no calendar has becomes now.
      const when = Number.isNaN(sent.getTime()) ? new Date() : sent;
      this.#events.push({ type: 'message', id, text, at: when });
      this.#messages.push(JSON.stringify({ t: 'delivered', id }));
    }
  }

  /** Messages to be sent, in order; each is handed out once. @returns {string[]} */
  messagesToSend() {
    return this.#messages.splice(0);
  }

  /** @returns {ChatEvent | null} */
  nextEvent() {
    return this.#events.shift() ?? null;
  }
}
