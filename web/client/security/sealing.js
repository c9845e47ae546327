// @ts-check
// The keys of a link, sealed signals, and the words that two people compare. A machine.
//
// peer/security/sealing.py documents the protocol; tests/vectors/sealing.json checks both. The
// calls are asynchronous here, because WebCrypto is.

import { pickWords } from './codes.js';
import { Problem, problem } from '../problems.js';

/** Separates the keys that are derived here from every other use and version. */
export const PROTOCOL = 'peerline.1';
export const SAS_WORDS = 4;
/** Bytes of each side's nonce in `openLinkSas`. */
export const NONCE_SIZE = 32;

const ISK_SIZE = 64;
const COUNTER_SIZE = 8;
const TAG_SIZE = 16;
const FINGERPRINT_SIZE = 32;
/** Maximum length of `signal.data` in the signaling protocol, in bytes. */
const MAX_DATA = 48 * 1024;
/** Maximum length of a plaintext whose sealed form fits into a signal, in bytes. */
export const MAX_PLAINTEXT = (MAX_DATA / 4) * 3 - COUNTER_SIZE - TAG_SIZE;

const encoder = new TextEncoder();

/** The page cannot encrypt: it is not in a secure context, or the browser lacks X25519. */
export class NoWebCrypto extends Problem {
  /** @param {'insecure' | 'outdated'} why */
  constructor(why) {
    const known = problem('insecure_context');
    if (why === 'insecure') super(known.code, known.sentence, known.action);
    else super('no_webcrypto', 'This browser is too old for Peerline: it lacks X25519.', 'Try again');
    this.name = 'NoWebCrypto';
  }
}

/**
 * Returns WebCrypto.
 *
 * @returns {SubtleCrypto}
 * @throws {NoWebCrypto}
 */
export function webCrypto() {
  const subtle = globalThis.crypto?.subtle;
  if (!subtle) throw new NoWebCrypto('insecure');
  return subtle;
}

/**
 * Random bytes for nonces, scalars and words.
 *
 * @param {number} size
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function randomBytes(size) {
  return globalThis.crypto.getRandomValues(new Uint8Array(size));
}

/** A sealed signal is not authentic, or out of order: drop it. */
export class SealError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = 'SealError';
  }
}

/** @typedef {Uint8Array<ArrayBuffer>} Bytes */

/**
 * @param {...Uint8Array} parts
 * @returns {Bytes}
 */
export function concat(...parts) {
  const joined = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/**
 * UTF-8.
 *
 * @param {string} text
 * @returns {Bytes}
 */
export function utf8(text) {
  return encoder.encode(text);
}

/**
 * Joins byte strings, each after its length in LEB128 (draft-irtf-cfrg-cpace-21, A.1.3).
 *
 * @param {...(Uint8Array | string)} parts texts count as their UTF-8
 * @returns {Bytes}
 */
export function lvCat(...parts) {
  const pieces = [];
  for (const part of parts) {
    const bytes = typeof part === 'string' ? utf8(part) : part;
    const prefix = [];
    let length = bytes.length;
    while (length > 0x7f) {
      prefix.push((length & 0x7f) | 0x80);
      length >>>= 7;
    }
    prefix.push(length);
    pieces.push(Uint8Array.from(prefix), bytes);
  }
  return concat(...pieces);
}

/**
 * Base64url without padding (RFC 4648, 5).
 *
 * @param {Uint8Array} bytes
 * @returns {string}
 */
export function b64uEncode(bytes) {
  let binary = '';
  // In pieces: the number of arguments of one call is limited.
  for (let at = 0; at < bytes.length; at += 8192) {
    binary += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

/**
 * The bytes of base64url text without padding, in its one canonical form.
 *
 * @param {string} text
 * @returns {Bytes}
 * @throws {RangeError} the text has another form
 */
export function b64uDecode(text) {
  if (!/^[A-Za-z0-9_-]*$/.test(text) || text.length % 4 === 1) {
    throw new RangeError('not base64url');
  }
  const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
  if (b64uEncode(bytes) !== text) throw new RangeError('not canonical base64url');
  return bytes;
}

/**
 * The keys that both sides of an authenticated link derive from the agreed key.
 *
 * @typedef {object} LinkKeys
 * @property {Bytes} sealOfferer AES-256 key of the offerer's signals
 * @property {Bytes} sealAnswerer AES-256 key of the answerer's signals
 * @property {Bytes} resume 32 bytes for a later authentication of the same two peers
 * @property {readonly string[]} sas the words that both people see
 */

/**
 * Derives a link's keys from CPace's intermediate session key.
 *
 * @param {Uint8Array} isk 64 bytes
 * @returns {Promise<Readonly<LinkKeys>>}
 */
export async function deriveLinkKeys(isk) {
  if (isk.length !== ISK_SIZE) throw new RangeError(`an ISK has ${ISK_SIZE} bytes`);
  const [sealOfferer, sealAnswerer, resume, sas] = await Promise.all(
    ['seal offerer', 'seal answerer', 'resume', 'sas'].map((use) =>
      hkdf(isk, `${PROTOCOL} ${use}`),
    ),
  );
  return Object.freeze({ sealOfferer, sealAnswerer, resume, sas: sasWords(sas) });
}

/**
 * The public fields of a signal, to which its sealed data is bound.
 *
 * @typedef {object} Envelope
 * @property {string} from peer id of the sender
 * @property {string} to peer id of the receiver
 * @property {string} link id of the link
 * @property {number} gen generation of the connection under the link
 * @property {string} kind `offer`, `answer`, `candidate`, ...
 */

/**
 * Seals this side's signals on a link, and opens the peer's.
 *
 * One sealer serves a link for its whole life, across generations: the counters never decrease.
 * Calls may overlap: each kind finishes in the order in which it was called.
 */
export class Sealer {
  /** @type {Promise<CryptoKey>} */
  #send;
  /** @type {Promise<CryptoKey>} */
  #receive;
  #nextCounter = 0n;
  #lastOpened = -1n;
  /** @type {Promise<unknown>} */
  #sealing = Promise.resolve();
  /** @type {Promise<unknown>} */
  #opening = Promise.resolve();

  /**
   * @param {LinkKeys} keys
   * @param {{offerer: boolean}} side whether this side is the link's offerer
   * @throws {NoWebCrypto}
   */
  constructor(keys, { offerer }) {
    const [ours, theirs] = offerer
      ? [keys.sealOfferer, keys.sealAnswerer]
      : [keys.sealAnswerer, keys.sealOfferer];
    this.#send = webCrypto().importKey('raw', ours, 'AES-GCM', false, ['encrypt']);
    this.#receive = webCrypto().importKey('raw', theirs, 'AES-GCM', false, ['decrypt']);
  }

  /**
   * Seals one signal; sealed signals must be sent in the order of these calls.
   *
   * @param {Envelope} envelope
   * @param {Uint8Array | string} plaintext a text counts as its UTF-8
   * @returns {Promise<string>} the signal's `data`
   * @throws {SealError} the plaintext is longer than `MAX_PLAINTEXT`
   */
  seal(envelope, plaintext) {
    // Copies, because the caller may change its objects while this call waits for its turn.
    const copy = { ...envelope };
    const bytes = typeof plaintext === 'string' ? utf8(plaintext) : concat(plaintext);
    return this.#afterwards('sealing', () => this.#seal(copy, bytes));
  }

  /**
   * Opens one signal of the peer.
   *
   * @param {Envelope} envelope
   * @param {string} data
   * @returns {Promise<Bytes>} the plaintext
   * @throws {SealError} it is not sealed with the peer's key for this envelope, or it is not newer
   *   than the last opened one; the state of the sealer does not change
   */
  open(envelope, data) {
    const copy = { ...envelope };
    return this.#afterwards('opening', () => this.#open(copy, data));
  }

  /**
   * @param {Envelope} envelope
   * @param {Bytes} plaintext
   */
  async #seal(envelope, plaintext) {
    if (plaintext.length > MAX_PLAINTEXT) {
      throw new SealError(
        `A signal of ${plaintext.length} bytes is over the limit of ${MAX_PLAINTEXT}.`,
      );
    }
    const counter = counterBytes(this.#nextCounter);
    this.#nextCounter += 1n;
    const sealed = await webCrypto().encrypt(gcm(counter, envelope), await this.#send, plaintext);
    return b64uEncode(concat(counter, new Uint8Array(sealed)));
  }

  /**
   * @param {Envelope} envelope
   * @param {string} data
   */
  async #open(envelope, data) {
    if (data.length > MAX_DATA) throw new SealError('A sealed signal is too long.');
    let sealed;
    try {
      sealed = b64uDecode(data);
    } catch {
      throw new SealError('A signal is not sealed.');
    }
    if (sealed.length < COUNTER_SIZE + TAG_SIZE) throw new SealError('A signal is not sealed.');
    const prefix = sealed.slice(0, COUNTER_SIZE);
    const counter = new DataView(prefix.buffer).getBigUint64(0);
    if (counter <= this.#lastOpened) {
      throw new SealError('A sealed signal was repeated, or came out of order.');
    }
    let plaintext;
    try {
      plaintext = await webCrypto().decrypt(
        gcm(prefix, envelope),
        await this.#receive,
        sealed.slice(COUNTER_SIZE),
      );
    } catch {
      throw new SealError('A sealed signal is not as the other side sealed it.');
    }
    this.#lastOpened = counter;
    return new Uint8Array(plaintext);
  }

  /**
   * Runs a step after the previous one has settled, so that the counters stay in order.
   *
   * @template T
   * @param {'sealing' | 'opening'} queue
   * @param {() => Promise<T>} step
   * @returns {Promise<T>}
   */
  #afterwards(queue, step) {
    const before = queue === 'sealing' ? this.#sealing : this.#opening;
    const result = before.then(step);
    const settled = result.catch(() => undefined);
    if (queue === 'sealing') this.#sealing = settled;
    else this.#opening = settled;
    return result;
  }
}

/**
 * Four words from the first 8 bytes of a key, 10.3 bits each, least significant first.
 *
 * @param {Uint8Array} key
 * @returns {readonly string[]}
 */
export function sasWords(key) {
  return Object.freeze(pickWords(key.slice(0, 8), SAS_WORDS));
}

/**
 * The commitment that the offerer of a link without a password sends before its nonce.
 *
 * @param {Uint8Array} nonce 32 random bytes, fresh for every generation
 * @returns {Promise<string>} base64url
 */
export async function commitment(nonce) {
  if (nonce.length !== NONCE_SIZE) throw new RangeError(`a nonce has ${NONCE_SIZE} bytes`);
  return b64uEncode(new Uint8Array(await webCrypto().digest('SHA-256', concat(nonce))));
}

/**
 * The offerer's nonce, checked against what it committed to in its offer.
 *
 * @param {string} committed `commit` from the offer, base64url
 * @param {string} reveal `reveal` from the offerer's `hello`, base64url
 * @returns {Promise<Bytes>}
 * @throws {Problem} `verification_failed`: it is not the nonce that the offer committed to
 */
export async function checkReveal(committed, reveal) {
  let nonce;
  try {
    nonce = b64uDecode(reveal);
  } catch {
    throw problem('verification_failed');
  }
  if (nonce.length !== NONCE_SIZE || (await commitment(nonce)) !== committed) {
    throw problem('verification_failed');
  }
  return nonce;
}

/**
 * The words of a link without a password.
 *
 * @param {{offererNonce: Uint8Array, answererNonce: Uint8Array,
 *   offererFingerprint: Uint8Array, answererFingerprint: Uint8Array}} parts 32 bytes each; the
 *   fingerprints are the SHA-256 ones of the DTLS certificates
 * @returns {Promise<readonly string[]>}
 */
export async function openLinkSas({
  offererNonce,
  answererNonce,
  offererFingerprint,
  answererFingerprint,
}) {
  if (offererNonce.length !== NONCE_SIZE || answererNonce.length !== NONCE_SIZE) {
    throw new RangeError(`nonces have ${NONCE_SIZE} bytes`);
  }
  if (
    offererFingerprint.length !== FINGERPRINT_SIZE ||
    answererFingerprint.length !== FINGERPRINT_SIZE
  ) {
    throw new RangeError(`fingerprints have ${FINGERPRINT_SIZE} bytes`);
  }
  const ikm = concat(offererNonce, answererNonce, offererFingerprint, answererFingerprint);
  return sasWords(await hkdf(ikm, `${PROTOCOL} sas`));
}

/**
 * HKDF-SHA-256 (RFC 5869) with an empty salt, 32 bytes.
 *
 * @param {Uint8Array} ikm
 * @param {string} info
 * @returns {Promise<Bytes>}
 */
async function hkdf(ikm, info) {
  const subtle = webCrypto();
  const key = await subtle.importKey('raw', concat(ikm), 'HKDF', false, ['deriveBits']);
  const parameters = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(), info: utf8(info) };
  return new Uint8Array(await subtle.deriveBits(parameters, key, 256));
}

/**
 * @param {bigint} counter
 * @returns {Bytes}
 */
function counterBytes(counter) {
  const bytes = new Uint8Array(COUNTER_SIZE);
  new DataView(bytes.buffer).setBigUint64(0, counter);
  return bytes;
}

/**
 * AES-GCM's nonce and associated data.
 *
 * @param {Bytes} counter
 * @param {Envelope} envelope
 * @returns {AesGcmParams}
 */
function gcm(counter, { from, to, link, gen, kind }) {
  return {
    name: 'AES-GCM',
    iv: concat(new Uint8Array(4), counter),
    additionalData: lvCat(PROTOCOL, from, to, link, String(gen), kind),
    tagLength: TAG_SIZE * 8,
  };
}
