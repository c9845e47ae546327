// @ts-check
// The guesses of a code or a room, and who of its links asks for them. As in peer/link/guess_budget.py, what was
// guessed at outlives the room: leaving and entering it again does not make new guesses, nor does a
// server that makes somebody do so. The secret counts, wherever it is tried.

import { CODE_GUESSES, Guesses, ROOM_GUESSES, ROOM_WINDOW } from '../security/guesses.js';

/** Codes, and named rooms, that are remembered. */
const MAX_KEPT = 256;

/** Budgets of codes that were joined. @type {Map<string, Budget>} */
const codes = new Map();
/**
 * When guesses at named rooms were taken that are spent: those of the member that had most.
 *
 * @type {Map<string, readonly number[]>}
 */
const spent = new Map();

/** What one link says about its guess, and hears. */
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
   * The other side's share wants an answer.
   *
   * @param {(go: boolean) => void} decided called once, now or later; never after `over`
   */
  ask(decided) {
    this.#budget.ask(this.#run, decided);
  }

  /** A valid confirmation has come. */
  proved() {
    this.#budget.proved(this.#run);
  }

  /** It has ended, however. */
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

  /** A code's that this side has made, and nobody else has seen yet. */
  static ofNewCode() {
    return new Budget(new Guesses(CODE_GUESSES));
  }

  /**
   * A code's that the other side has made.
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
   * A named room's, as one of its members sees it; what is spent before counts.
   *
   * @param {string} server
   * @param {string} room name that was asked for
   * @param {string} password
   */
  static ofRoom(server, room, password) {
    const key = JSON.stringify([new URL(server).host, room, password].map((text) => text.normalize()));
    return new Budget(new Guesses(ROOM_GUESSES, ROOM_WINDOW, spent.get(key)), key);
  }

  /** One more link. Counted by ourselves: the other side and the server choose all other names. */
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
 * Remembers something as the newest.
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
