// @ts-check
// Detects that the peer is gone: sends a ping every few seconds and gives up after a silence.

/** Seconds between pings. */
const PING_INTERVAL = 5;
/** Seconds of silence after which the peer counts as gone. */
const LOST_AFTER = 15;
/** The same, in seconds, after the server has said that the peer left. */
const LOST_AFTER_DOUBT = 6;
/** Interval of the timer, in seconds. */
const TICK = 1;

/** The keepalive of one connection. Everything that arrives counts. */
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

  /** Tells that something arrived. */
  heard() {
    this.#heardAt = this.#now();
    this.#patience = LOST_AFTER;
  }

  /** Tells that the peer may be gone: pings it at once and waits less long. */
  doubt() {
    if (this.#patience === LOST_AFTER_DOUBT) return; // asked already
    this.#patience = LOST_AFTER_DOUBT;
    this.#heardAt = this.#now();
    this.#send();
  }

  /** Checks the clock; called once a second. */
  tick() {
    const now = this.#now();
    // After a sleep of this device the silence is no evidence: the peer gets time to answer.
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
