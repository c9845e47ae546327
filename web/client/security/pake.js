// @ts-check
// Mutual proof of a code: CPace (draft-irtf-cfrg-cpace) with key confirmation. A machine.
//
// peer/security/pake.py documents the protocol; tests/vectors/pake.json checks both. X25519,
// SHA-512 and HMAC are WebCrypto's; only Elligator 2 is implemented here, with BigInts, which are
// not constant-time: acceptable for a code that is used once.
//
//     const pake = await Pake.offerer({password: code.password, room, link, ownId, peerId});
//     for (const data of pake.messagesToSend()) signal('pake', data);
//     // on every `pake` signal of the other side:
//     for (const data of await pake.receive(text)) signal('pake', data);
//     const event = pake.nextEvent();     // {type: 'done', keys} or {type: 'failed', ...} or null
//
// A run with `asks` stops with {type: 'asks'} before it answers the peer's share, until `answer` is
// called, so that a guess is counted (`guesses.js`) before it is made.

import { problem } from '../problems.js';
import { isRecord } from '../server/messages.js';
import {
  NoWebCrypto,
  PROTOCOL,
  b64uDecode,
  b64uEncode,
  concat,
  deriveLinkKeys,
  lvCat,
  randomBytes,
  utf8,
  webCrypto,
} from './sealing.js';

/** @typedef {import('./sealing.js').Bytes} Bytes */
/** @typedef {import('./sealing.js').LinkKeys} LinkKeys */

export const SCALAR_SIZE = 32;
const SHARE_SIZE = 32;
const TAG_SIZE = 64;
/** Maximum length of a message that is parsed, in characters; ours have 170. */
const MAX_MESSAGE = 512;

// G_X25519 (CPace draft, 8.2), SHA-512 and Curve25519.
const DSI = 'CPace255';
const SHA512_BLOCK = 128;
const Q = 2n ** 255n - 19n;
const A = 486662n;
const Z = 2n;

/** PKCS #8 around a raw X25519 scalar (RFC 8410): WebCrypto imports no raw private keys. */
const PKCS8_X25519 = Uint8Array.of(
  0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x04, 0x22, 0x04, 0x20,
);

/**
 * @typedef {'wrong_code' | 'malformed' | 'out_of_order' | 'low_order' | 'reflected' |
 *   'peer_gave_up'} PakeFailure
 *
 * @typedef {{type: 'asks'}} PakeAsks the other side's share is there and in order
 *
 * @typedef {{type: 'done', keys: Readonly<LinkKeys>}} PakeDone both sides proved they know the code
 *
 * @typedef {object} PakeFailed there are no keys, and there will be none
 * @property {'failed'} type
 * @property {PakeFailure} reason
 * @property {string} detail the exact cause, for a log
 * @property {string | null} bye `data` of the `bye` signal that tells the other side; null if the
 *   other side told us
 * @property {import('../problems.js').Problem} problem for the person
 *
 * @typedef {object} PakeInputs
 * @property {Uint8Array} password `code.password`, or `passwordBytes` of a named room's
 * @property {string} room the room's id on the server (`7`, or a named room's name)
 * @property {string} link the link's id
 * @property {string} ownId our peer id
 * @property {string} peerId the other side's peer id
 * @property {Uint8Array} [scalar] 32 random bytes, used for nothing else (default: fresh ones)
 * @property {boolean} [asks] whether it stops before it answers the peer's share
 */

/** The step that each state waits for; a state without one is final. */
const DUE = Object.freeze({
  ...{ awaitShare: 1, awaitAnswer: 2, asking: 0, awaitTag: 3, done: 0, failed: 0 },
});

/** The byte strings of each step. @type {Readonly<Record<number, readonly string[]>>} */
const FIELDS = Object.freeze({ 1: ['share'], 2: ['share', 'tag'], 3: ['tag'] });

/** The problem's code by failure; any other is `verification_failed`. @type {Partial<Record<PakeFailure, string>>} */
const PROBLEMS = Object.freeze({ wrong_code: 'wrong_code', peer_gave_up: 'peer_left' });

/** Ends a run, as an exception so that no step after it is taken. */
class Failure extends Error {
  /**
   * @param {PakeFailure} reason
   * @param {string} detail
   */
  constructor(reason, detail) {
    super(detail);
    this.reason = reason;
  }
}

/**
 * One side of one run. No message of the peer makes it throw: a run ends with one event, and
 * ignores further messages.
 */
export class Pake {
  /** @type {keyof typeof DUE} */
  #state;
  #offerer;
  #sid;
  #ownAd;
  #peerAd;
  #scalar;
  /** @type {Bytes} */
  #ownShare = new Uint8Array();
  /** @type {{isk: Bytes, ownTag: Bytes, checkPeerTag: (tag: Bytes) => Promise<boolean>} | null} */
  #session = null;
  /** @type {string[]} */
  #outbox = [];
  /** @type {(PakeAsks | PakeDone | PakeFailed)[]} */
  #events = [];
  #asks;
  /** The other side's, while the answer to its share waits. */
  #peerTag = '';
  /** @type {Promise<unknown>} */
  #last = Promise.resolve();

  /**
   * @private use `Pake.offerer` or `Pake.answerer`
   * @param {PakeInputs} inputs
   * @param {boolean} offerer
   */
  constructor({ link, ownId, peerId, scalar = randomBytes(SCALAR_SIZE), asks = false }, offerer) {
    if (scalar.length !== SCALAR_SIZE) throw new RangeError(`a scalar has ${SCALAR_SIZE} bytes`);
    this.#offerer = offerer;
    this.#state = offerer ? 'awaitAnswer' : 'awaitShare';
    this.#sid = utf8(link);
    this.#ownAd = lvCat(offerer ? 'offerer' : 'answerer', ownId);
    this.#peerAd = lvCat(offerer ? 'answerer' : 'offerer', peerId);
    this.#scalar = concat(scalar);
    this.#asks = asks;
  }

  /**
   * Starts a run as the link's offerer; its first message is available at once.
   *
   * @param {PakeInputs} inputs
   * @returns {Promise<Pake>}
   * @throws {NoWebCrypto}
   */
  static offerer(inputs) {
    return Pake.#start(inputs, true);
  }

  /**
   * Starts a run as the link's answerer, which waits for the first message.
   *
   * @param {PakeInputs} inputs
   * @returns {Promise<Pake>}
   * @throws {NoWebCrypto}
   */
  static answerer(inputs) {
    return Pake.#start(inputs, false);
  }

  /**
   * @param {PakeInputs} inputs
   * @param {boolean} offerer
   */
  static async #start(inputs, offerer) {
    webCrypto();
    const pake = new Pake(inputs, offerer);
    const point = await generator(inputs.password, lvCat(PROTOCOL, inputs.room), pake.#sid);
    const share = await scalarMultVfy(pake.#scalar, point);
    if (share === null) {
      // This happens once in 2^250 runs, and the share would then reveal the key.
      pake.#fail(new Failure('low_order', 'the generator is of low order'));
    } else {
      pake.#ownShare = share;
      if (offerer) pake.#send({ step: 1, share: b64uEncode(share) });
    }
    return pake;
  }

  /**
   * Takes the data of a `pake` signal from the peer; calls may overlap.
   *
   * @param {string} text
   * @returns {Promise<string[]>} the data of the `pake` signals to send now, in order
   */
  receive(text) {
    const result = this.#last.then(async () => {
      const due = DUE[this.#state];
      if (due === 0) return [];
      try {
        await this.#take(text, due);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        this.#fail(error);
      }
      return this.messagesToSend();
    });
    this.#last = result.catch(() => undefined);
    return result;
  }

  /**
   * Takes the data of a `bye` signal that came instead of a `pake` signal. It is not sealed, so the
   * server may have forged it; the only effect is a failed run.
   *
   * @param {string} text
   * @returns {Promise<void>}
   */
  receiveBye(text) {
    const result = this.#last.then(() => {
      if (this.#state === 'done' || this.#state === 'failed') return;
      const wrong = text.length <= MAX_MESSAGE && parseObject(text)?.code === 'wrong_code';
      this.#fail(new Failure(wrong ? 'wrong_code' : 'peer_gave_up', 'the other side said so'), true);
    });
    this.#last = result;
    return result;
  }

  /**
   * Answers the peer's share, after `asks`.
   *
   * @returns {Promise<void>}
   */
  answer() {
    const result = this.#last.then(async () => {
      if (this.#state !== 'asking') return;
      try {
        await this.#answer();
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        this.#fail(error);
      }
    });
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** Whether our confirmation is sent, and the peer's has not arrived. */
  get unproved() {
    return this.#state === 'awaitTag';
  }

  /** The data of the `pake` signals to send now, in order; each is returned once. */
  messagesToSend() {
    return this.#outbox.splice(0);
  }

  /**
   * The next event: a request for a guess, or the outcome.
   *
   * @returns {PakeAsks | PakeDone | PakeFailed | null}
   */
  nextEvent() {
    return this.#events.shift() ?? null;
  }

  /**
   * @param {string} text
   * @param {number} due
   */
  async #take(text, due) {
    if (text.length > MAX_MESSAGE) throw new Failure('malformed', 'the message is too long');
    const message = parseObject(text) ?? {};
    const { step } = message;
    const fields = typeof step === 'number' ? FIELDS[step] : undefined;
    if (!fields?.every((name) => typeof message[name] === 'string')) {
      throw new Failure('malformed', 'the message is not a step of this protocol');
    }
    if (step !== due) {
      throw new Failure('out_of_order', `step ${String(step)} came, step ${due} was due`);
    }
    const texts = /** @type {Record<string, string>} */ (message);
    if (due === 3) {
      await this.#confirm(texts.tag);
      await this.#finish();
      return;
    }
    if (due === 2) {
      decodeBytes('tag', texts.tag, TAG_SIZE);
      this.#peerTag = texts.tag;
    }
    this.#session = await this.#agree(decodeBytes('share', texts.share, SHARE_SIZE));
    this.#state = 'asking';
    if (this.#asks) this.#events.push({ type: 'asks' });
    else await this.#answer();
  }

  async #answer() {
    if (this.#session === null) return;
    const tag = b64uEncode(this.#session.ownTag);
    if (this.#offerer) {
      await this.#confirm(this.#peerTag);
      this.#send({ step: 3, tag });
      await this.#finish();
    } else {
      this.#state = 'awaitTag';
      this.#send({ step: 2, share: b64uEncode(this.#ownShare), tag });
    }
  }

  /**
   * Computes the session key from the peer's share.
   *
   * @param {Bytes} share
   */
  async #agree(share) {
    if (share.every((byte, index) => byte === this.#ownShare[index])) {
      throw new Failure('reflected', 'the other side sent our own share');
    }
    const shared = await scalarMultVfy(this.#scalar, share);
    if (shared === null) throw new Failure('low_order', 'the share is of low order');
    const own = lvCat(this.#ownShare, this.#ownAd);
    const peer = lvCat(share, this.#peerAd);
    const isk = await sha512(
      lvCat(`${DSI}_ISK`, this.#sid, shared),
      ...(this.#offerer ? [own, peer] : [peer, own]),
    );
    const subtle = webCrypto();
    const macKey = await subtle.importKey(
      'raw',
      await sha512(utf8('CPaceMac'), this.#sid, isk),
      { name: 'HMAC', hash: 'SHA-512' },
      false,
      ['sign', 'verify'],
    );
    return {
      isk,
      ownTag: new Uint8Array(await subtle.sign('HMAC', macKey, own)),
      // WebCrypto compares in constant time.
      checkPeerTag: (/** @type {Bytes} */ tag) => subtle.verify('HMAC', macKey, tag, peer),
    };
  }

  /**
   * Checks that the peer's tag proves the same key.
   *
   * @param {string} text
   */
  async #confirm(text) {
    const tag = decodeBytes('tag', text, TAG_SIZE);
    if (!(await this.#session?.checkPeerTag(tag))) {
      throw new Failure('wrong_code', 'the tag is not that of our code');
    }
  }

  async #finish() {
    if (this.#session === null) return;
    const keys = await deriveLinkKeys(this.#session.isk);
    this.#session = null;
    this.#state = 'done';
    this.#events.push({ type: 'done', keys });
  }

  /** @param {{step: number, share?: string, tag?: string}} message */
  #send(message) {
    this.#outbox.push(JSON.stringify(message));
  }

  /**
   * @param {Failure} failure
   * @param {boolean} [told] whether the other side told us
   */
  #fail({ reason, message }, told = false) {
    const code = reason === 'wrong_code' ? 'wrong_code' : 'pake_failed';
    this.#outbox.length = 0;
    this.#session = null;
    this.#state = 'failed';
    this.#events.push({
      type: 'failed',
      reason,
      detail: message,
      bye: told ? null : JSON.stringify({ code }),
      problem: problem(PROBLEMS[reason] ?? 'verification_failed'),
    });
  }
}

/**
 * A named room's password as the input of CPace: NFC, UTF-8.
 *
 * @param {string} password
 * @returns {Bytes}
 */
export function passwordBytes(password) {
  return utf8(password.normalize('NFC'));
}

/**
 * The input that is hashed to the generator (CPace draft, 8.1), padded so that PRS fills the first block.
 *
 * @param {Uint8Array} prs
 * @param {Uint8Array} ci
 * @param {Uint8Array} sid
 * @returns {Bytes}
 */
export function generatorString(prs, ci, sid) {
  const padding = SHA512_BLOCK - 1 - lvCat(prs).length - lvCat(DSI).length;
  return lvCat(DSI, prs, new Uint8Array(Math.max(0, padding)), ci, sid);
}

/**
 * The u-coordinate of the generator, which only the holders of PRS can compute (CPace draft, 8.2).
 *
 * @param {Uint8Array} prs
 * @param {Uint8Array} ci
 * @param {Uint8Array} sid
 * @returns {Promise<Bytes>}
 */
export async function generator(prs, ci, sid) {
  const digest = (await sha512(generatorString(prs, ci, sid))).slice(0, 32);
  // decodeUCoordinate (RFC 7748, 5) ignores the bit above the field's 255.
  digest[31] &= 0x7f;
  return elligator2(digest.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n));
}

/**
 * The u-coordinate, little-endian, of Elligator 2 on Curve25519 (RFC 9380, 6.7.1).
 *
 * @param {bigint} r
 * @returns {Bytes}
 */
export function elligator2(r) {
  const v = (-A * power(1n + Z * r * r, Q - 2n)) % Q;
  const onCurve = power(v * v * v + A * v * v + v, (Q - 1n) / 2n) !== Q - 1n;
  let u = (((onCurve ? v : -v - A) % Q) + Q) % Q;
  const bytes = new Uint8Array(32);
  for (let i = 0; i < 32; i += 1) {
    bytes[i] = Number(u & 0xffn);
    u >>= 8n;
  }
  return bytes;
}

/**
 * X25519 (RFC 7748), or null for the neutral result, at which the CPace draft, 7.2, aborts.
 *
 * @param {Uint8Array} scalar
 * @param {Uint8Array} point
 * @returns {Promise<Bytes | null>}
 */
export async function scalarMultVfy(scalar, point) {
  const subtle = webCrypto();
  const pkcs8 = concat(PKCS8_X25519, scalar);
  const u = concat(point);
  // RFC 7748, 5 requires it. Firefox refuses some harmless points with that bit set.
  u[31] &= 0x7f;
  let secret;
  try {
    secret = await subtle.importKey('pkcs8', pkcs8, 'X25519', false, ['deriveBits']);
  } catch {
    throw new NoWebCrypto('outdated'); // any 32 bytes are a scalar, so X25519 is missing
  }
  let product;
  try {
    // Firefox refuses a point of low order here ...
    const remote = await subtle.importKey('raw', u, 'X25519', false, []);
    // ... Chromium and Node refuse it here.
    const parameters = { name: 'X25519', public: remote };
    product = new Uint8Array(await subtle.deriveBits(parameters, secret, 256));
  } catch {
    return null;
  }
  return product.some((byte) => byte !== 0) ? product : null;
}

/**
 * @param {bigint} base
 * @param {bigint} exponent
 */
function power(base, exponent) {
  let result = 1n;
  let square = ((base % Q) + Q) % Q;
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % Q;
    square = (square * square) % Q;
  }
  return result;
}

/**
 * @param {...Uint8Array} parts
 * @returns {Promise<Bytes>}
 */
async function sha512(...parts) {
  return new Uint8Array(await webCrypto().digest('SHA-512', concat(...parts)));
}

/**
 * The JSON object in a text, or null.
 *
 * @param {string} text
 * @returns {Record<string, unknown> | null}
 */
function parseObject(text) {
  try {
    /** @type {unknown} */
    const value = JSON.parse(text);
    return isRecord(value) ? value : null;
  } catch {
    return null;
  }
}

/**
 * @param {string} name
 * @param {string} text
 * @param {number} size
 * @returns {Bytes}
 */
function decodeBytes(name, text, size) {
  let bytes;
  try {
    bytes = b64uDecode(text);
  } catch (error) {
    throw new Failure('malformed', `${name}: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (bytes.length !== size) {
    throw new Failure('malformed', `${name}: ${bytes.length} bytes instead of ${size}`);
  }
  return bytes;
}
