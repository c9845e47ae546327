// @ts-check
// The guesses at a code or at a room's password, shared by the links that ask for them. As in
// peer/link/guess_budget.py, spent guesses outlive the room: leaving and entering again gives no new
// ones, also when a server makes a peer do so. The count belongs to the secret, on every server.

import { CODE_GUESSES, Guesses, ROOM_GUESSES, ROOM_WINDOW } from '../security/guesses.js';

/** Most codes, and most named rooms, that are remembered. */
const MAX_KEPT = 256;

/** Budgets of codes that were joined. @type {Map<string, Budget>} */
const codes = new Map();
/**
 * Times of spent guesses at named rooms, in seconds: those of the room object that had most of
 * them.
 *
 * @type {Map<string, readonly number[]>}
 */
const spent = new Map();

/** The part of one link in the budget. */
export class Attempt {
  #budget;
  #run;

  /**
   * @param {Budget} budget
   * @param {number} run
   */
  constructor(budget, run) {
    this.#budget = budget;
    this.#run = run;
  }

  /**
   * Asks whether the peer's share may be answered.
   *
   * @param {(go: boolean) => void} decided called once, now or later; never after `over`
   */
  ask(decided) {
    this.#budget.ask(this.#run, decided);
  }

  /** Tells that a valid confirmation has arrived. */
  proved() {
    this.#budget.proved(this.#run);
  }

  /** Tells that the run has ended, for any reason. */
  over() {
    this.#budget.over(this.#run);
  }
}

/** The guesses of one code or one named room. */
export class Budget {
  #guesses;
  #key;
  /** @type {Map<number, (go: boolean) => void>} */
  #asking = new Map();
  #runs = 0;

  /**
   * @param {Guesses} guesses
   * @param {string} [key] of `spent`, to remember them under
   */
  constructor(guesses, key = '') {
    this.#guesses = guesses;
    this.#key = key;
  }

  /** The budget of a new code of this side. */
  static ofNewCode() {
    return new Budget(new Guesses(CODE_GUESSES));
  }

  /**
   * The budget of a code that the peer has made.
   *
   * @param {string} code in normal form
   * @returns {Budget} the same one for the same code
   */
  static ofCode(code) {
    const budget = codes.get(code) ?? new Budget(new Guesses(CODE_GUESSES));
    keep(codes, code, budget);
    return budget;
  }

  /**
   * The budget of a named room's password; guesses that were spent earlier count.
   *
   * @param {string} server
   * @param {string} room name that was asked for
   * @param {string} password
   */
  static ofRoom(server, room, password) {
    const key = JSON.stringify([new URL(server).host, room, password].map((text) => text.normalize()));
    return new Budget(new Guesses(ROOM_GUESSES, ROOM_WINDOW, spent.get(key)), key);
  }

  /** Adds a link. Its number is ours: the peer and the server choose all other names. */
  attempt() {
    this.#runs += 1;
    return new Attempt(this, this.#runs);
  }

  /**
   * @param {number} run
   * @param {(go: boolean) => void} decided
   */
  ask(run, decided) {
    this.#asking.set(run, decided);
    this.#tell(this.#guesses.ask(run, now()));
  }

  /** @param {number} run */
  proved(run) {
    this.#tell(this.#guesses.proved(run, now()));
  }

  /** @param {number} run */
  over(run) {
    this.#asking.delete(run);
    this.#tell(this.#guesses.over(run, now()));
    const ours = this.#guesses.spent(now());
    const known = (spent.get(this.#key) ?? []).filter((taken) => now() < taken + ROOM_WINDOW);
    if (this.#key && ours.length > 0) keep(spent, this.#key, ours.length >= known.length ? ours : known);
  }

  /** @param {import('../security/guesses.js').Decision[]} decisions */
  #tell(decisions) {
    for (const [run, verdict] of decisions) {
      const decided = this.#asking.get(run);
      this.#asking.delete(run);
      decided?.(verdict === 'go');
    }
  }
}

/**
 * Stores an entry as the newest and drops the oldest above the limit.
 *
 * @template T
 * @param {Map<string, T>} kept
 * @param {string} key
 * @param {T} value
 */
function keep(kept, key, value) {
  kept.delete(key);
  kept.set(key, value);
  for (const [oldest] of kept) {
    if (kept.size <= MAX_KEPT) break;
    kept.delete(oldest);
  }
}

const now = () => performance.now() / 1000;
