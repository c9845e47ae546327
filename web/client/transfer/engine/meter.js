// @ts-check
// How fast something moves: over the last seconds, so that a stall shows and a hiccup does not.

/** How far back the meter looks, in seconds. */
const SPAN = 4;

/** Measures a rate from a total that grows. The clock is the caller's. */
export class Meter {
  /** @type {[at: number, total: number][]} */
  #samples = [];

  /**
   * @param {number} now seconds
   * @param {number} total bytes so far; a total that shrinks starts the measurement anew
   */
  add(now, total) {
    const last = this.#samples.at(-1);
    if (last && total < last[1]) this.#samples = [];
    // Samples closer than a tenth of a second tell nothing more, and would only pile up.
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
   * @returns {number} bytes a second; 0 while nothing can be said
   */
  rate(now) {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (!first || !last || now - first[0] < 0.2) return 0;
    return Math.max(0, (last[1] - first[1]) / (now - first[0]));
  }
}
