// @ts-check
// Runs the set-up of one link: the negotiation's machine, its connections and its timers.
// `peer/link/setup.py` does the same in Python.

import { DescriptionError } from '../rtc/description.js';
import { Negotiation } from './negotiation.js';
import { RtcConnection } from '../rtc/connection.js';
import { TIMEOUTS } from './negotiation_types.js';
import { Problem, asProblem, problem } from '../problems.js';
import { b64uEncode, randomBytes } from '../security/sealing.js';

/** @typedef {import('../server/messages.js').IceOffer} IceOffer */
/** @typedef {import('../server/messages.js').Signal} Signal */
/** @typedef {import('./negotiation_types.js').Failure} Failure */
/** @typedef {import('./negotiation_types.js').NegotiationEvent} NegotiationEvent */
/** @typedef {import('./negotiation_types.js').Stage} Stage */
/** @typedef {import('./sealed_signals.js').OutgoingSignal & {to: string}} SignalTo */

/** Time after which two devices without any candidate give up, in seconds. */
const HOPE = 5;
/** Time limit of the peer's `hello` on the open channel, in seconds. */
export const HELLO_TIMEOUT = 10;
/** Maximum number of waiting signals, and of their characters. */
const MAX_BACKLOG = 256;
const MAX_BACKLOG_SIZE = 512 * 1024;

/**
 * @typedef {object} Surroundings
 * @property {string} local our peer id
 * @property {string} remote the peer's id; the smaller one is the offerer's
 * @property {string} room its id on the server
 * @property {Uint8Array | null} password the common secret; null for a link without one
 * @property {import('./guess_budget.js').Attempt | null} attempt counts the possible guess; null
 *   for a link without a password
 * @property {IceOffer} ice
 * @property {(signal: SignalTo) => void} send
 * @property {(stage: Stage) => void} onStage
 * @property {(connection: RtcConnection) => void} onConnection a connection replaces the previous
 *   one; called before any of its events
 * @property {(reason: Problem) => void} onFailed there will be no link
 */

/** One side of the set-up of one link. */
export class LinkSetup {
  #around;
  #negotiation;
  /** @type {Stage | null} */
  #stage = null;
  /** The queue of steps of the machine. @type {Promise<void>} */
  #queue = Promise.resolve();
  #backlog = 0;
  #backlogSize = 0;
  #isOver = false;
  /** @type {RtcConnection | null} */
  #connection = null;
  /**
   * Candidates of this side that were found before its description was sent.
   * @type {(string | null)[] | null}
   */
  #found = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #stageTimer;
  /** The timer of the path, then of the hello. @type {ReturnType<typeof setTimeout> | undefined} */
  #connectionTimer;

  /** @param {Surroundings} around */
  constructor(around) {
    this.#around = around;
    const { local, remote, room, password, attempt } = around;
    /** Whether this side is the link's offerer. */
    this.offerer = local < remote;
    this.#negotiation = new Negotiation({
      local,
      remote,
      room,
      password,
      link: this.offerer ? b64uEncode(randomBytes(12)) : null,
      random: randomBytes(32),
      now: now(),
      counted: attempt !== null,
    });
    this.#carryOut();
    void this.#enqueue(() => this.#negotiation.begin());
  }

  /** Whether the peer has proved that it knows the password. */
  get authenticated() {
    return this.#negotiation.authenticated;
  }

  /** The nonce that our hello must reveal for the peer's words; null if none is needed. */
  get reveal() {
    return this.#negotiation.reveal;
  }

  /**
   * Takes a signal of the peer. Never throws.
   *
   * @param {Signal} signal
   */
  receiveSignal(signal) {
    const size = signal.data.length;
    if (this.#backlog >= MAX_BACKLOG || this.#backlogSize + size > MAX_BACKLOG_SIZE) return;
    this.#backlog += 1;
    this.#backlogSize += size;
    void this.#enqueue(() => this.#negotiation.receiveSignal(signal, now())).then(() => {
      this.#backlog -= 1;
      this.#backlogSize -= size;
    });
  }

  /**
   * The words that both people see.
   *
   * @param {string | null} reveal of the other side's hello
   * @returns {Promise<readonly string[]>}
   * @throws {Problem} `verification_failed`
   */
  async verify(reveal) {
    if (this.#connection === null) throw new TypeError('there is no connection to verify');
    return this.#negotiation.verify(reveal, await this.#connection.fingerprints());
  }

  /**
   * Tells that the peer's hello has arrived and is verified.
   *
   * @returns {boolean} whether the link is established; false if another connection is being tried
   *   by now
   */
  established() {
    this.#negotiation.established();
    this.#carryOut();
    return this.#negotiation.stage === 'established';
  }

  /** Tells that the peer has left the room; its earlier signals are handled first. */
  peerLeft() {
    void this.#enqueue(() => this.#negotiation.peerLeft());
  }

  /** Stops everything, because the link is over; sends nothing. */
  stop() {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#stageTimer);
    clearTimeout(this.#connectionTimer);
    this.#connection?.close();
    this.#around.attempt?.over();
  }

  /**
   * Ends the set-up from this side, and tells the peer.
   *
   * @param {Problem} reason
   * @returns {Promise<void>} when the signal is sent
   */
  giveUp(reason) {
    return this.#enqueue(() => this.#negotiation.giveUp(reason));
  }

  /**
   * @param {() => void | Promise<void>} step of the machine
   * @returns {Promise<void>} when the step is done and its outputs are handled
   */
  #enqueue(step) {
    this.#queue = this.#queue.then(async () => {
      if (this.#isOver) return;
      try {
        await step();
        // Endless signals would postpone the timer, so each step checks the deadline.
        await this.#negotiation.handleTimer(now());
        this.#carryOut();
      } catch (fault) {
        if (!(fault instanceof Problem)) console.error(fault); // a fault of this program: report it
        await this.#negotiation.giveUp(asProblem(fault));
        this.#carryOut();
      }
    });
    return this.#queue;
  }

  /** Sends the machine's signals, handles its events, and sets its timer. */
  #carryOut() {
    if (this.#isOver) return;
    const { remote, onStage, send } = this.#around;
    for (const signal of this.#negotiation.signalsToSend()) send({ to: remote, ...signal });
    const { stage } = this.#negotiation;
    if (stage !== this.#stage) {
      this.#stage = stage;
      if (stage === 'path') this.#awaitPath();
      if (stage === 'established') clearTimeout(this.#connectionTimer);
      onStage(stage);
    }
    for (let event = this.#negotiation.nextEvent(); event; event = this.#negotiation.nextEvent())
      this.#handle(event);
    clearTimeout(this.#stageTimer);
    const { deadline } = this.#negotiation;
    if (deadline === null || this.#isOver) return;
    const handle = () => void this.#enqueue(() => this.#negotiation.handleTimer(now()));
    this.#stageTimer = setTimeout(handle, (deadline - now()) * 1000);
  }

  /** @param {NegotiationEvent} event */
  #handle(event) {
    const { attempt, onFailed } = this.#around;
    switch (event.type) {
      case 'ask_guess':
        // Before the answer, which tells the peer whether its guess was right.
        attempt?.ask((go) => this.#decided(go));
        break;
      case 'guess_proved':
        attempt?.proved();
        break;
      case 'make_offer':
        this.#connect(event.gen, null);
        break;
      case 'make_answer':
        this.#connect(event.gen, event.sdp);
        break;
      case 'take_answer': {
        const connection = this.#connection;
        connection?.accept(event.sdp).catch((error) => this.#refused(connection, event.gen, error));
        break;
      }
      case 'take_candidate':
        // The browser does not need the end of candidates.
        if (event.candidate !== null) this.#connection?.addCandidate(event.candidate);
        break;
      case 'failed': {
        const { code, sentence } = event.problem;
        // The peer has given up without a reason: use this side's, if it knows one.
        const unexplained = code === 'no_path' && sentence === problem('no_path').sentence;
        const reason = unexplained ? this.#noPath().problem : event.problem;
        this.stop();
        onFailed(reason);
      }
    }
  }

  /** @param {boolean} go whether the other side may have a guess */
  #decided(go) {
    void this.#enqueue(() =>
      go ? this.#negotiation.answerShare(now()) : this.#negotiation.refuseShare(),
    );
  }

  // Connections --------------------------------------------------------------------------------

  /**
   * Begins a new connection, and closes the previous one.
   *
   * @param {number} gen
   * @param {string | null} offer the peer's; null: this side makes it
   */
  #connect(gen, offer) {
    this.#connection?.close();
    clearTimeout(this.#connectionTimer);
    let connection;
    try {
      connection = new RtcConnection(this.#around.ice);
    } catch {
      this.#connectionFailed(gen, { problem: problem('no_webrtc'), conclusive: true });
      return;
    }
    this.#connection = connection;
    this.#found = [];
    this.#around.onConnection(connection);
    const on = (/** @type {'open' | 'failed' | 'closed'} */ type, /** @type {() => void} */ handle) =>
      connection.addEventListener(type, () => {
        if (connection === this.#connection && this.#stage !== 'established') handle();
      });
    on('open', () => this.#awaitHello(gen));
    on('failed', () => this.#connectionFailed(gen, this.#noPath()));
    on('closed', () => this.#connectionFailed(gen, this.#noPath()));
    connection.addEventListener('candidate', ({ detail }) => {
      if (connection !== this.#connection) return;
      if (this.#found === null) this.#tell(gen, detail);
      else this.#found.push(detail);
    });
    void this.#describe(connection, gen, offer);
  }

  /**
   * @param {RtcConnection} connection
   * @param {number} gen
   * @param {string | null} offer
   */
  async #describe(connection, gen, offer) {
    let sdp;
    try {
      sdp = await (offer === null ? connection.offer() : connection.answer(offer));
    } catch (error) {
      this.#refused(connection, gen, error);
      return;
    }
    await this.#enqueue(() =>
      this.#negotiation.descriptionMade(gen, sdp, { random: randomBytes(32), now: now() }),
    );
    if (connection !== this.#connection) return;
    for (const candidate of this.#found ?? []) this.#tell(gen, candidate);
    this.#found = null;
  }

  /**
   * @param {number} gen
   * @param {string | null} candidate of ours; null: there are no more
   */
  #tell(gen, candidate) {
    void this.#enqueue(() => this.#negotiation.candidateFound(gen, candidate));
  }

  /**
   * Handles a failed call of WebRTC, caused by the peer's description or by the browser.
   *
   * @param {RtcConnection} connection
   * @param {number} gen
   * @param {unknown} error
   */
  #refused(connection, gen, error) {
    if (connection !== this.#connection || connection.isOver) return;
    const code = error instanceof DescriptionError ? 'protocol' : 'no_webrtc';
    this.#connectionFailed(gen, { problem: problem(code), conclusive: true });
  }

  /** Limits the time until the channels are open, once both descriptions are known. */
  #awaitPath() {
    const { gen } = this.#negotiation;
    const end = () => this.#connectionFailed(gen, this.#noPath());
    clearTimeout(this.#connectionTimer);
    this.#connectionTimer = setTimeout(() => {
      if (this.#connection?.isHopeless) end();
      else this.#connectionTimer = setTimeout(end, (TIMEOUTS.path - HOPE) * 1000);
    }, HOPE * 1000);
  }

  /** @param {number} gen */
  #awaitHello(gen) {
    clearTimeout(this.#connectionTimer);
    const end = () => this.#connectionFailed(gen, { problem: problem('timeout') });
    this.#connectionTimer = setTimeout(end, HELLO_TIMEOUT * 1000);
  }

  /**
   * @param {number} gen
   * @param {Failure} failure
   */
  #connectionFailed(gen, failure) {
    clearTimeout(this.#connectionTimer);
    this.#connection?.close();
    void this.#enqueue(() => this.#negotiation.connectionFailed(gen, failure, now()));
  }

  /** @returns {Failure} the cause of the missing path, as far as this side knows it */
  #noPath() {
    if (!this.#connection?.isUnreachable) return { problem: problem('no_path') };
    // Another attempt does not help a device without a network.
    if (!this.#connection.relayOnly)
      return { problem: problem('no_network'), conclusive: true, reason: 'no_address' };
    const sentence = 'No relay (TURN) server answered, and only relays are allowed here.';
    return { problem: problem('no_path', { sentence }), conclusive: true, reason: 'no_relay' };
  }
}

/** Seconds, monotonic. */
function now() {
  return performance.now() / 1000;
}
