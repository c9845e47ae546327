// @ts-check
// The set-up of one link over signals: proof of the code, offer, answer, candidates, and a second
// attempt where the first connection does not come about. `peer/negotiation/` is the same in Python.
//
// The earlier peer of the two offers. Signals are handled strictly one after the other, although
// WebCrypto and WebRTC answer later; what belongs to an older generation is dropped.

import { DescriptionError } from '../rtc/description.js';
import { BadMessage, parseObject } from '../server/messages.js';
import { Pake } from '../security/pake.js';
import { asProblem, problem } from '../problems.js';
import { RtcConnection } from '../rtc/connection.js';
import {
  NONCE_SIZE,
  b64uDecode,
  b64uEncode,
  checkReveal,
  commitment,
  openLinkSas,
  randomBytes,
} from '../security/sealing.js';
import { SealedSignals, textOf } from './sealed_signals.js';

/** @typedef {import('../problems.js').Problem} Problem */
/** @typedef {import('../server/messages.js').Signal} Signal */
/** @typedef {import('../server/messages.js').IceOffer} IceOffer */
/** @typedef {'pake' | 'description' | 'path' | 'established' | 'failed'} Stage */

/** How long each stage may take, in ms. */
const TIMEOUTS = Object.freeze({ pake: 15_000, description: 15_000, path: 15_000 });
/** How long two devices without a single candidate look for one, in ms. */
const HOPE = 5_000;
/** How many connections are tried. */
const ATTEMPTS = 2;
const MAX_GENERATION = 65536;
/** How many connections the other side may have tried; it can ask for new ones without end. */
const MAX_OFFERS = 8;
/** Signals that may wait while one is being handled, and their characters. */
const MAX_BACKLOG = 256;
const MAX_BACKLOG_SIZE = 512 * 1024;
/** Longest `bye` that is looked at. */
const MAX_BYE = 512;

const MISMATCH =
  'One side uses a password for this room and the other does not: both must use the same.';
const SILENT = 'The other side is there, but does not answer.';

/** What the other side's `bye` means here. @type {Readonly<Record<string, string>>} */
const BYE_CODES = Object.freeze({
  no_path: 'no_path',
  verification_failed: 'verification_failed',
  wrong_code: 'wrong_code',
  too_many_guesses: 'too_many_guesses',
});

/**
 * @typedef {object} Surroundings
 * @property {string} local our peer id
 * @property {string} remote the other side's; who has the smaller one is the offerer
 * @property {string} room its id on the server
 * @property {Uint8Array | null} password what both sides must know; null for a link without one
 * @property {import('./guess_budget.js').Attempt | null} attempt counts the guess that it may be; null for
 *   a link without password
 * @property {IceOffer} ice
 * @property {(signal: import('./sealed_signals.js').OutgoingSignal) => void} send
 * @property {(stage: Stage) => void} onStage
 * @property {(connection: RtcConnection) => void} onConnection a connection is being tried, instead
 *   of the one before; it is told before any of its events
 * @property {(reason: Problem) => void} onFailed there will be no link
 */

/** The set-up of one link, on this side. */
export class Negotiation {
  /** @type {Stage} */
  stage = 'pake';
  #around;
  #line;
  #gen = 0;
  /** @type {Pake | null} */
  #pake = null;
  /**
   * Whether the other side may test a guess: `held` once it has asked to, and waits; `open` from
   * when it could, until it proved that it needs none.
   *
   * @type {'new' | 'held' | 'open' | 'proved'}
   */
  #guess = 'new';
  /** @type {readonly string[] | null} */
  #sas = null;
  /** @type {RtcConnection | null} */
  #connection = null;
  /** @type {Uint8Array<ArrayBuffer>} */
  #nonce = new Uint8Array(0);
  /** @type {Uint8Array<ArrayBuffer>} */
  #otherNonce = new Uint8Array(0);
  #commit = '';
  #offered = -1;
  /** Whether our offer or answer of this generation is on its way. */
  #described = false;
  /** Our candidates that were found before that. @type {(string | null)[]} */
  #found = [];
  /** @type {Promise<void>} */
  #queue = Promise.resolve();
  #backlog = 0;
  #backlogSize = 0;
  #offers = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {Surroundings} around */
  constructor(around) {
    this.#around = around;
    this.offerer = around.local < around.remote;
    // The offerer names the link; the answerer learns its name from the first signal.
    this.#line = new SealedSignals(around);
    if (this.offerer) this.#line.link = b64uEncode(randomBytes(12));
    this.#enter(around.password === null ? 'description' : 'pake');
    if (this.offerer) this.#enqueue(() => this.#begin());
  }

  /** Whether the other side has proved that it knows the password. */
  get authenticated() {
    return this.#line.isSealed;
  }

  /** What our hello must reveal for the other side to make the words, if anything. */
  get reveal() {
    return this.offerer && this.#around.password === null ? b64uEncode(this.#nonce) : undefined;
  }

  /**
   * Takes a signal from the other side. Whatever it is, nothing is thrown.
   *
   * @param {Signal} signal
   */
  receive(signal) {
    const size = signal.data.length;
    if (this.stage === 'failed' || this.#backlog >= MAX_BACKLOG) return;
    if (this.#backlogSize + size > MAX_BACKLOG_SIZE) return;
    this.#backlog += 1;
    this.#backlogSize += size;
    this.#enqueue(async () => {
      this.#backlog -= 1;
      this.#backlogSize -= size;
      await this.#receive(signal);
    });
  }

  /**
   * The words that both people see.
   *
   * @param {unknown} reveal of the other side's hello
   * @returns {Promise<readonly string[]>}
   * @throws {Problem} `verification_failed`
   */
  async verify(reveal) {
    const connection = this.#connection;
    if (connection === null) throw new TypeError('there is no connection to verify');
    const { local, remote } = await connection.fingerprints();
    if (this.#sas !== null) return this.#sas;
    if (this.offerer) {
      return openLinkSas({
        offererNonce: this.#nonce,
        answererNonce: this.#otherNonce,
        offererFingerprint: local,
        answererFingerprint: remote,
      });
    }
    return openLinkSas({
      offererNonce: await checkReveal(this.#commit, typeof reveal === 'string' ? reveal : ''),
      answererNonce: this.#nonce,
      offererFingerprint: remote,
      answererFingerprint: local,
    });
  }

  /** The other side has said hello, and is who it should be. */
  established() {
    if (this.stage === 'path') this.#enter('established');
  }

  /** The other side has left the room; what it sent before is heard first. */
  peerLeft() {
    this.#enqueue(() => {
      if (this.stage !== 'established') this.#fail(problem('peer_left'));
    });
  }

  /** The link is over: nothing more is tried, and nobody is told. */
  stop() {
    if (this.stage === 'failed') return;
    this.#enter('failed');
    this.#connection?.close();
    this.#around.attempt?.over();
  }

  /**
   * Ends it from this side, and tells the other.
   *
   * @param {Problem} reason
   * @returns {Promise<void>} when that is on its way
   */
  async giveUp(reason) {
    if (this.stage === 'established' || this.stage === 'failed') return;
    const told = reason.code === 'no_network' ? 'no_path' : reason.code;
    const code = Object.hasOwn(BYE_CODES, told) ? told : 'failed';
    if (this.#line.link !== '') {
      if (this.#line.isSealed || this.#around.password === null)
        this.#line.send('bye', this.#gen, { code });
      else this.#line.sendPlain('bye', 0, JSON.stringify({ code }));
    }
    this.#fail(reason);
    await this.#line.flushed;
  }

  /** @param {() => void | Promise<void>} step */
  #enqueue(step) {
    this.#queue = this.#queue.then(step).catch((error) => {
      if (this.stage === 'failed') return;
      void this.giveUp(error instanceof BadMessage ? problem('protocol') : asProblem(error));
    });
  }

  /** @param {Stage} stage */
  #enter(stage) {
    this.stage = stage;
    clearTimeout(this.#timer);
    if (stage === 'pake' || stage === 'description') {
      this.#timer = setTimeout(
        () => void this.giveUp(problem('peer_left', { sentence: SILENT })),
        TIMEOUTS[stage],
      );
    } else if (stage === 'path') {
      const gen = this.#gen;
      const end = () => this.#enqueue(() => this.#connectionFailed(gen));
      this.#timer = setTimeout(() => {
        if (this.#connection?.isHopeless) end();
        else this.#timer = setTimeout(end, TIMEOUTS.path - HOPE);
      }, HOPE);
    }
    this.#around.onStage(stage);
  }

  async #begin() {
    if (this.stage === 'failed') return;
    const { password, room, local, remote } = this.#around;
    if (password === null) {
      if (this.offerer) await this.#makeOffer();
      return;
    }
    const inputs = { password, room, link: this.#line.link, ownId: local, peerId: remote };
    this.#pake = await (this.offerer ? Pake.offerer(inputs) : Pake.answerer(inputs));
    for (const data of this.#pake.messagesToSend()) this.#line.sendPlain('pake', 0, data);
  }

  /** @param {Signal} signal */
  async #receive({ link, gen, kind, data }) {
    if (this.stage === 'failed') return;
    if (this.#line.link === '') {
      this.#line.link = link;
      await this.#begin();
    }
    if (link !== this.#line.link) return;
    if (kind === 'pake') await this.#receivePake(data);
    else if (!this.#line.isSealed && this.#around.password !== null)
      await this.#receiveUnsealed(kind, data);
    else if (kind === 'bye' || gen >= this.#gen) await this.#receiveBody(gen, kind, data);
  }

  // Proof of the code --------------------------------------------------------------------------

  /** @param {string} data */
  async #receivePake(data) {
    if (this.#pake === null) {
      if (this.stage === 'description' && this.#gen === 0) this.#refuseMismatch();
      return;
    }
    if (this.#guess === 'new') {
      this.#guess = 'held';
      // Before the answer: from then on the other side can tell whether its guess was right.
      this.#around.attempt?.ask((go) => this.#enqueue(() => this.#decided(go, data)));
    } else if (this.#guess === 'open') {
      await this.#takePake(data);
    }
  }

  /**
   * @param {boolean} go whether the other side may have a guess
   * @param {string} data that waited for it
   */
  async #decided(go, data) {
    if (this.stage === 'failed') return;
    if (go) {
      this.#guess = 'open';
      await this.#takePake(data);
    } else {
      this.#line.sendPlain('bye', 0, JSON.stringify({ code: 'too_many_guesses' }));
      this.#fail(problem('too_many_guesses'));
    }
  }

  /** @param {string} data */
  async #takePake(data) {
    const answers = (await this.#pake?.receive(data)) ?? [];
    if (this.stage === 'failed') return;
    for (const answer of answers) this.#line.sendPlain('pake', 0, answer);
    await this.#concludePake();
  }

  /**
   * A signal that is not sealed, while the password is not proved yet.
   *
   * @param {string} kind
   * @param {string} data
   */
  async #receiveUnsealed(kind, data) {
    if (kind === 'offer') {
      this.#refuseMismatch();
    } else if (kind === 'bye') {
      const code = codeOfBye(data);
      if (code === 'password_mismatch') {
        this.#fail(problem('wrong_code', { sentence: MISMATCH }));
        return;
      }
      if (code === 'too_many_guesses') {
        this.#fail(problem('too_many_guesses'));
        return;
      }
      await this.#pake?.receiveBye(data);
      await this.#concludePake();
    }
  }

  #refuseMismatch() {
    this.#line.sendPlain('bye', 0, JSON.stringify({ code: 'password_mismatch' }));
    this.#fail(problem('wrong_code', { sentence: MISMATCH }));
  }

  async #concludePake() {
    if (this.stage === 'failed') return; // given up while the other side's step was checked
    const event = this.#pake?.nextEvent() ?? null;
    if (event === null) return;
    if (event.type === 'failed') {
      if (event.bye !== null) this.#line.sendPlain('bye', 0, event.bye);
      this.#fail(event.problem);
      return;
    }
    this.#guess = 'proved';
    this.#around.attempt?.proved();
    this.#line.seal(event.keys, { offerer: this.offerer });
    this.#sas = event.keys.sas;
    this.#enter('description');
    if (this.offerer) await this.#makeOffer();
  }

  // Descriptions -------------------------------------------------------------------------------

  /**
   * @param {number} gen
   * @param {string} kind
   * @param {string} data
   */
  async #receiveBody(gen, kind, data) {
    const body = await this.#line.open(gen, kind, data);
    if (body === null) return;
    switch (kind) {
      case 'offer':
        if (!this.offerer) await this.#receiveOffer(gen, body);
        break;
      case 'answer':
        if (this.offerer && gen === this.#gen) await this.#receiveAnswer(body);
        break;
      case 'candidate':
        if (gen === this.#gen && typeof body.candidate === 'string')
          this.#connection?.addCandidate(body.candidate);
        break;
      case 'restart':
        if (this.offerer && gen === this.#gen && this.#described) await this.#connectionFailed(gen);
        break;
      case 'bye':
        this.#receiveBye(body);
        break;
      default:
        break; // end_of_candidates: the browser finds out by itself
    }
  }

  /**
   * @param {number} gen
   * @param {Record<string, unknown>} body
   */
  async #receiveOffer(gen, body) {
    if (this.stage !== 'description' && this.stage !== 'path') return;
    if (gen > MAX_GENERATION || gen <= this.#offered || this.#offers >= MAX_OFFERS) return;
    this.#offers += 1;
    const sdp = textOf(body.sdp);
    const commit = this.#around.password === null ? textOf(body.commit) : '';
    this.#gen = gen;
    this.#offered = gen;
    this.#commit = commit;
    this.#enter('description');
    const connection = this.#connect();
    const answer = await this.#describing(() => connection.answer(sdp));
    if (answer === null) return;
    this.#nonce = randomBytes(NONCE_SIZE);
    const nonce = this.#around.password === null ? { nonce: b64uEncode(this.#nonce) } : {};
    this.#line.send('answer', this.#gen, { sdp: answer, ...nonce });
    this.#sendFound();
    this.#enter('path');
  }

  async #makeOffer() {
    const connection = this.#connect();
    const sdp = await this.#describing(() => connection.offer());
    if (sdp === null) return;
    this.#nonce = randomBytes(NONCE_SIZE);
    const commit = this.#around.password === null ? { commit: await commitment(this.#nonce) } : {};
    this.#line.send('offer', this.#gen, { sdp, ...commit });
    this.#sendFound();
  }

  /** @param {Record<string, unknown>} body */
  async #receiveAnswer(body) {
    const connection = this.#connection;
    if (this.stage !== 'description' || !this.#described || connection === null) return;
    const sdp = textOf(body.sdp);
    if (this.#around.password === null) this.#otherNonce = nonceOf(body.nonce);
    this.#enter('path');
    await this.#describing(() => connection.accept(sdp));
  }

  /** @param {Record<string, unknown>} body */
  #receiveBye(body) {
    if (this.stage === 'established') return; // the link has its own goodbye
    const code = typeof body.code === 'string' ? body.code : '';
    if (code === 'password_mismatch') this.#fail(problem('wrong_code', { sentence: MISMATCH }));
    else if (code === 'no_path')
      this.#fail(this.#noPath()); // this side may know more than the other
    else this.#fail(problem(Object.hasOwn(BYE_CODES, code) ? BYE_CODES[code] : 'bye'));
  }

  /**
   * Runs a step of WebRTC's; a description that makes no sense ends the set-up.
   *
   * @template T
   * @param {() => Promise<T>} step
   * @returns {Promise<T | null>} null when the connection was closed meanwhile
   */
  async #describing(step) {
    const connection = this.#connection;
    try {
      const result = await step();
      return this.stage === 'failed' || connection !== this.#connection ? null : result;
    } catch (error) {
      if (this.stage === 'failed' || connection !== this.#connection) return null;
      throw error instanceof DescriptionError ? problem('protocol') : problem('no_webrtc');
    }
  }

  // Connections --------------------------------------------------------------------------------

  /** Begins a new connection; the one before is over. */
  #connect() {
    this.#connection?.close();
    this.#described = false;
    this.#found = [];
    let connection;
    try {
      connection = new RtcConnection(this.#around.ice);
    } catch {
      throw problem('no_webrtc');
    }
    this.#connection = connection;
    const gen = this.#gen;
    connection.addEventListener('candidate', ({ detail }) => {
      if (connection !== this.#connection) return;
      if (this.#described) this.#sendCandidate(detail);
      else this.#found.push(detail);
    });
    const failed = () => this.#enqueue(() => this.#connectionFailed(gen));
    connection.addEventListener('failed', failed);
    connection.addEventListener('closed', failed);
    this.#around.onConnection(connection);
    return connection;
  }

  /**
   * A connection did not come about: tries another one, or gives up.
   *
   * @param {number} gen its generation
   */
  async #connectionFailed(gen) {
    if (gen !== this.#gen || (this.stage !== 'description' && this.stage !== 'path')) return;
    // A device without a network does not get one by being asked again.
    if (gen + 1 >= ATTEMPTS || this.#connection?.isUnreachable) {
      void this.giveUp(this.#noPath());
    } else if (this.offerer) {
      this.#gen = gen + 1;
      this.#enter('description');
      await this.#makeOffer();
    } else if (this.#described) {
      this.#line.send('restart', this.#gen, { reason: 'no path' });
      this.#described = false;
      this.#enter('description');
    }
  }

  #noPath() {
    if (!this.#connection?.isUnreachable) return problem('no_path');
    if (!this.#connection.relayOnly) return problem('no_network');
    return problem('no_path', {
      sentence: 'No relay (TURN) server answered, and only relays are allowed here.',
    });
  }

  #sendFound() {
    this.#described = true;
    for (const candidate of this.#found.splice(0)) this.#sendCandidate(candidate);
  }

  /** @param {string | null} candidate null: there are no more */
  #sendCandidate(candidate) {
    if (this.stage === 'failed') return;
    if (candidate === null) this.#line.send('end_of_candidates', this.#gen, {});
    else this.#line.send('candidate', this.#gen, { candidate, sdpMid: '0', sdpMLineIndex: 0 });
  }

  /** @param {Problem} reason */
  #fail(reason) {
    if (this.stage === 'failed') return;
    this.#enter('failed');
    this.#connection?.close();
    this.#around.attempt?.over();
    const told = ['closed', 'wrong_code', 'too_many_guesses'].includes(reason.code);
    if (this.#guess === 'open' && !told) reason = problem('guessed');
    // Whoever hears of it may leave the server: what is being sealed goes out before.
    void this.#line.flushed.then(() => this.#around.onFailed(reason));
  }
}

/**
 * @param {string} data of a `bye` that is not sealed
 * @returns {unknown}
 */
function codeOfBye(data) {
  try {
    return parseObject(data, MAX_BYE).code;
  } catch {
    return undefined;
  }
}

/**
 * @param {unknown} value base64url
 * @returns {Uint8Array<ArrayBuffer>}
 */
function nonceOf(value) {
  let nonce;
  try {
    nonce = b64uDecode(textOf(value));
  } catch {
    throw new BadMessage('bad nonce');
  }
  if (nonce.length !== NONCE_SIZE) throw new BadMessage('bad nonce');
  return nonce;
}
