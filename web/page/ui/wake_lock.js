// @ts-check
// Keeps a phone's screen on during a transfer: many phones stop the network with the screen off.

/** Requests a lock of the screen while transfers run. */
export class ScreenWakeLock {
  /** @type {WakeLockSentinel | null} */
  #lock = null;
  #wanted = false;

  constructor() {
    // The browser releases the lock whenever the page is hidden.
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
      // A device with low power refuses; the transfer continues.
    }
  }
}
