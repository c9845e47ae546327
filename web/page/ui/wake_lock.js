// @ts-check
// Keeps a phone's screen on during a transfer: many phones stop the network when the screen is off.

/** Requests that the screen stays on. */
export class ScreenWakeLock {
  /** @type {WakeLockSentinel | null} */
  #lock = null;
  #wanted = false;

  constructor() {
    // The browser lets go of it whenever the page is out of sight.
    document.addEventListener('visibilitychange', () => void this.#act());
  }

  /** @param {boolean} wanted */
  want(wanted) {
    if (wanted === this.#wanted) return;
    this.#wanted = wanted;
    void this.#act();
  }

  async #act() {
    if (!this.#wanted) {
      const lock = this.#lock;
      this.#lock = null;
      await lock?.release();
      return;
    }
    if (!('wakeLock' in navigator) || document.hidden || (this.#lock && !this.#lock.released)) return;
    try {
      this.#lock = await navigator.wakeLock.request('screen');
      if (!this.#wanted) await this.#act();
    } catch {
      // A device low on power refuses; the transfer goes on all the same.
    }
  }
}
