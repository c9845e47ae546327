// @ts-check
// The guesses of a room, and who of its links asks for them.

import { CODE_GUESSES, Guesses, ROOM_GUESSES, ROOM_WINDOW } from './guesses.js';

/** Budgets of named rooms that are remembered. */
const MAX_REMEMBERED = 256;

/**
 * By server and room, for as long as the page lives: leaving a room and entering it again does not
 * make new guesses, nor does a server that makes somebody do so.
 *
 * @type {Map<string, Budget>}
 */
const remembered = new Map();

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
  /** @type {Map<number, (go: boolean) => void>} */
  #asking = new Map();
  #runs = 0;

  /** @param {Guesses} guesses */
  constructor(guesses) {
    this.#guesses = guesses;
  }

  /** A new code's. */
  static ofCode() {
    return new Budget(new Guesses(CODE_GUESSES));
  }

  /**
   * A named room's.
   *
   * @param {string} server
   * @param {string} room
   * @returns {Budget} the same one for the same room
   */
  static ofRoom(server, room) {
    const key = `${server}\n${room}`;
    const budget = remembered.get(key) ?? new Budget(new Guesses(ROOM_GUESSES, ROOM_WINDOW));
    remembered.delete(key);
    remembered.set(key, budget);
    for (const [oldest] of remembered) {
      if (remembered.size <= MAX_REMEMBERED) break;
      remembered.delete(oldest);
    }
    return budget;
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
  }

  /** @param {import('./guesses.js').Decision[]} decisions */
  #tell(decisions) {
    for (const [run, verdict] of decisions) {
      const decided = this.#asking.get(run);
      this.#asking.delete(run);
      decided?.(verdict === 'go');
    }
  }
}

const now = () => performance.now() / 1000;
