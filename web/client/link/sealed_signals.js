// @ts-check
// The signals of one link, sealed as soon as there are keys.

import { SealError, Sealer } from '../security/sealing.js';

/** @typedef {{link: string, gen: number, kind: string, data: string}} OutgoingSignal */

/** The signals of one link through the server; a part of `Negotiation`. */
export class SealedSignals {
  /** The link's id; empty until the answerer has received it. */
  link;
  #local;
  #remote;
  /** @type {Sealer | null} */
  #sealer = null;
  /** @type {OutgoingSignal[]} */
  #outbox = [];

  /**
   * @param {object} ends
   * @param {string} ends.local our peer id
   * @param {string} ends.remote the other side's
   * @param {string} ends.link
   */
  constructor({ local, remote, link }) {
    this.link = link;
    this.#local = local;
    this.#remote = remote;
  }

  /** Whether signals are sealed from now on, and only sealed ones are read. */
  get isSealed() {
    return this.#sealer !== null;
  }

  /**
   * Seals all signals from now on.
   *
   * @param {import('../security/sealing.js').LinkKeys} keys
   * @param {{offerer: boolean}} side
   */
  seal(keys, side) {
    this.#sealer = new Sealer(keys, side);
  }

  /**
   * Queues a signal, sealed if there are keys.
   *
   * @param {string} kind
   * @param {number} gen
   * @param {object} body
   */
  async send(kind, gen, body) {
    const text = JSON.stringify(body);
    const { link } = this;
    const data =
      this.#sealer === null ? text : await this.#sealer.seal(this.#envelope(true, gen, kind), text);
    this.#outbox.push({ link, gen, kind, data });
  }

  /**
   * Queues a signal in plaintext.
   *
   * @param {string} kind
   * @param {string} data
   */
  sendPlain(kind, data) {
    this.#outbox.push({ link: this.link, gen: 0, kind, data });
  }

  /** The signals to send now, in order; each is returned once. */
  toSend() {
    return this.#outbox.splice(0);
  }

  /**
   * The body of a signal; null if the peer did not seal it, so that it is dropped.
   *
   * @param {string} kind
   * @param {number} gen
   * @param {string} data
   * @returns {Promise<string | null>}
   */
  async open(kind, gen, data) {
    if (this.#sealer === null) return data;
    try {
      const plaintext = await this.#sealer.open(this.#envelope(false, gen, kind), data);
      return new TextDecoder().decode(plaintext);
    } catch (error) {
      if (error instanceof SealError) return null;
      throw error;
    }
  }

  /**
   * @param {boolean} ours whether we send it
   * @param {number} gen
   * @param {string} kind
   */
  #envelope(ours, gen, kind) {
    const [from, to] = ours ? [this.#local, this.#remote] : [this.#remote, this.#local];
    return { from, to, link: this.link, gen, kind };
  }
}
