// @ts-check
// A link: the authenticated connection to one peer, with its chat and its transfers.

import { Chat } from '../channel/chat.js';
import { Control } from './control.js';
import { LinkSetup } from './setup.js';
import { Problem, asProblem, problem } from '../problems.js';
import { MAX_FRAME } from '../transfer/protocol/frames.js';
import { Manifest, manifestFrom } from '../transfer/disk/manifest.js';
import { Transfers } from '../transfer/engine/transfers.js';
import { VERSION } from '../version.js';

/** @typedef {import('../server/messages.js').Signal} Signal */
/** @typedef {import('../server/messages.js').IceOffer} IceOffer */
/** @typedef {import('../rtc/connection.js').NetworkPath} NetworkPath */
/** @typedef {import('../rtc/connection.js').Place} Place */
/** @typedef {import('../rtc/connection.js').RtcConnection} RtcConnection */
/** @typedef {import('../rtc/connection.js').RtcEvents} RtcEvents */
/** @typedef {import('./control.js').ControlEvent} ControlEvent */
/** @typedef {import('./control.js').HelloReceived} HelloReceived */
/** @typedef {import('../transfer/engine/base.js').Transfer} Transfer */
/** @typedef {import('../transfer/engine/base.js').TransferEvents} TransferEvents */
/**
 * @template {object} Events
 * @typedef {import('../events.js').TypedEventTarget<Events>} TypedEventTarget
 */

/**
 * @typedef {'pairing' | 'connecting' | 'connected' | 'closed'} LinkState
 *   `pairing`: proving the code · `connecting`: looking for a network path · `connected` · `closed`
 */

/**
 * @typedef {object} OwnEvents by type, what `detail` holds
 * @property {LinkState} state `link.state` changed
 * @property {NetworkPath} path the path became known or changed
 * @property {{id: number, text: string, at: Date}} chat a message arrived; `at`: the time of
 *   sending, by the peer's clock
 * @property {{id: number}} delivered the message with this id, from `sendChat`, has arrived at the
 *   peer
 * @property {Problem} closed the link is over: `closed`, `bye`, `lost`, `wrong_code`, `no_path`, ...
 *
 * @typedef {OwnEvents & TransferEvents} LinkEvents
 */

/** The name of this program. */
export const AGENT = `peerline/${VERSION} page`;

/** Interval at which the path is read, in ms. */
const PATH_INTERVAL = 5_000;
/** Maximum number of messages before the check of the hello, and of their bytes. */
const MAX_EARLY = 1024;
const MAX_EARLY_SIZE = 4 * 1024 * 1024;
/** Maximum of buffered bytes of chat; beyond it `sendChat` refuses messages. */
const MAX_WAITING_CHAT = 256 * 1024;
/** Maximum length of a sent chat message, in bytes, which every browser can receive. */
const MAX_CHAT_MESSAGE = 200 * 1024;

/** One link. Its events are `LinkEvents`, all of them `CustomEvent`s. */
export class Link extends /** @type {new () => TypedEventTarget<LinkEvents>} */ (EventTarget) {
  /** @type {LinkState} */
  #state = 'pairing';
  #peer;
  #ownName;
  #setup;
  /** @type {RtcConnection | null} */
  #connection = null;
  #isOpen = false;
  #leaving = false;
  /**
   * The reason for which this side gives up the link; later problems only follow from it.
   * @type {Problem | null}
   */
  #fate = null;
  /** Steps for messages that arrived before the link was connected. @type {(() => void)[]} */
  #early = [];
  #earlySize = 0;
  /** The peer's hello, until this side is open as well. @type {HelloReceived | null} */
  #hello = null;
  /** @type {readonly string[] | null} */
  #sas = null;
  #chat = new Chat();
  #transfers;
  /** Of the connection. */
  #control = new Control(now());
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #controlTimer;
  /** @type {NetworkPath | null} */
  #path = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #pathTimer;
  #onPageHide = () => {
    this.#sayBye();
    this.#end(problem('lost'));
  };

  /**
   * Begins to connect. Called by `Room`.
   *
   * @param {object} options
   * @param {string} options.local our peer id
   * @param {{peer: string, name: string}} options.remote
   * @param {string} options.room its id on the server
   * @param {Uint8Array | null} options.password
   * @param {import('./guess_budget.js').Attempt | null} options.attempt
   * @param {IceOffer} options.ice
   * @param {string} options.name this side's name
   * @param {import('./setup.js').Surroundings['send']} options.send
   */
  constructor({ local, remote, room, password, attempt, ice, name, send }) {
    super();
    this.#peer = { id: remote.peer, name: remote.name, agent: '' };
    this.#ownName = name;
    this.#setup = new LinkSetup({
      local,
      remote: remote.peer,
      room,
      password,
      attempt,
      ice,
      send,
      onStage: (stage) => {
        if (stage === 'description' || stage === 'path') this.#enter('connecting');
      },
      onConnection: (connection) => this.#adopt(connection),
      onFailed: (reason) => this.#end(reason),
    });
    this.#transfers = new Transfers(
      {
        sendControl: (message) => void this.#sendControl(message),
        sendList: (message, isWanted) =>
          this.#liveConnection().sendPaced('control', JSON.stringify(message), isWanted),
        sendBlock: (frame) => this.#liveConnection().sendPaced('blocks', frame),
        bufferedBlocks: () => this.#connection?.waiting('blocks') ?? 0,
        maxFrame: () => Math.min(MAX_FRAME, this.#connection?.maxMessageSize ?? MAX_FRAME),
        emit: (type, detail) => this.dispatchEvent(new CustomEvent(type, { detail })),
      },
      this.#setup.offerer,
    );
    globalThis.addEventListener?.('pagehide', this.#onPageHide);
  }

  /** @returns {LinkState} */
  get state() {
    return this.#state;
  }

  /** The peer; its name and agent are known once connected. */
  get peer() {
    return { ...this.#peer };
  }

  /** The four words that are the same on both ends, once known. @returns {readonly string[] | null} */
  get sas() {
    return this.#sas;
  }

  /** Whether a code or a password authenticated the peer. @returns {boolean} */
  get authenticated() {
    return this.#setup.authenticated;
  }

  /**
   * The current network path, or null while not connected.
   *
   * @returns {Promise<NetworkPath | null>}
   */
  async path() {
    return this.#state === 'connected' && this.#connection ? this.#connection.path() : null;
  }

  /**
   * Sends a chat message.
   *
   * @param {string} text
   * @returns {number} the id of the later `delivered` event
   * @throws {Problem} `message_too_long` (or empty), `not_delivered`, `lost`
   */
  sendChat(text) {
    if (this.#state !== 'connected') throw problem('lost');
    if (this.#chat.isFull || this.#liveConnection().waiting('chat') > MAX_WAITING_CHAT)
      throw problem('not_delivered');
    let id;
    try {
      const limit = Math.min(MAX_CHAT_MESSAGE, this.#liveConnection().maxMessageSize);
      id = this.#chat.send(text.toWellFormed(), Date.now(), { limit });
    } catch {
      throw problem('message_too_long');
    }
    this.#flushChat();
    return id;
  }

  /**
   * Offers files and folders to the peer.
   *
   * @param {FileList | readonly File[] | DataTransfer | Manifest} items
   *   the selection of an `<input type=file>` or a drop. A `DataTransfer` must be passed within its
   *   drop handler: the browser empties it when the handler returns.
   * @returns {Promise<Transfer>} as soon as the offer is sent
   * @throws {Problem} `nothing_to_send`, `too_many`, `unsafe_name`, `lost`
   */
  async sendFiles(items) {
    const manifest = items instanceof Manifest ? items : await manifestFrom(items);
    if (manifest.entries.length === 0) throw problem('nothing_to_send');
    if (this.#state !== 'connected') throw problem('lost');
    return this.#transfers.offer(manifest);
  }

  /** Sends the bye and closes the link. @returns {Promise<void>} */
  async close() {
    if (this.#state === 'closed') return;
    this.#leaving = true;
    if (this.#state === 'connected') {
      this.#sayBye();
      await this.#connection?.drain();
    } else {
      await this.#setup.giveUp(problem('closed'));
    }
    this.#end(problem('closed'));
  }

  /**
   * Takes a signal of the peer. Called by `Room`.
   *
   * @param {Signal} signal
   */
  receiveSignal(signal) {
    this.#setup.receiveSignal(signal);
  }

  /** Tells that the peer has left the room. Called by `Room`. */
  peerLeft() {
    if (this.#state === 'connected') {
      this.#control.doubt(now());
      this.#pump();
    } else {
      this.#setup.peerLeft();
    }
  }

  /** @param {RtcConnection} connection */
  #adopt(connection) {
    this.#connection = connection;
    this.#control = new Control(now());
    this.#isOpen = false;
    this.#early = [];
    this.#earlySize = 0;
    this.#hello = null;
    /**
     * @template {keyof RtcEvents} Type
     * @param {Type} type
     * @param {(detail: RtcEvents[Type]) => void | Promise<void>} handle
     */
    const on = (type, handle) =>
      connection.addEventListener(type, ({ detail }) => {
        if (connection !== this.#connection || this.#state === 'closed') return;
        this.#guard(() => handle(detail));
      });
    on('open', () => this.#opened());
    on('control', (data) => this.#receiveControl(data));
    on('chat', (data) => this.#whenConnected(data, () => this.#receiveChat(data)));
    on('blocks', (data) => this.#whenConnected(data, () => this.#transfers.receiveBlock(data)));
    on('room', (name) => {
      if (name === 'control') this.#pump();
      else if (name === 'chat') this.#flushChat();
    });
    on('failed', () => this.#lose());
    on('closed', () => this.#lose());
  }

  #opened() {
    this.#isOpen = true;
    this.#control.hello(this.#ownName, AGENT, this.#setup.reveal);
    this.#pump();
    const hello = this.#hello;
    if (hello !== null) this.#guard(() => this.#receiveHello(hello));
  }

  /**
   * Runs a step for a message of the peer. An exception ends this link only, and no other one.
   *
   * @param {() => void | Promise<void>} step
   */
  #guard(step) {
    const failed = (/** @type {unknown} */ error) => {
      if (!(error instanceof Problem)) console.error(error); // a fault of this program: report it
      const reason = asProblem(error);
      this.#giveUp(reason).catch(() => this.#end(reason));
    };
    try {
      step()?.catch(failed);
    } catch (error) {
      failed(error);
    }
  }

  /**
   * Runs a step now, or as soon as the peer's hello is verified.
   *
   * @param {unknown} data of the message
   * @param {() => void} step
   */
  #whenConnected(data, step) {
    this.#control.heard(now());
    if (this.#state === 'connected') {
      step();
      return;
    }
    this.#earlySize += sizeOf(data);
    if (this.#early.length >= MAX_EARLY || this.#earlySize > MAX_EARLY_SIZE)
      throw problem('protocol');
    this.#early.push(step);
  }

  /** @param {unknown} data */
  #receiveControl(data) {
    this.#control.receiveMessage(data, now());
    this.#pump();
  }

  /** Sends the messages of the control machine, handles its events, and sets its timer. */
  #pump() {
    const connection = this.#connection;
    if (connection === null || this.#isOver) return;
    const control = this.#control;
    for (const message of control.messagesToSend({ replies: connection.hasRoom('control') })) {
      if (connection.send('control', message)) continue;
      this.#lose();
      return;
    }
    for (let event = control.nextEvent(); event !== null; event = control.nextEvent())
      this.#handle(event);
    clearTimeout(this.#controlTimer);
    const { deadline } = control;
    if (deadline === null || this.#state !== 'connected') return;
    this.#controlTimer = setTimeout(
      () => {
        control.handleTimer(now());
        this.#pump();
      },
      (deadline - now()) * 1000,
    );
  }

  /** @param {ControlEvent} event */
  #handle(event) {
    switch (event.type) {
      case 'hello':
        this.#hello = event;
        if (this.#isOpen) this.#guard(() => this.#receiveHello(event));
        break;
      case 'bye':
        this.#end(problem(event.code === 'verification_failed' ? 'verification_failed' : 'bye'));
        break;
      case 'silent':
        this.#lose();
        break;
      case 'other':
        this.#whenConnected(event.text, () => void this.#transfers.receiveControl(event.message));
        break;
      case 'unread': // a message of a program's channel, which this side does not open
    }
  }

  /** @param {HelloReceived} hello */
  async #receiveHello({ name, agent, reveal }) {
    if (this.#state !== 'connecting') return;
    const connection = this.#connection;
    let sas;
    try {
      sas = await this.#setup.verify(reveal);
    } catch (error) {
      // A closed or replaced connection neither proves nor disproves the identity.
      if (!this.#isCurrent(connection)) return;
      throw error;
    }
    if (!this.#isCurrent(connection) || !this.#setup.established()) return;
    this.#sas = sas;
    this.#peer.name = name || this.#peer.name;
    this.#peer.agent = agent;
    this.#pathTimer = setInterval(() => void this.#lookAtPath(), PATH_INTERVAL);
    this.#enter('connected');
    this.#pump();
    void this.#lookAtPath();
    for (const step of this.#early.splice(0)) if (!this.#isOver) this.#guard(step);
  }

  /** @param {RtcConnection | null} connection that was being verified */
  #isCurrent(connection) {
    return this.#state === 'connecting' && connection === this.#connection && !connection?.isOver;
  }

  /** @param {unknown} data */
  #receiveChat(data) {
    if (this.#state !== 'connected') return;
    this.#chat.receiveMessage(data);
    this.#flushChat();
  }

  #flushChat() {
    const connection = this.#connection;
    if (connection === null || this.#isOver) return;
    const confirmations = connection.hasRoom('chat');
    for (const message of this.#chat.messagesToSend({ confirmations })) {
      if (connection.send('chat', message)) continue;
      this.#lose();
      return;
    }
    for (let event = this.#chat.nextEvent(); event !== null; event = this.#chat.nextEvent()) {
      if (event.type === 'flooded') throw problem('protocol');
      if (event.type === 'message') {
        const { id, text, at } = event;
        this.#emit('chat', { id, text, at: at === null ? new Date() : new Date(at) });
      } else {
        this.#emit('delivered', { id: event.id });
      }
    }
  }

  async #lookAtPath() {
    const path = await this.path();
    if (path === null) return;
    const same = (/** @type {Place | undefined} */ a, /** @type {Place} */ b) =>
      a?.type === b.type && a.address === b.address;
    const changed = !same(this.#path?.local, path.local) || !same(this.#path?.remote, path.remote);
    this.#path = path;
    if (changed) this.#emit('path', path);
  }

  /** @param {object} message */
  #sendControl(message) {
    const connection = this.#connection;
    if (connection === null || this.#state === 'closed') return;
    if (connection.send('control', JSON.stringify(message))) return;
    // The buffer is full, which an honest peer that reads never causes.
    this.#lose();
  }

  /** Ends a connected link, whose connection is lost. */
  #lose() {
    if (this.#state === 'connected') this.#end(problem(this.#leaving ? 'closed' : 'lost'));
  }

  get #isOver() {
    return this.#state === 'closed';
  }

  #liveConnection() {
    if (this.#connection === null || this.#state === 'closed') throw problem('lost');
    return this.#connection;
  }

  #sayBye() {
    if (this.#state !== 'connected') return;
    this.#control.bye();
    this.#pump();
  }

  /**
   * Ends the link because of a fault of the peer, or of this side.
   *
   * @param {Problem} reason
   */
  async #giveUp(reason) {
    if (this.#state === 'closed' || this.#fate !== null) return;
    this.#fate = reason;
    this.#control.bye(reason.code);
    this.#pump();
    await this.#connection?.drain();
    await this.#setup.giveUp(reason);
    this.#end(reason);
  }

  /** @param {LinkState} state */
  #enter(state) {
    if (this.#state === state) return;
    this.#state = state;
    this.#emit('state', state);
  }

  /** @param {Problem} reason */
  #end(reason) {
    if (this.#state === 'closed') return;
    globalThis.removeEventListener?.('pagehide', this.#onPageHide);
    clearInterval(this.#pathTimer);
    clearTimeout(this.#controlTimer);
    this.#setup.stop();
    this.#enter('closed');
    this.#transfers.broken();
    this.#connection?.close();
    this.#emit('closed', this.#fate ?? reason);
  }

  /**
   * @template {keyof LinkEvents} Type
   * @param {Type} type
   * @param {LinkEvents[Type]} detail
   */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/**
 * @param {unknown} data what a channel brought
 * @returns {number} its length in bytes, or in characters for a text
 */
function sizeOf(data) {
  if (typeof data === 'string') return data.length;
  return data instanceof ArrayBuffer ? data.byteLength : 0;
}

/** Seconds, monotonic. */
function now() {
  return performance.now() / 1000;
}
