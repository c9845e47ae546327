// @ts-check
// An outgoing transfer: the sending machine, the files it reads, and the channel it fills.

import { TransferBase, hex, sha256 } from './base.js';
import { segmentFrames } from './frames.js';
import { Sender } from './sender.js';
import { problem } from '../problems.js';

/** @typedef {import('./base.js').Wire} Wire */
/** @typedef {import('./manifest.js').Manifest} Manifest */
/** @typedef {import('./messages.js').TransferMessage} TransferMessage */
/** @typedef {import('./sender.js').Wanted} Wanted */

/** @typedef {{wanted: Wanted, data: Uint8Array<ArrayBuffer>, digest: Uint8Array<ArrayBuffer>}} Segment */

/** Files on their way to the other side. */
export class Outgoing extends TransferBase {
  /** @readonly @type {'out'} */
  direction = 'out';
  /** What could not be sent. @type {import('./notable.js').LeftOut[]} */
  leftOut = [];
  #manifest;
  #machine;
  #acknowledged = 0;
  /** Bytes put on the channel, for the first time each. */
  #handed = 0;
  #pumping = false;
  /** Files whose digest is being compared, one after the other. @type {Promise<void>} */
  #comparing = Promise.resolve();

  /**
   * @param {Wire} wire
   * @param {number} id
   * @param {Manifest} manifest
   */
  constructor(wire, id, manifest) {
    super(wire, id, manifest.entries);
    /** Names that were changed so that any machine can save them. */
    this.renamed = manifest.renamed;
    this.#manifest = manifest;
    this.#machine = new Sender({ transfer: id, entries: manifest.entries });
    this.#flush();
  }

  /** @param {TransferMessage} message */
  receive(message) {
    this.#machine.receive(message);
    this.#flush();
  }

  cancel() {
    this.#machine.cancel('cancelled');
    this.#flush();
  }

  /** The link is over. */
  broken() {
    this.#machine.cancel('cancelled'); // nobody hears it; the machine stops
    this.fail(problem('broken'));
  }

  /** @protected @override */
  moved() {
    const onTheWay = this.#handed - this.wire.bufferedBlocks();
    return Math.min(this.bytes, Math.max(this.#acknowledged, onTheWay, this.bytesDone));
  }

  #flush() {
    for (const message of this.#machine.messagesToSend()) this.wire.sendControl(message);
    for (let event = this.#machine.nextEvent(); event !== null; event = this.#machine.nextEvent()) {
      switch (event.type) {
        case 'accepted':
          this.start();
          break;
        case 'acknowledged':
          this.#acknowledged += event.bytes;
          break;
        case 'file':
          this.#compare(event);
          break;
        case 'done':
          void this.#comparing.then(() => {
            if (this.#machine.state === 'done') this.finish();
          });
          break;
        case 'failed':
          this.failWith(event);
          break;
      }
    }
    void this.#pump();
  }

  /**
   * Compares the digest of a file that the receiver has in place with what was read here.
   *
   * @param {{file: number, digest: string, digests: Uint8Array | null}} event
   */
  #compare({ digest, digests }) {
    this.#comparing = this.#comparing.then(async () => {
      if (digests !== null && hex(await sha256(new Uint8Array(digests))) !== digest) {
        this.fail(problem('integrity'));
        this.#machine.cancel('integrity', 'the digests differ');
        this.#flush();
        return;
      }
      this.filesDone += 1;
      if (!this.over && this.files > 1) this.tell();
    });
  }

  /** Reads and sends as far as the receiver's credit goes. */
  async #pump() {
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      let ahead = this.#read();
      while (ahead !== null) {
        const segment = await ahead;
        // The next one is read while this one is sent.
        ahead = this.#read();
        ahead?.catch(() => {});
        if (segment !== null) await this.#send(segment);
        ahead ??= this.#read();
      }
    } catch {
      // The channel is gone: the link says so to every transfer.
    } finally {
      this.#pumping = false;
    }
  }

  /** @returns {Promise<Segment | null> | null} null: nothing to read at this moment */
  #read() {
    const wanted = this.#machine.nextSegment();
    return wanted === null ? null : this.#readSegment(wanted);
  }

  /**
   * @param {Wanted} wanted
   * @returns {Promise<Segment | null>}
   */
  async #readSegment(wanted) {
    const { file, offset, length } = wanted;
    try {
      const source = /** @type {File} */ (this.#manifest.sources[file]);
      const data = new Uint8Array(await source.slice(offset, offset + length).arrayBuffer());
      if (data.length !== length) throw new RangeError('the file has become shorter');
      return { wanted, data, digest: await sha256(data) };
    } catch {
      // Browsers refuse to read a file that was changed, moved or removed since it was chosen.
      this.#machine.cancel('changed');
      this.#flush();
      return null;
    }
  }

  /** @param {Segment} segment */
  async #send({ wanted, data, digest }) {
    if (!this.#machine.segmentRead(wanted, digest)) return;
    this.current = wanted.file;
    const { file, offset } = wanted;
    for (const frame of segmentFrames(
      { transfer: this.id, file, offset, data, digest },
      this.wire.maxFrame(),
    )) {
      await this.wire.sendBlock(frame);
      if (this.over) return;
      if (!wanted.again) this.#handed += frame.length;
    }
  }
}
