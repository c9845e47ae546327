// @ts-check
// An outgoing transfer: the sending machine, its files, and its channel.

import { TransferBase, hex, sha256 } from './base.js';
import { HEADER_SIZE, PACKED_HEADER_SIZE, SEGMENT_SIZE, encodePack, segmentFrames } from '../protocol/frames.js';
import { Sender } from '../protocol/sender.js';
import { problem } from '../../problems.js';

/** @typedef {import('./base.js').Wire} Wire */
/** @typedef {import('../disk/manifest.js').Manifest} Manifest */
/** @typedef {import('../protocol/messages.js').TransferMessage} TransferMessage */
/** @typedef {import('../protocol/sender.js').Wanted} Wanted */

/** @typedef {{wanted: Wanted, data: Uint8Array<ArrayBuffer>, digest: Uint8Array<ArrayBuffer>}} Segment */

/**
 * Number of small files that are read at the same time, because each read waits for the browser.
 */
const READ_AT_ONCE = 32;

/** Files that are offered, or sent, to the peer. */
export class Outgoing extends TransferBase {
  /** @readonly @type {'out'} */
  direction = 'out';
  /** Entries that could not be sent, with the reasons. @type {import('../protocol/notable.js').LeftOut[]} */
  leftOut = [];
  /** The number of entries that the receiver could not put in place. */
  leftOutThere = 0;
  #manifest;
  #machine;
  #acknowledged = 0;
  /** Number of bytes that were put on the channel, without repetitions. */
  #handed = 0;
  #pumping = false;
  /** The list and its left-out entries, sent when there is space. @type {Promise<void>} */
  #listing = Promise.resolve();
  /** The queue of files whose digests are being compared, one at a time. @type {Promise<void>} */
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
    this.#machine.cancel('cancelled'); // stops the machine, whose message is never sent
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
        case 'files':
          this.#compare(event);
          break;
        case 'skipped':
          this.#skipped(event.file, event.reason);
          break;
        case 'done':
          this.leftOutThere = event.leftOut;
          void this.#comparing.then(() => {
            if (this.#machine.state === 'done') this.finish();
          });
          break;
        case 'failed':
          this.failWith(event);
          break;
      }
    }
    this.#listing = this.#listing.then(() => this.#sendList());
    void this.#pump();
  }

  /** Sends the pages of the list, one at a time, when there is space. */
  async #sendList() {
    try {
      for (let page = this.#machine.nextPage(); page !== null; page = this.#machine.nextPage())
        await this.wire.sendList(page, () => !this.over);
    } catch {
      // The channel is gone: the link says so to every transfer.
    }
  }

  /**
   * @param {number} file that cannot be read any more
   * @param {string} reason
   */
  #skipped(file, reason) {
    const { path, size = 0 } = this.entries[file];
    this.leftOut.push({ path, reason });
    this.files -= 1;
    this.bytes -= size;
  }

  /**
   * Compares the digests of files in place at the receiver with those of the data that was read
   * here.
   *
   * @param {Extract<import('../protocol/sender.js').SenderEvent, {type: 'files'}>} event
   */
  #compare({ files, digest, together }) {
    this.#comparing = this.#comparing.then(async () => {
      if (!(await isSame(files, digest, together))) {
        this.fail(problem('integrity'));
        this.#machine.cancel('integrity', 'the digests differ');
        this.#flush();
        return;
      }
      this.filesDone += files.length;
      if (!this.over && this.files > 1) this.tell();
    });
  }

  /** Reads and sends within the receiver's credit. */
  async #pump() {
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      let ahead = this.#readSome();
      while (ahead.length > 0) {
        const segments = await Promise.all(ahead);
        // The next segments are read while these are sent.
        ahead = this.#readSome();
        for (const read of ahead) read.catch(() => {});
        await this.#listing;
        await this.#sendAll(segments.filter((segment) => segment !== null));
        if (ahead.length === 0) ahead = this.#readSome();
      }
    } catch {
      // The channel is gone: the link says so to every transfer.
    } finally {
      this.#pumping = false;
    }
  }

  /**
   * Begins to read one segment, or several small files.
   *
   * @returns {Promise<Segment | null>[]} empty: nothing to read now
   */
  #readSome() {
    /** @type {Promise<Segment | null>[]} */
    const reads = [];
    for (let bytes = 0; reads.length < READ_AT_ONCE && bytes < SEGMENT_SIZE / 2;) {
      const wanted = this.#machine.nextSegment();
      if (wanted === null) break;
      bytes += wanted.length;
      reads.push(this.#readSegment(wanted));
    }
    return reads;
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
      // Browsers refuse to read a file that was changed, moved or removed after it was chosen.
      if (!this.#machine.skip(file, 'has changed or vanished')) this.#machine.cancel('changed');
      this.#flush();
      return null;
    }
  }

  /** @param {readonly Segment[]} segments */
  async #sendAll(segments) {
    const most = this.wire.maxFrame() - HEADER_SIZE;
    /** @type {Segment[]} */
    let packed = [];
    let size = 0;
    for (const segment of segments) {
      const own = PACKED_HEADER_SIZE + segment.data.length;
      if (this.#machine.version < 2 || own > most || this.#isPart(segment.wanted)) {
        await this.#send(segment);
        continue;
      }
      if (size + own > most) {
        await this.#sendPack(packed);
        packed = [];
        size = 0;
      }
      packed.push(segment);
      size += own;
    }
    await this.#sendPack(packed);
  }

  /** @param {Wanted} wanted whether its file has other segments, too */
  #isPart({ file, length }) {
    return this.entries[file].size !== length;
  }

  /** @param {readonly Segment[]} segments whole small files */
  async #sendPack(segments) {
    const files = segments
      .filter(({ wanted, digest }) => this.#machine.segmentRead(wanted, digest))
      .map(({ wanted, data, digest }) => ({ file: wanted.file, digest, content: data }));
    if (files.length === 0) return;
    this.current = files[files.length - 1].file;
    const frame = encodePack({ transfer: this.id, files });
    await this.wire.sendBlock(frame);
    this.#handed += segments.reduce((sum, { data, wanted }) => sum + (wanted.again ? 0 : data.length), 0);
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

/**
 * Whether the receiver has the same bytes that were read here; true while unknown.
 *
 * @param {readonly {digests: Uint8Array | null}[]} files
 * @param {string} digest hex
 * @param {boolean} together whether it is that of all the files' digests
 */
async function isSame(files, digest, together) {
  const own = new Uint8Array(files.length * 32);
  for (const [index, { digests }] of files.entries()) {
    if (digests === null) return true;
    own.set(await sha256(new Uint8Array(digests)), index * 32);
  }
  return hex(together ? await sha256(own) : own) === digest;
}
