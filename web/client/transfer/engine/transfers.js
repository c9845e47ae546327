// @ts-check
// The transfers of one link: routes each message and each frame to its transfer.

import { BadMessage } from '../../server/messages.js';
import { storageNotice } from '../disk/sink.js';
import { FrameError, parseFrame } from '../protocol/frames.js';
import { Incoming } from './incoming.js';
import { MAX_UNDECIDED_BYTES, parseTransferMessage } from '../protocol/messages.js';
import { Outgoing } from './outgoing.js';
import { Receiver } from '../protocol/receiver.js';

/** @typedef {import('./base.js').Wire} Wire */
/** @typedef {import('../disk/manifest.js').Manifest} Manifest */
/** @typedef {import('../protocol/messages.js').TransferMessage} TransferMessage */

/** Maximum number of offers that wait for an answer, or for the rest of their list. */
export const MAX_UNDECIDED = 16;
/** Maximum number of transfers that are remembered. */
const MAX_REMEMBERED = 1000;

/** All transfers of a link, in both directions. */
export class Transfers {
  #wire;
  /** @type {(Outgoing | Incoming)[]} */
  #all = [];
  /** @type {Map<number, Outgoing>} */
  #outgoing = new Map();
  /** @type {Map<number, Incoming>} */
  #incoming = new Map();
  /** Offers with an incomplete list. @type {Map<number, Receiver>} */
  #listing = new Map();
  #nextId;
  /** The lowest id of the peer's next offer; its parity is the peer's. */
  #nextRemote;

  /**
   * @param {Wire} wire
   * @param {boolean} offerer whether this side is the link's offerer
   */
  constructor(wire, offerer) {
    this.#wire = wire;
    this.#nextId = offerer ? 0 : 1;
    this.#nextRemote = offerer ? 1 : 0;
  }

  /**
   * Offers files to the other side.
   *
   * @param {Manifest} manifest
   * @returns {Outgoing}
   */
  offer(manifest) {
    const id = this.#nextId;
    this.#nextId += 2;
    const transfer = new Outgoing(this.#wire, id, manifest);
    this.#outgoing.set(id, transfer);
    this.#remember(transfer);
    return transfer;
  }

  /**
   * Takes a message of the control channel.
   *
   * @param {Record<string, unknown>} record a parsed JSON object
   * @returns {boolean} whether it was a message of transfers
   */
  receiveControl(record) {
    let message;
    try {
      message = parseTransferMessage(record);
    } catch (error) {
      if (!(error instanceof BadMessage)) throw error;
      this.#malformed(record.transfer);
      return true;
    }
    if (message === null) return false;
    this.#route(message);
    return true;
  }

  /**
   * Takes a frame of the blocks channel.
   *
   * @param {unknown} data
   */
  receiveBlock(data) {
    if (!(data instanceof ArrayBuffer)) return;
    let frame;
    try {
      frame = parseFrame(data);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      if (data.byteLength >= 8) this.#malformed(new DataView(data).getUint32(4));
      return;
    }
    // Frames of an ended transfer may still be in flight: they are dropped.
    if (frame.type !== 'unknown') this.#incoming.get(frame.transfer)?.receiveFrame(frame);
  }

  /** The link is over. */
  broken() {
    this.#listing.clear();
    for (const transfer of this.#all) if (!transfer.over) transfer.broken();
  }

  /** @param {TransferMessage} message */
  #route(message) {
    const id = message.transfer;
    switch (message.t) {
      case 'offer':
        return this.#offered(message);
      case 'offer_more':
      case 'skip':
        return this.#listed(id, message);
      case 'accept':
      case 'have':
      case 'decline':
      case 'ack':
      case 'file_done':
      case 'files_done':
      case 'done':
      case 'retry':
        return this.#outgoing.get(id)?.receive(message);
      case 'cancel':
        if (this.#listing.has(id)) return this.#listed(id, message);
        return (this.#outgoing.get(id) ?? this.#incoming.get(id))?.receive(message);
    }
  }

  /** @param {TransferMessage & {t: 'offer'}} message */
  #offered(message) {
    const id = message.transfer;
    // An offer with an invalid id is dropped: an answer would end the transfer that has this id.
    if (id < this.#nextRemote || id % 2 !== this.#nextRemote % 2) return;
    this.#nextRemote = id + 2;
    const waiting = [...this.#incoming.values()].filter(({ state }) => state === 'offered').length;
    if (waiting + this.#listing.size >= MAX_UNDECIDED) {
      this.#wire.sendControl({
        t: 'decline',
        transfer: id,
        code: 'busy',
        message: 'too many offers are waiting',
      });
      return;
    }
    this.#listing.set(id, new Receiver(id));
    this.#listed(id, message);
  }

  /**
   * @param {number} id
   * @param {TransferMessage} message
   */
  #listed(id, message) {
    const machine = this.#listing.get(id);
    if (machine === undefined) {
      this.#incoming.get(id)?.receive(message);
      return;
    }
    machine.receive(message);
    if (this.#undecidedBytes() > MAX_UNDECIDED_BYTES) machine.decline('busy');
    for (const answer of machine.messagesToSend()) this.#wire.sendControl(answer);
    if (machine.state === 'listing') return;
    this.#listing.delete(id);
    if (machine.state === 'offered') void this.#present(id, machine);
  }

  /** The memory of the lists of all offers that are not accepted yet, in bytes. */
  #undecidedBytes() {
    let bytes = 0;
    for (const machine of this.#listing.values()) bytes += machine.weight;
    for (const transfer of this.#incoming.values())
      if (transfer.state === 'offered') bytes += transfer.weight;
    return bytes;
  }

  /**
   * @param {number} id
   * @param {Receiver} machine
   */
  async #present(id, machine) {
    const transfer = new Incoming(this.#wire, id, machine, null);
    this.#incoming.set(id, transfer);
    this.#remember(transfer);
    transfer.notice = await storageNotice();
    if (!transfer.over) this.#wire.emit('offer', transfer);
  }

  /** @param {unknown} id of the transfer that a malformed message or frame names, if it does */
  #malformed(id) {
    if (typeof id !== 'number') return;
    const transfer = this.#incoming.get(id) ?? this.#outgoing.get(id);
    if (transfer && transfer.over) return;
    this.#listing.delete(id);
    this.#wire.sendControl({
      t: 'cancel',
      transfer: id,
      code: 'protocol',
      message: 'malformed message',
    });
    transfer?.receive({ t: 'cancel', transfer: id, code: 'protocol', message: '' });
  }

  /** @param {Outgoing | Incoming} transfer */
  #remember(transfer) {
    this.#all.push(transfer);
    if (this.#all.length <= MAX_REMEMBERED) return;
    const index = this.#all.findIndex((old) => old.over);
    if (index < 0) return;
    const [old] = this.#all.splice(index, 1);
    this.#outgoing.delete(old.id);
    this.#incoming.delete(old.id);
  }
}
