// @ts-check
// The signals between the two sides of one link: sealed as soon as there are keys.

import { BadMessage, parseObject } from '../server/messages.js';
import { SealError, Sealer } from '../security/sealing.js';

/** @typedef {import('../server/messages.js').Signal} Signal */
/** @typedef {Omit<Signal, 't' | 'from'> & {to: string}} OutgoingSignal */

/** The signals that both sides exchange through the server. */
export class SealedSignals {
  /** The link's id; empty until the answerer has received a signal. */
  link = '';
  #local;
  #remote;
  #deliver;
  /** @type {Sealer | null} */
  #sealer = null;
  /** Settles when the signal before has been sent, so that the order stays. @type {Promise<void>} */
  #outbox = Promise.resolve();

  /**
   * @param {object} ends
   * @param {string} ends.local our peer id
   * @param {string} ends.remote the other side's
   * @param {(signal: OutgoingSignal) => void} ends.send
   */
  constructor({ local, remote, send }) {
    this.#local = local;
    this.#remote = remote;
    this.#deliver = send;
  }

  /** Whether outgoing signals are sealed and unsealed incoming ones are ignored. */
  get isSealed() {
    return this.#sealer !== null;
  }

  /**
   * Seals every signal from now on.
   *
   * @param {import('../security/sealing.js').LinkKeys} keys
   * @param {{offerer: boolean}} side
   */
  seal(keys, side) {
    this.#sealer = new Sealer(keys, side);
  }

  /**
   * Sends a signal, sealed if there are keys.
   *
   * @param {string} kind
   * @param {number} gen
   * @param {object} body
   */
  send(kind, gen, body) {
    const text = JSON.stringify(body);
    if (this.#sealer === null) {
      this.sendPlain(kind, gen, text);
      return;
    }
    const sealed = this.#sealer.seal(this.#envelope(this.#local, gen, kind), text);
    this.#outbox = this.#outbox
      .then(async () => this.sendPlain(kind, gen, await sealed))
      .catch(() => {}); // `SealError`: too long, which none of our signals is
  }

  /**
   * Sends a signal unsealed.
   *
   * @param {string} kind
   * @param {number} gen
   * @param {string} data
   */
  sendPlain(kind, gen, data) {
    this.#deliver({ to: this.#remote, link: this.link, gen, kind, data });
  }

  /** Settles when every signal has been sent. @returns {Promise<void>} */
  get flushed() {
    return this.#outbox;
  }

  /**
   * The body of a signal, or null if the peer did not seal it; then the caller drops it.
   *
   * @param {number} gen
   * @param {string} kind
   * @param {string} data
   * @returns {Promise<Record<string, unknown> | null>}
   * @throws {BadMessage} the peer sealed it, but it is malformed
   */
  async open(gen, kind, data) {
    if (this.#sealer === null) return parseObject(data, data.length);
    let plaintext;
    try {
      plaintext = await this.#sealer.open(this.#envelope(this.#remote, gen, kind), data);
    } catch (error) {
      if (error instanceof SealError) return null;
      throw error;
    }
    return parseObject(new TextDecoder().decode(plaintext), plaintext.length);
  }

  /**
   * @param {string} from
   * @param {number} gen
   * @param {string} kind
   */
  #envelope(from, gen, kind) {
    const to = from === this.#local ? this.#remote : this.#local;
    return { from, to, link: this.link, gen, kind };
  }
}

/**
 * Checks that a field of a body is a text.
 *
 * @param {unknown} value
 * @returns {string}
 */
export function textOf(value) {
  if (typeof value !== 'string' || value === '') throw new BadMessage('a text is missing');
  return value;
}
