// @ts-check
// The set-up of one link through an untrusted server, as a state machine. It mirrors
// `peer/link/negotiation` in Python, which has a diagram of a set-up. The transcripts in
// tests/vectors/transcripts/negotiation.json check both, byte for byte.
//
// The machine is told what happens (`receiveSignal`, `descriptionMade`, `connectionFailed`,
// `established`, `handleTimer`) and decides what to do: after every call, send the signals of
// `signalsToSend`, carry out the events of `nextEvent` until it returns null, and set a timer to
// `deadline`. It has no clock, no timer and no randomness. WebCrypto is asynchronous, so most calls
// return a promise: a call may begin only when the previous one has settled (`setup.js` ensures
// it).

import { BadMessage, MAX_SIGNAL_DATA, parseObject } from '../server/messages.js';
import { Pake } from '../security/pake.js';
import { problem } from '../problems.js';
import { SealedSignals } from './sealed_signals.js';
import { b64uEncode, checkReveal, commitment, openLinkSas } from '../security/sealing.js';
import {
  ATTEMPTS,
  BYE_CODES,
  FINAL,
  MAX_GENERATION,
  MAX_OFFERS,
  MISMATCH,
  NO_PATH_REASONS,
  TIMEOUTS,
  byeOf,
  nonceOf,
  textOf,
} from './negotiation_types.js';

/** @typedef {import('../problems.js').Problem} Problem */
/** @typedef {import('../security/sealing.js').Bytes} Bytes */
/** @typedef {import('./negotiation_types.js').Failure} Failure */
/** @typedef {import('./negotiation_types.js').NegotiationEvent} NegotiationEvent */
/** @typedef {import('./sealed_signals.js').OutgoingSignal} OutgoingSignal */
/** @typedef {import('./negotiation_types.js').Stage} Stage */

/** The kinds of signals that are read once the link is established: a better path may be found. */
const LATE_KINDS = Object.freeze(['candidate', 'end_of_candidates']);

/** The set-up of one link, on one side. */
export class Negotiation {
  /** The current stage. @type {Stage} */
  stage;
  /** The current generation. */
  gen = 0;
  #local;
  #remote;
  #room;
  #password;
  #random;
  #counted;
  /** @type {Pake | null} */
  #pake = null;
  #signals;
  /** @type {readonly string[] | null} */
  #sas = null;
  /** @type {Bytes} */
  #nonce = new Uint8Array(0);
  /** @type {Bytes} */
  #otherNonce = new Uint8Array(0);
  #commit = '';
  /** Whether our offer or answer of this generation is sent. */
  #described = false;
  #offered = -1;
  #offers = 0;
  #unproved = false;
  /** @type {NegotiationEvent[]} */
  #events = [];
  /** @type {number | null} */
  #deadline = null;

  /**
   * @param {object} options
   * @param {string} options.local our peer id
   * @param {string} options.remote the other side's; the smaller one is the offerer's
   * @param {string} options.room its id on the server
   * @param {Uint8Array | null} options.password what both must know; null for a link without one
   * @param {string | null} options.link for the offerer, an id for the link, chosen at random; null
   *   for the answerer, which learns it from the first signal
   * @param {Uint8Array} options.random 32 random bytes, used for nothing else
   * @param {number} options.now seconds, monotonic
   * @param {boolean} [options.counted] whether it asks (`ask_guess`) before it answers a share
   */
  constructor({ local, remote, room, password, link, random, now, counted = false }) {
    /** Whether this side is the link's offerer. */
    this.offerer = local < remote;
    if (this.offerer === (link === null))
      throw new TypeError('the offerer names the link, the answerer does not');
    this.#local = local;
    this.#remote = remote;
    this.#room = room;
    this.#password = password;
    this.#signals = new SealedSignals({ local, remote, link: link ?? '' });
    this.#random = random;
    this.#counted = counted;
    this.stage = password === null ? 'description' : 'pake';
    this.#deadline = now + TIMEOUTS[this.stage];
  }

  /** The link's id; empty until the answerer has received it. */
  get link() {
    return this.#signals.link;
  }

  /** Whether the peer has proved that it knows the password. */
  get authenticated() {
    return this.#signals.isSealed;
  }

  /** The nonce that our hello must reveal for the peer's `verify`. @returns {string | null} */
  get reveal() {
    return this.offerer && this.#password === null ? b64uEncode(this.#nonce) : null;
  }

  /** The time at which to call `handleTimer`, on the clock of `now`; null: no timer. */
  get deadline() {
    return this.#deadline;
  }

  /** The signals to send now, in order; each is returned once. */
  signalsToSend() {
    return this.#signals.toSend();
  }

  /** The next event to carry out, or null. */
  nextEvent() {
    return this.#events.shift() ?? null;
  }

  // Inputs -------------------------------------------------------------------------------

  /** The first call: the offerer takes its first step. */
  async begin() {
    if (this.offerer) await this.#start();
  }

  /**
   * Takes a signal of the peer. Never throws.
   *
   * @param {OutgoingSignal} signal
   * @param {number} now
   */
  async receiveSignal({ link, gen, kind, data }, now) {
    if (link === '' || !this.#isHeard(kind)) return;
    if (this.#signals.link === '') {
      this.#signals.link = link;
      await this.#start();
    }
    if (link !== this.#signals.link) return;
    if (kind === 'pake') await this.#receivePake(data, now);
    else if (!this.#signals.isSealed && this.#password !== null)
      await this.#receiveUnsealed(kind, data, now);
    else if (kind === 'bye' || gen >= this.gen) await this.#receiveBody(gen, kind, data, now);
  }

  /**
   * After `ask_guess`: a guess is available, so answer the peer's share.
   *
   * @param {number} now
   */
  async answerShare(now) {
    if (this.#pake === null || this.stage !== 'pake') return;
    this.#deadline = now + TIMEOUTS.pake;
    await this.#pake.answer();
    this.#concludePake(now);
  }

  /** After `ask_guess`: every guess is spent, so refuse the peer's share. */
  refuseShare() {
    if (this.stage === 'pake') this.#refuse('too_many_guesses', problem('too_many_guesses'));
  }

  /**
   * Takes the offer or answer that `make_offer` or `make_answer` requested.
   *
   * @param {number} gen whose it is; that of an older generation is dropped
   * @param {string} sdp
   * @param {object} surroundings
   * @param {Bytes} surroundings.random 32 random bytes, used for nothing else
   * @param {number} surroundings.now
   */
  async descriptionMade(gen, sdp, { random, now }) {
    if (gen !== this.gen || this.stage !== 'description' || this.#described) return;
    this.#described = true;
    this.#nonce = random;
    const open = this.#password === null;
    if (this.offerer) {
      await this.#signals.send('offer', this.gen, open ? { sdp, commit: await commitment(random) } : { sdp });
      this.#deadline = now + TIMEOUTS.description;
    } else {
      await this.#signals.send('answer', this.gen, open ? { sdp, nonce: b64uEncode(random) } : { sdp });
      this.#enterPath();
    }
  }

  /**
   * Takes a candidate of this side, found after the description; null: there are no more.
   *
   * @param {number} gen
   * @param {string | null} candidate
   */
  async candidateFound(gen, candidate) {
    if (gen !== this.gen || !this.#described || this.stage === 'failed') return;
    if (candidate === null) await this.#signals.send('end_of_candidates', this.gen, {});
    else await this.#signals.send('candidate', this.gen, { candidate, sdpMid: '0', sdpMLineIndex: 0 });
  }

  /**
   * Tells that a connection failed: tries another one, or gives up.
   *
   * @param {number} gen its generation
   * @param {Failure} failure
   * @param {number} now
   */
  async connectionFailed(gen, failure, now) {
    if (gen !== this.gen || (this.stage !== 'description' && this.stage !== 'path')) return;
    const { code } = failure.problem;
    if (failure.conclusive || FINAL.includes(code) || this.gen + 1 >= ATTEMPTS) {
      await this.#giveUp(failure);
      return;
    }
    this.#described = false;
    if (this.offerer) {
      this.gen += 1;
      this.#events.push({ type: 'make_offer', gen: this.gen });
    } else {
      await this.#signals.send('restart', this.gen, { reason: BYE_CODES.get(code) ?? 'failed' });
    }
    this.#awaitDescription(now);
  }

  /**
   * The words that both people see, once the peer's hello has arrived.
   *
   * @param {string | null} reveal of the offerer's hello
   * @param {{local: Uint8Array, remote: Uint8Array}} fingerprints SHA-256 of both certificates
   * @returns {Promise<readonly string[]>}
   * @throws {Problem} `verification_failed`: the nonce does not match its commitment
   */
  async verify(reveal, { local, remote }) {
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
      offererNonce: await checkReveal(this.#commit, reveal ?? ''),
      answererNonce: this.#nonce,
      offererFingerprint: remote,
      answererFingerprint: local,
    });
  }

  /** Tells that the link is established: the peer's hello has arrived and is verified. */
  established() {
    if (this.stage !== 'path') return;
    this.stage = 'established';
    this.#deadline = null;
  }

  /**
   * Ends the set-up from this side, and tells the peer.
   *
   * @param {Problem} reason
   */
  async giveUp(reason) {
    if (!this.#isOver) await this.#giveUp({ problem: reason });
  }

  /** Tells that the peer has left the room. */
  peerLeft() {
    if (!this.#isOver) this.#fail(problem('peer_left'));
  }

  /**
   * Handles the timer at `deadline`.
   *
   * @param {number} now
   */
  async handleTimer(now) {
    if (this.#deadline !== null && now >= this.#deadline)
      await this.#giveUp({ problem: problem('timeout') });
  }

  // Proof of the code --------------------------------------------------------------------------

  async #start() {
    const password = this.#password;
    if (password === null) {
      if (this.offerer) this.#events.push({ type: 'make_offer', gen: this.gen });
      return;
    }
    const inputs = {
      password,
      room: this.#room,
      link: this.#signals.link,
      ownId: this.#local,
      peerId: this.#remote,
      scalar: this.#random,
      asks: this.#counted,
    };
    this.#pake = await (this.offerer ? Pake.offerer(inputs) : Pake.answerer(inputs));
    this.#sendPake(this.#pake, this.#pake.messagesToSend());
  }

  /**
   * @param {Pake} pake
   * @param {readonly string[]} messages
   */
  #sendPake(pake, messages) {
    for (const data of messages) this.#signals.sendPlain('pake', data);
    this.#unproved ||= pake.unproved;
  }

  /**
   * @param {string} data
   * @param {number} now
   */
  async #receivePake(data, now) {
    if (this.#pake === null) {
      // Without a password, this side cannot answer; with one, the message is late or repeated.
      if (this.#password === null && this.stage === 'description' && this.gen === 0)
        this.#refuse('password_mismatch', problem('wrong_code', { sentence: MISMATCH }));
      return;
    }
    const answers = await this.#pake.receive(data);
    this.#concludePake(now, answers);
  }

  /**
   * Takes a signal that is not sealed, before the password is proved.
   *
   * @param {string} kind
   * @param {string} data
   * @param {number} now
   */
  async #receiveUnsealed(kind, data, now) {
    if (kind === 'bye' && this.#pake !== null) {
      const { code } = byeOf(data);
      if (code === 'password_mismatch' && !this.#unproved) {
        this.#fail(problem('wrong_code', { sentence: MISMATCH }));
      } else if (!this.#unproved && !(this.offerer && code === 'too_many_guesses')) {
        // The peer has seen no confirmation that could be wrong: it only leaves, for any stated
        // reason.
        this.#fail(problem('peer_left'));
      } else if (code === 'too_many_guesses') {
        this.#fail(problem('too_many_guesses'));
      } else {
        await this.#pake.receiveBye(data);
        this.#concludePake(now);
      }
    } else if (kind === 'offer') {
      this.#refuse('password_mismatch', problem('wrong_code', { sentence: MISMATCH }));
    }
  }

  /**
   * @param {string} code
   * @param {Problem} reason
   */
  #refuse(code, reason) {
    this.#signals.sendPlain('bye', JSON.stringify({ code }));
    this.#fail(reason);
  }

  /**
   * @param {number} now
   * @param {readonly string[]} [messages]
   */
  #concludePake(now, messages = this.#pake?.messagesToSend() ?? []) {
    if (this.#pake === null) return;
    this.#sendPake(this.#pake, messages);
    const event = this.#pake.nextEvent();
    switch (event?.type) {
      case 'asks':
        this.#events.push({ type: 'ask_guess' });
        break;
      case 'done':
        this.#unproved = false;
        if (this.#counted) this.#events.push({ type: 'guess_proved' });
        this.#signals.seal(event.keys, { offerer: this.offerer });
        this.#sas = event.keys.sas;
        this.#awaitDescription(now);
        if (this.offerer) this.#events.push({ type: 'make_offer', gen: this.gen });
        break;
      case 'failed':
        if (event.bye !== null) this.#signals.sendPlain('bye', event.bye);
        this.#fail(event.problem);
        break;
      default:
    }
  }

  // Descriptions -------------------------------------------------------------------------------

  /**
   * @param {number} gen
   * @param {string} kind
   * @param {string} data
   * @param {number} now
   */
  async #receiveBody(gen, kind, data, now) {
    const body = await this.#signals.open(kind, gen, data);
    if (body === null || !this.#isHeard(kind)) return; // established meanwhile
    const isCurrent = gen === this.gen;
    try {
      if (kind === 'offer' && !this.offerer)
        this.#receiveOffer(gen, parseObject(body, MAX_SIGNAL_DATA), now);
      else if (kind === 'answer' && this.offerer && isCurrent)
        this.#receiveAnswer(parseObject(body, MAX_SIGNAL_DATA));
      else if (kind === 'candidate' && isCurrent) this.#receiveCandidate(body);
      else if (kind === 'end_of_candidates' && isCurrent)
        this.#events.push({ type: 'take_candidate', gen, candidate: null });
      else if (kind === 'restart' && this.offerer && isCurrent && this.#described)
        await this.connectionFailed(gen, { problem: problem('no_path') }, now);
      else if (kind === 'bye') this.#receiveBye(byeOf(body));
    } catch (error) {
      if (!(error instanceof BadMessage)) throw error;
      await this.#giveUp({ problem: problem('protocol') });
    }
  }

  /**
   * @param {number} gen
   * @param {Record<string, unknown>} body
   * @param {number} now
   */
  #receiveOffer(gen, { sdp, commit }, now) {
    const text = textOf(sdp);
    const committed = this.#password === null ? textOf(commit) : '';
    if ((this.stage !== 'description' && this.stage !== 'path') || gen > MAX_GENERATION) return;
    if (gen <= this.#offered || this.#offers >= MAX_OFFERS) return; // a repetition, or one too many
    this.#offers += 1;
    this.gen = gen;
    this.#described = false;
    this.#offered = gen;
    this.#commit = committed;
    this.#awaitDescription(now);
    this.#events.push({ type: 'make_answer', gen, sdp: text });
  }

  /** @param {Record<string, unknown>} body */
  #receiveAnswer({ sdp, nonce }) {
    const text = textOf(sdp);
    const shown = this.#password === null ? nonceOf(nonce) : this.#otherNonce;
    if (this.stage !== 'description' || !this.#described) return;
    this.#otherNonce = shown;
    this.#events.push({ type: 'take_answer', gen: this.gen, sdp: text });
    this.#enterPath();
  }

  /** @param {string} body that makes no sense is dropped: another candidate may do */
  #receiveCandidate(body) {
    try {
      const candidate = textOf(parseObject(body, MAX_SIGNAL_DATA).candidate);
      this.#events.push({ type: 'take_candidate', gen: this.gen, candidate });
    } catch (error) {
      if (!(error instanceof BadMessage)) throw error;
    }
  }

  /** @param {{code: string, reason: string}} bye */
  #receiveBye({ code, reason }) {
    if (code === 'password_mismatch') {
      this.#fail(problem('wrong_code', { sentence: MISMATCH }));
    } else if (code === 'no_path') {
      const why = Object.hasOwn(NO_PATH_REASONS, reason) ? NO_PATH_REASONS[reason] : undefined;
      this.#fail(problem('no_path', { sentence: why }));
    } else {
      this.#fail(problem(code === 'verification_failed' ? code : 'bye'));
    }
  }

  /** @param {number} now */
  #awaitDescription(now) {
    this.stage = 'description';
    this.#deadline = now + TIMEOUTS.description;
  }

  #enterPath() {
    this.stage = 'path';
    this.#deadline = null;
  }

  // Sending and ending -------------------------------------------------------------------------

  get #isOver() {
    return this.stage === 'established' || this.stage === 'failed';
  }

  /**
   * Whether a signal is read. A link has its own bye, which waits for data in flight.
   *
   * @param {string} kind
   */
  #isHeard(kind) {
    return !this.#isOver || (this.stage === 'established' && LATE_KINDS.includes(kind));
  }

  /**
   * Fails, and tells the peer if possible.
   *
   * @param {Failure} failure
   */
  async #giveUp({ problem: reason, reason: why = '' }) {
    if (this.#signals.link !== '' && (this.#signals.isSealed || this.#password === null)) {
      const code = BYE_CODES.get(reason.code) ?? 'failed';
      await this.#signals.send('bye', this.gen, why === '' ? { code } : { code, reason: why });
    } else if (this.#signals.link !== '') {
      this.#signals.sendPlain('bye', '{"code":"failed"}');
    }
    this.#fail(reason);
  }

  /** @param {Problem} reason */
  #fail(reason) {
    const told = reason.code === 'wrong_code' || reason.code === 'too_many_guesses';
    const failed = this.#unproved && !told ? problem('guessed') : reason;
    this.#events = [{ type: 'failed', problem: failed, stage: this.stage }];
    this.stage = 'failed';
    this.#deadline = null;
  }
}
