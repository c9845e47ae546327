// @ts-check
// A rate over the last seconds, which shows a stall and smooths short pauses. A machine.

/** Length of the measured period, in seconds. */
const SPAN = 4;

/** Measures the rate of a growing total. The caller tells the time. */
export class Meter {
  /** @type {[at: number, total: number][]} */
  #samples = [];

  /**
   * @param {number} now seconds
   * @param {number} total bytes so far; a total that shrinks restarts the measurement
   */
  add(now, total) {
    const last = this.#samples.at(-1);
    if (last && total < last[1]) this.#samples = [];
    // Ten samples per second are enough.
    if (
      last &&
      this.#samples.length > 1 &&
      now - this.#samples[this.#samples.length - 2][0] < 0.1
    ) {
      this.#samples.pop();
    }
    this.#samples.push([now, total]);
    while (this.#samples.length > 2 && now - this.#samples[1][0] >= SPAN) this.#samples.shift();
  }

  /**
   * @param {number} now seconds
   * @returns {number} bytes per second; 0 while unknown
   */
  rate(now) {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (!first || !last || now - first[0] < 0.2) return 0;
    return Math.max(0, (last[1] - first[1]) / (now - first[0]));
  }
}
