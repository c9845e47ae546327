// @ts-check
// How long received files stay in the browser's storage: until they were handed to its downloads,
// which read them from there, and a while longer, as a download may be refused and asked for again.

/** What is kept of one transfer: freed by `discard`. @typedef {{discard: () => Promise<void>}} Kept */

/** How long a file that was handed over can be saved again, in ms. */
export const KEPT_FOR = 60_000;
/** How long a download takes to begin, in ms, and how many bytes it copies in one of them at least. */
const BEGINS = 1000;
const PACE = 20_000;

/**
 * How long a browser may take to copy a file to its downloads, in ms.
 *
 * @param {number} bytes
 */
export function copyTime(bytes) {
  return BEGINS + bytes / PACE;
}

/** The received files of a page. */
export class Shelf {
  /** When each is copied, and how to call its timer off. @type {Map<Kept, {copied: number, stop: () => void}>} */
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
   * A file was handed to the browser's downloads.
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
   * A transfer's files are not wanted any more; a download that may still read them goes on.
   *
   * @param {Kept} kept
   */
  release(kept) {
    const copied = this.#kept.get(kept)?.copied ?? 0;
    this.#free(kept, copied, copied - this.#now());
  }

  /** None is wanted any more. */
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
