// @ts-check
// Decides when received files leave the browser's storage. Downloads read them from there, and a
// person may refuse a download and ask for it again, so they stay for some time.

/** The stored files of one transfer, freed by `discard`. @typedef {{discard: () => Promise<void>}} Kept */

/** Time during which a file can be saved again, in ms. */
export const KEPT_FOR = 60_000;
/** Maximum delay of a download, in ms, and its minimum speed, in bytes per ms. */
const BEGINS = 1000;
const PACE = 20_000;

/**
 * The maximum time in which a browser copies a file to its downloads, in ms.
 *
 * @param {number} bytes
 */
export function copyTime(bytes) {
  return BEGINS + bytes / PACE;
}

/** The received files of a page. */
export class Shelf {
  /**
   * For each transfer, the time at which its files are copied, and a function that stops its timer.
   * @type {Map<Kept, {copied: number, stop: () => void}>}
   */
  #kept = new Map();
  #freed;
  #now;
  #later;

  /**
   * @param {object} [options]
   * @param {() => void} [options.freed] told when something is not kept any more
   * @param {() => number} [options.now] ms
   * @param {(step: () => void, time: number) => () => void} [options.later] runs a step after some
   *   ms, unless what it returns is called before
   */
  constructor({ freed = () => {}, now = () => performance.now(), later = afterwards } = {}) {
    this.#freed = freed;
    this.#now = now;
    this.#later = later;
  }

  /**
   * Tells that a file was passed to the browser's downloads.
   *
   * @param {Kept} kept
   * @param {number} bytes
   */
  handed(kept, bytes) {
    const before = this.#kept.get(kept)?.copied ?? 0;
    const copied = Math.max(before, this.#now()) + copyTime(bytes);
    this.#free(kept, copied, copied - this.#now() + KEPT_FOR);
  }

  /**
   * Frees the files of a transfer as soon as no download can still read them.
   *
   * @param {Kept} kept
   */
  release(kept) {
    const copied = this.#kept.get(kept)?.copied ?? 0;
    this.#free(kept, copied, copied - this.#now());
  }

  /** Releases all of them. */
  clear() {
    for (const kept of [...this.#kept.keys()]) this.release(kept);
  }

  /**
   * @param {Kept} kept
   * @param {number} copied
   * @param {number} after ms from now
   */
  #free(kept, copied, after) {
    this.#kept.get(kept)?.stop();
    const free = () => {
      this.#kept.delete(kept);
      void kept.discard().then(this.#freed);
    };
    if (after <= 0) free();
    else this.#kept.set(kept, { copied, stop: this.#later(free, after) });
  }
}

/**
 * @param {() => void} step
 * @param {number} time
 */
function afterwards(step, time) {
  const timer = setTimeout(step, time);
  return () => clearTimeout(timer);
}
