// @ts-check
// Whether the other side is still there: a ping every few seconds, and an end to silence.

/** Seconds between pings. */
const PING_INTERVAL = 5;
/** Seconds of silence after which the other side counts as gone. */
const LOST_AFTER = 15;
/** The same, once the server has said that it left. */
const LOST_AFTER_DOUBT = 6;
/** How often the clock is looked at, in seconds. */
const TICK = 1;

/** Watches over one connection. Anything that arrives counts as life. */
export class Keepalive {
  #ping;
  #onLost;
  #heardAt = 0;
  #pingedAt = 0;
  #tickedAt = 0;
  #patience = LOST_AFTER;
  #n = 0;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;
  #now;

  /**
   * @param {object} options
   * @param {(n: number) => void} options.ping
   * @param {() => void} options.onLost
   * @param {() => number} [options.now] seconds, monotonic
   */
  constructor({ ping, onLost, now = () => performance.now() / 1000 }) {
    this.#ping = ping;
    this.#onLost = onLost;
    this.#now = now;
  }

  start() {
    this.#heardAt = this.#pingedAt = this.#tickedAt = this.#now();
    this.#timer = setInterval(() => this.tick(), TICK * 1000);
  }

  stop() {
    clearInterval(this.#timer);
  }

  /** Something arrived. */
  heard() {
    this.#heardAt = this.#now();
    this.#patience = LOST_AFTER;
  }

  /** There is reason to believe that the other side is gone: asks it at once. */
  doubt() {
    if (this.#patience === LOST_AFTER_DOUBT) return; // asked already
    this.#patience = LOST_AFTER_DOUBT;
    this.#heardAt = this.#now();
    this.#send();
  }

  /** A second has passed, or more. */
  tick() {
    const now = this.#now();
    // After a sleep of this device the silence was ours: the other side gets a moment to answer.
    if (now - this.#tickedAt > PING_INTERVAL) {
      this.#heardAt = Math.max(this.#heardAt, now - this.#patience + PING_INTERVAL);
      this.#send();
    }
    this.#tickedAt = now;
    if (now - this.#heardAt >= this.#patience) {
      this.stop();
      this.#onLost();
    } else if (now - this.#pingedAt >= PING_INTERVAL) {
      this.#send();
    }
  }

  #send() {
    this.#pingedAt = this.#now();
    this.#ping(this.#n);
    this.#n += 1;
  }
}
