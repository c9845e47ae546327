// @ts-check
// Counts the guesses of others at a code or a password. peer/security/guesses.py documents the
// rule; tests/vectors/guesses.json checks both. A machine.
//
// A run of the PAKE takes a guess before it answers the peer's share, and returns it only when a
// valid confirmation has arrived. While the whole budget is taken, but by runs that may still
// succeed, further runs wait in line; they are refused once every guess is spent.

/** Guesses that a code allows, ever. */
export const CODE_GUESSES = 1;
/** Guesses that a named room's password allows ... */
export const ROOM_GUESSES = 8;
/** ... within this time, in seconds. */
export const ROOM_WINDOW = 3600;

/** @typedef {[run: number, verdict: 'go' | 'refused']} Decision */

/** The budget of one code or one room. Carry out what each call decides. */
export class Guesses {
  #limit;
  #window;
  /** Time at which each run took the guess that it may still return. @type {Map<number, number>} */
  #open = new Map();
  /** @type {number[]} */
  #spent;
  /** @type {number[]} */
  #waiting = [];

  /**
   * @param {number} limit guesses there are
   * @param {number | null} [window] seconds after which a guess is forgotten, counted from when it
   *   was taken; null: never
   * @param {readonly number[]} [spent] when guesses were taken that are spent already
   */
  constructor(limit, window = null, spent = []) {
    this.#limit = limit;
    this.#window = window;
    this.#spent = [...spent];
  }

  /**
   * A run asks to answer the peer's share; further requests of the same run are ignored.
   *
   * @param {number} run
   * @param {number} now seconds, monotonic
   * @returns {Decision[]} runs that are decided now, in the order of their requests
   */
  ask(run, now) {
    if (!this.#open.has(run) && !this.#waiting.includes(run)) this.#waiting.push(run);
    return this.#decide(now);
  }

  /**
   * A valid confirmation has arrived in a run, so the run was not a guess.
   *
   * @param {number} run
   * @param {number} now
   */
  proved(run, now) {
    this.#open.delete(run);
    return this.#decide(now);
  }

  /**
   * A run has ended, for any reason; a guess that it holds is spent.
   *
   * @param {number} run
   * @param {number} now
   */
  over(run, now) {
    this.#waiting = this.#waiting.filter((other) => other !== run);
    const taken = this.#open.get(run);
    if (taken !== undefined) this.#spent.push(taken);
    this.#open.delete(run);
    return this.#decide(now);
  }

  /**
   * Number of guesses that are spent, or taken by runs that may still succeed.
   *
   * @param {number} now
   */
  count(now) {
    this.#forget(now);
    return this.#open.size + this.#spent.length;
  }

  /**
   * Whether every guess is spent, so that every request is refused.
   *
   * @param {number} now
   */
  isSpent(now) {
    this.#forget(now);
    return this.#spent.length >= this.#limit;
  }

  /**
   * Times of the spent guesses, in seconds.
   *
   * @param {number} now
   * @returns {readonly number[]}
   */
  spent(now) {
    this.#forget(now);
    return [...this.#spent];
  }

  /**
   * @param {number} now
   * @returns {Decision[]}
   */
  #decide(now) {
    /** @type {Decision[]} */
    const decisions = [];
    while (this.#waiting.length > 0 && this.count(now) < this.#limit) {
      const [run] = this.#waiting.splice(0, 1);
      this.#open.set(run, now);
      decisions.push([run, 'go']);
    }
    if (this.isSpent(now))
      for (const run of this.#waiting.splice(0)) decisions.push([run, 'refused']);
    return decisions;
  }

  /** @param {number} now */
  #forget(now) {
    const window = this.#window;
    if (window !== null) this.#spent = this.#spent.filter((taken) => now < taken + window);
  }
}
