// @ts-check
// An incoming transfer: the receiving machine, and the destination of its files.

import { TransferBase, hex, sha256 } from './base.js';
import { notableEntries } from '../protocol/notable.js';
import { Problem, asProblem, problem } from '../../problems.js';
import { formOf, openSink } from '../disk/sink.js';

/** @typedef {import('./base.js').Wire} Wire */
/** @typedef {import('../protocol/messages.js').TransferMessage} TransferMessage */
/** @typedef {import('../protocol/frames.js').SegmentFrame} SegmentFrame */
/** @typedef {import('../protocol/frames.js').DataFrame} DataFrame */
/** @typedef {import('../protocol/frames.js').PackFrame} PackFrame */
/** @typedef {import('../protocol/receiver.js').Receiver} Receiver */
/** @typedef {import('../protocol/receiver.js').ReceiverEvent} ReceiverEvent */
/** @typedef {import('../protocol/notable.js').LeftOut} LeftOut */
/** @typedef {import('../protocol/notable.js').Renamed} Renamed */
/** @typedef {import('../disk/sink.js').Sink} Sink */
/** @typedef {import('../disk/sink.js').Saved} Saved */

/** Files that the peer offers, or sends. */
export class Incoming extends TransferBase {
  /** @readonly @type {'in'} */
  direction = 'in';
  /** @type {Saved[]} */
  saved = [];
  /** Names that were changed for this device. @type {Renamed[]} */
  renamed;
  /** Entries that are not saved, with the reasons. @type {LeftOut[]} */
  leftOut;
  #machine;
  /** @type {Sink | null} */
  #sink = null;
  #accepting = false;
  #written = 0;
  #unfinished;
  /** The queue of files that are being finished, one at a time. @type {Promise<void>} */
  #finishing = Promise.resolve();

  /**
   * @param {Wire} wire
   * @param {number} id
   * @param {Receiver} machine whose manifest is complete and safe
   * @param {string | null} notice
   */
  constructor(wire, id, machine, notice) {
    super(wire, id, machine.entries);
    this.#machine = machine;
    this.notice = notice;
    /** The hidden and the executable entries, to be shown first. */
    this.notable = notableEntries(machine.entries);
    const plan = /** @type {import('../protocol/names.js').NamePlan} */ (machine.plan);
    this.renamed = plan.renamed;
    const links = machine.entries.filter(
      ({ kind }, index) => kind === 'link' && plan.targets[index] !== null,
    );
    this.leftOut = [
      ...plan.leftOut,
      ...links.map(({ path }) => ({ path, reason: 'is a link, which a browser cannot save' })),
    ];
    /** Number of entries that the sender has left out of its offer. */
    this.leftOutThere = machine.leftOut;
    this.form = formOf(machine.entries);
    this.#unfinished = this.files;
  }

  /** The memory of its list until it is accepted, in bytes. */
  get weight() {
    return this.#machine.weight;
  }

  /** @returns {Promise<void>} */
  async accept() {
    if (this.state !== 'offered' || this.#accepting) return;
    this.#accepting = true;
    try {
      this.#sink = await openSink(this.#named());
      if (this.over) {
        await this.discard();
        return;
      }
      if (this.files === 0) await this.#keepArchive();
    } catch (error) {
      const reason = asProblem(error, 'disk');
      this.#machine.decline(reason.code === 'no_space' ? 'no_space' : 'disk', reason.sentence);
      this.fail(reason);
      this.flush();
      throw reason;
    }
    this.start();
    this.#machine.accept();
    this.flush();
  }

  /** The entries, under their names on this device. */
  #named() {
    const { plan } = this.#machine;
    return this.entries.map((entry, index) => ({ ...entry, path: plan?.paths[index] ?? entry.path }));
  }

  decline() {
    if (this.state !== 'offered') return;
    this.#machine.decline();
    this.flush();
  }

  cancel() {
    if (this.state === 'offered') this.#machine.decline();
    else this.#machine.cancel('cancelled');
    this.flush();
  }

  /** The link is over. */
  broken() {
    this.#machine.cancel('cancelled'); // stops the machine, whose message is never sent
    this.fail(problem('broken'));
  }

  /** @returns {Promise<void>} */
  async discard() {
    this.saved = [];
    const sink = this.#sink;
    this.#sink = null;
    await sink?.discard();
  }

  /** @param {TransferMessage} message */
  receive(message) {
    this.#machine.receive(message);
    this.flush();
  }

  /** @param {SegmentFrame | DataFrame | PackFrame} frame */
  receiveFrame(frame) {
    this.#machine.receiveFrame(frame);
    this.flush();
  }

  /** @protected @override */
  moved() {
    return this.#written + this.#machine.bytesPending;
  }

  /** Sends the machine's messages and handles its events. */
  flush() {
    for (const message of this.#machine.messagesToSend()) this.wire.sendControl(message);
    for (let event = this.#machine.nextEvent(); event !== null; event = this.#machine.nextEvent()) {
      switch (event.type) {
        case 'segment':
          void this.#write(event);
          break;
        case 'finish':
          this.#finishFile(event.file, event.digests);
          break;
        case 'skipped':
          this.#skipFile(event.file, event.reason);
          break;
        case 'done':
          this.finish();
          break;
        case 'failed':
          this.failWith(event);
          break;
        case 'offered':
          break; // this object was made from the offer
      }
    }
  }

  /**
   * @protected
   * @override
   * @param {Problem} reason
   */
  fail(reason) {
    const wasOver = this.over;
    super.fail(reason);
    // Complete files can still be saved one by one; an incomplete archive is useless.
    if (!wasOver && this.saved.length === 0) void this.discard();
  }

  /** @param {Extract<ReceiverEvent, {type: 'segment'}>} event */
  async #write(event) {
    const { file, segment } = event;
    const { length } = event.data;
    this.current = file;
    try {
      const sound = await this.#openedSink().write(event);
      if (this.over) return;
      if (sound) {
        this.#written += length;
        this.#machine.segmentWritten(file, segment);
      } else {
        this.#machine.segmentDamaged(file, segment);
      }
      this.flush();
    } catch (error) {
      this.#stop(error);
    }
  }

  /**
   * @param {number} file
   * @param {Uint8Array<ArrayBuffer>} digests of its segments
   */
  #finishFile(file, digests) {
    this.#finishing = this.#finishing.then(async () => {
      try {
        if (this.over) return;
        let whole = await sha256(digests);
        if (this.#machine.version >= 2) whole = await sha256(whole);
        const saved = await this.#openedSink().finishFile(file);
        this.#unfinished -= 1;
        if (this.#unfinished === 0) await this.#keepArchive();
        if (this.over) return;
        this.filesDone += 1;
        if (saved) this.#keep(saved);
        // Only now, because it tells the peer that the file is in place.
        this.#machine.fileFinished(file, hex(whole));
        this.flush();
        if (!this.over && this.files > 1) this.tell();
      } catch (error) {
        this.#stop(error);
      }
    });
  }

  /**
   * @param {number} file
   * @param {string} reason
   */
  #skipFile(file, reason) {
    const { path, size = 0 } = this.entries[file];
    this.leftOut.push({ path, reason });
    this.files -= 1;
    this.bytes -= size;
    this.#finishing = this.#finishing.then(async () => {
      try {
        if (this.over) return;
        this.#openedSink().skip(file);
        this.#unfinished -= 1;
        if (this.#unfinished === 0) await this.#keepArchive();
        if (this.over) return;
        this.#machine.fileSkipped(file);
        this.flush();
      } catch (error) {
        this.#stop(error);
      }
    });
  }

  async #keepArchive() {
    const archive = await this.#openedSink().finish();
    if (archive) this.#keep(archive);
  }

  /** @param {Saved} saved */
  #keep(saved) {
    this.saved.push(saved);
    this.wire.emit('saved', { transfer: this, ...saved });
  }

  #openedSink() {
    if (this.#sink === null) throw problem('cancelled');
    return this.#sink;
  }

  /** @param {unknown} error */
  #stop(error) {
    if (this.over) return;
    const reason = error instanceof Problem ? error : problem('disk');
    this.#machine.cancel(reason.code === 'no_space' ? 'no_space' : 'disk', reason.sentence);
    this.fail(reason);
    this.flush();
  }
}
