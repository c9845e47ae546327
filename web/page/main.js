// @ts-check
// The page: wires rooms, links and transfers to the views of ui/. It decides which view is shown
// and what each button does; ui/ decides the appearance, and client/ the protocols.

import {
  Code,
  Room,
  Shelf,
  asProblem,
  canUseDisk,
  isSameServer,
  manifestFrom,
  problem,
  removeOldFiles,
  serverOf,
} from '../client/index.js';
import { ChatView } from './ui/chat.js';
import { byId } from './ui/dom.js';
import { FailureView } from './ui/failure.js';
import { atStart } from './ui/format.js';
import { Announcer } from './ui/live.js';
import { changesTitle } from './ui/manifest.js';
import { defaultName } from './ui/names.js';
import { OfferDialog } from './ui/offer.js';
import { Panels } from './ui/panels.js';
import { Question } from './ui/question.js';
import { recoveryAction, secureRecoveryAction } from './ui/recovery_actions.js';
import { handOver } from './ui/save.js';
import { SessionView } from './ui/session.js';
import { StartView } from './ui/start.js';
import { TransferList } from './ui/transfers.js';
import { DropZone } from './ui/drop_zone.js';
import { JoiningView, WaitingView } from './ui/waiting.js';
import { ScreenWakeLock } from './ui/wake_lock.js';

/** @typedef {import('../client/link/link.js').Link} Link */
/** @typedef {import('../client/link/link.js').LinkEvents} LinkEvents */
/** @typedef {import('../client/problems.js').Problem} Problem */
/** @typedef {import('../client/room/room.js').RoomEvents} RoomEvents */
/** @typedef {import('../client/transfer/engine/base.js').Incoming} Incoming */
/** @typedef {import('../client/transfer/engine/base.js').Transfer} Transfer */
/** @typedef {import('../client/transfer/disk/manifest.js').Manifest} Manifest */
/** @typedef {'start' | 'waiting' | 'joining' | 'failure' | 'session'} View */

const IN_USE = 'peerline.in-use'; // sessionStorage: the page used a code
const NAME = 'peerline.name';
/** Number of characters of a message that are read out while the chat is out of sight. */
const MOST_SPOKEN = 300;
const RELOADED =
  'Reloading the page ended the connection. A code works once: make a new one, or ask for one.';

class App {
  #announcer = new Announcer();
  #start = new StartView({
    make: () => void this.#host(),
    join: (code, server) => this.#use(code, server),
  });
  #waiting = new WaitingView(this.#announcer, { cancel: () => this.#restart() });
  #joining = new JoiningView({ cancel: () => this.#restart() });
  #failure = new FailureView();
  #wakeLock = new ScreenWakeLock();
  #panels = new Panels(() => this.#retitle());
  #session = new SessionView({ leave: () => this.#leave(), again: () => void this.#again() });
  #chat = new ChatView({ send: (text) => this.#sendChat(text) });
  #offers = new OfferDialog();
  #question = new Question();
  #shelf = new Shelf({ freed: () => this.#transfers.refresh() });
  #dropZone = new DropZone({ send: (items) => void this.#send(items) });
  #transfers = new TransferList({
    answer: (offer) => this.#offers.ask(offer, this.#session.name),
    resend: (transfer) => this.#resend(transfer),
    save: (incoming) => incoming.saved.forEach((saved) => this.#handOver(incoming, saved)),
    release: (incoming) => this.#shelf.release(incoming),
  });

  /** @type {View} */
  #view = 'start';
  /** @type {Room | null} */
  #room = null;
  /** @type {Link | null} */
  #link = null;
  #role = /** @type {'host' | 'join'} */ ('host');
  #code = '';
  /**
   * Manifests that wait for a connection, each with its line.
   * @type {Set<{manifest: Manifest, line: {done: () => void}}>}
   */
  #queue = new Set();
  /** The manifests of sent transfers, for sending them again. @type {Map<Transfer, Manifest>} */
  #sent = new Map();
  /** Counts attempts, so that a result that arrives after a cancel is dropped. */
  #attempt = 0;

  run() {
    this.#prepareName();
    addEventListener('hashchange', () => void this.#openFragment());
    addEventListener('beforeunload', (event) => {
      if (this.#isLosing) event.preventDefault();
    });
    const reloaded = sessionStorage.getItem(IN_USE) !== null;
    sessionStorage.removeItem(IN_USE);
    addEventListener('pagehide', () => {
      if (this.#room) sessionStorage.setItem(IN_USE, '');
    });
    if (!isSecureContext) {
      void this.#explainSecurity();
      return;
    }
    void removeOldFiles();
    // Loads the worker that writes files now: the server may be unreachable when they arrive.
    void canUseDisk();
    this.#show('start');
    this.#start.show({ notice: reloaded && !location.hash ? RELOADED : '' });
    void this.#openFragment();
  }

  /** Whether closing the page would lose a connection, a code, or waiting files. */
  get #isLosing() {
    return this.#transfers.busy || this.#room !== null || this.#link !== null || this.#queue.size > 0;
  }

  /** Without https a browser lacks the cryptography that the page requires. */
  async #explainSecurity() {
    const { sentence } = asProblem(null, 'insecure_context');
    this.#failure.show({ sentence, ...(await secureRecoveryAction(location)), action: () => location.reload() });
    this.#show('failure');
    this.#announcer.say(sentence);
  }

  // Views -------------------------------------------------------------------------------------

  /** @param {View} view */
  #show(view) {
    this.#view = view;
    for (const name of ['start', 'waiting', 'joining', 'failure', 'session']) byId(name).hidden = name !== view;
    byId('chat').hidden = view !== 'session';
    byId('me').hidden = view !== 'start';
    document.body.dataset.view = view;
    byId(`${view}-title`).focus();
    this.#present();
    const open = view !== 'failure' || this.#queue.size > 0;
    this.#dropZone.explain(view === 'session' ? '' : 'They are sent as soon as the other side is there.', open);
  }

  /** Sets the status line at the top, and the window's title. */
  #present(state = this.#link ? 'connected' : '') {
    const line = byId('presence');
    line.dataset.state = state;
    const text = { waiting: 'Waiting', joining: 'Connecting', session: state ? 'Connected' : 'Disconnected' };
    line.hidden = !(this.#view in text);
    byId('presence-text').textContent = text[/** @type {keyof typeof text} */ (this.#view)] ?? '';
    this.#retitle();
  }

  #retitle() {
    const { fraction } = this.#transfers;
    const { unread } = this.#panels;
    document.title = `${unread && document.hidden ? `(${unread}) ` : ''}${fraction === null ? '' : `${Math.floor(100 * fraction)} % · `}Peerline`;
  }

  #prepareName() {
    const field = /** @type {HTMLInputElement} */ (byId('name'));
    field.value = localStorage.getItem(NAME) ?? '';
    field.placeholder = defaultName(navigator.userAgent);
    field.addEventListener('change', () => localStorage.setItem(NAME, field.value.trim()));
  }

  get #name() {
    const field = /** @type {HTMLInputElement} */ (byId('name'));
    return field.value.trim() || field.placeholder;
  }

  // Rooms -------------------------------------------------------------------------------------

  /** Uses the code of an opened link, and removes it from the address bar and the history. */
  async #openFragment() {
    const fragment = location.hash.slice(1); // `Code.parse` decodes the escapes of browsers
    if (!fragment) return;
    history.replaceState(null, '', location.pathname + location.search);
    if (this.#link) {
      this.#announcer.show('You are connected already: disconnect before you use another code');
      return;
    }
    const room = this.#room;
    if (room !== null && !(await this.#givesUp())) return;
    if (room !== this.#room) return; // a peer connected while the question was open
    let code;
    let server;
    try {
      code = String(Code.parse(fragment));
      server = serverOf(fragment);
    } catch (error) {
      this.#begin('join');
      this.#code = fragment;
      this.#fail(asProblem(error, 'bad_code'));
      return;
    }
    this.#use(code, server);
  }

  /** Asks whether to give up the waiting code, or the connection that is being set up. */
  #givesUp() {
    return this.#question.ask({
      title: 'Use the other code?',
      more: this.#role === 'host' ? `Your code ${this.#code} is waiting, and ends then.` : 'This connection is just being made, and ends then.',
      yes: 'Use the other code',
    });
  }

  /**
   * Joins with a code on its server only: on any other one its number belongs to another code, and
   * one attempt would spend it.
   *
   * @param {string} code
   * @param {URL | null} server that was named along with it
   */
  #use(code, server) {
    if (server === null || isSameServer(server, new URL(location.href))) {
      void this.#join(code);
      return;
    }
    this.#begin('join');
    const { sentence } = problem('other_server', { sentence: `This code belongs to another server, ${server.host}.` });
    this.#failure.show({
      sentence,
      more: 'It was not used here. Open it there only if you know who runs that server.',
      label: 'Open it there',
      href: `${server.origin}${server.pathname}#${code}`,
      back: 'Start again',
      action: () => this.#restart(),
    });
    this.#show('failure');
    this.#announcer.say(sentence);
  }

  async #host() {
    const attempt = this.#begin('host');
    this.#start.busy();
    await this.#enter(attempt, Room.host({ name: this.#name }), (room) => {
      const { code } = room;
      if (!code) throw new TypeError('a room that is hosted has a code');
      this.#code = String(code);
      this.#waiting.show(this.#code, code.link(location.href));
      this.#show('waiting');
      this.#announcer.say(`Your code is ${this.#code}. Waiting for the other side.`);
    });
  }

  /** @param {string} code */
  async #join(code) {
    const attempt = this.#begin('join');
    this.#code = code;
    this.#joining.show(code);
    this.#show('joining');
    this.#announcer.say('Connecting');
    await this.#enter(attempt, Room.join({ code, name: this.#name }), () => {});
  }

  /** @param {'host' | 'join'} role */
  #begin(role) {
    this.#role = role;
    void this.#room?.close();
    this.#room = null;
    return ++this.#attempt;
  }

  /**
   * @param {number} attempt
   * @param {Promise<Room>} entering
   * @param {(room: Room) => void} entered
   */
  async #enter(attempt, entering, entered) {
    try {
      const room = await entering;
      if (attempt !== this.#attempt) {
        void room.close();
        return;
      }
      this.#room = room;
      this.#listenToRoom(room);
      entered(room);
    } catch (error) {
      if (attempt === this.#attempt) this.#fail(asProblem(error));
    }
  }

  /** @param {Room} room */
  #listenToRoom(room) {
    /**
     * @template {keyof RoomEvents} Type
     * @param {Type} type
     * @param {(detail: RoomEvents[Type]) => void} handle
     */
    const on = (type, handle) =>
      room.addEventListener(type, ({ detail }) => {
        if (room === this.#room) handle(detail);
      });
    on('connecting', (link) => this.#watchLink(link));
    on('link', (link) => this.#connected(link));
    on('error', (problem) => this.#fail(problem));
    on('closed', (problem) => problem && this.#fail(problem));
  }

  /** @param {Link} link that is being made */
  #watchLink(link) {
    if (this.#link) return;
    if (this.#view === 'waiting') {
      this.#joining.show('');
      this.#show('joining');
      this.#announcer.say('Somebody used the code. Connecting.');
    }
    const follow = () => this.#joining.step(link.state === 'pairing' ? 'code' : 'path');
    link.addEventListener('state', follow);
    follow();
  }

  /**
   * Shows the reason of a failure, unless a connection (or an ended one) is on the page.
   *
   * @param {Problem} problem
   */
  #fail(problem) {
    if (this.#view === 'session') return;
    this.#attempt++;
    void this.#room?.close();
    this.#room = null;
    const { does, ...cure } = recoveryAction(problem, this.#role);
    const actions = {
      host: () => void this.#host(),
      join: () => void this.#join(this.#code),
      start: () => this.#restart(),
      edit: () => this.#restart(this.#code),
      reload: () => location.reload(),
    };
    this.#failure.show({ sentence: problem.sentence, ...cure, action: actions[does] });
    this.#show('failure');
    this.#announcer.say(problem.sentence);
  }

  async #again() {
    const sure = this.#chat.isEmpty || (await this.#question.ask({
      title: 'Start again?',
      more: 'The messages of this conversation are not saved: they will be lost.',
      yes: 'Yes, start again',
    }));
    if (sure && this.#link === null) this.#restart();
  }

  /** @param {string} [code] to be corrected */
  #restart(code) {
    for (const [transfer, manifest] of this.#sent) {
      if (transfer.problem?.code === 'broken') this.#keep(manifest);
    }
    this.#sent.clear();
    this.#attempt++;
    void this.#room?.close();
    this.#room = null;
    this.#link = null;
    this.#shelf.clear();
    this.#transfers.clear();
    this.#show('start');
    this.#start.show({ code });
    if (code !== undefined) this.#start.focusField();
  }

  // The link ----------------------------------------------------------------------------------

  /** @param {Link} link */
  #connected(link) {
    if (this.#link) return;
    this.#link = link;
    this.#sent.clear();
    this.#transfers.clear();
    this.#session.show({ name: link.peer.name, sas: link.sas, authenticated: link.authenticated });
    this.#chat.start(this.#session.name);
    this.#show('session');
    this.#panels.show('files');
    this.#announcer.say(`Connected to ${this.#session.name}`);
    this.#listenToLink(link);
    void link.path().then((path) => this.#session.showPath(path));
    for (const item of this.#queue) {
      item.line.done();
      void this.#offer(item.manifest);
    }
    this.#queue.clear();
  }

  /** @param {Link} link */
  #listenToLink(link) {
    /**
     * @template {keyof LinkEvents} Type
     * @param {Type} type
     * @param {(detail: LinkEvents[Type]) => void} handle
     */
    const on = (type, handle) =>
      link.addEventListener(type, ({ detail }) => {
        if (link === this.#link) handle(detail);
      });
    const { name } = this.#session;
    on('path', (path) => this.#session.showPath(path));
    on('chat', ({ text, at }) => {
      this.#chat.receive(name, text, at);
      // Announces a message only if the chat is not visible; a visible one announces itself.
      if (!this.#panels.chatIsShown) this.#announcer.say(`${atStart(name)}: ${text.slice(0, MOST_SPOKEN)}`);
      this.#panels.heard();
    });
    on('delivered', ({ id }) => this.#chat.delivered(id));
    on('offer', (offer) => {
      this.#transfers.update(offer, name);
      this.#offers.ask(offer, name);
      this.#announcer.say(`${atStart(name)} offers ${offer.title}`);
    });
    on('progress', (transfer) => this.#progress(transfer));
    on('saved', ({ transfer, ...saved }) => this.#handOver(transfer, saved));
    on('transferdone', (transfer) => {
      this.#progress(transfer);
      const end = `${transfer.title} ${transfer.direction === 'in' ? 'received' : 'delivered'}`;
      this.#announcer.show([end, changesTitle(transfer)].filter(Boolean).join('; '));
    });
    on('transferfailed', (transfer) => {
      if (transfer.direction === 'in') this.#offers.withdraw(transfer);
      if (transfer.problem?.code === 'declined') {
        this.#transfers.remove(transfer);
        return;
      }
      this.#progress(transfer);
      this.#announcer.say(`${transfer.title}: ${transfer.problem?.sentence ?? 'failed'}`);
    });
    on('closed', (problem) => this.#ended(problem));
  }

  /**
   * @param {Incoming} incoming
   * @param {{name: string, file: File}} saved
   */
  #handOver(incoming, { name, file }) {
    handOver(name, file);
    this.#shelf.handed(incoming, file.size);
  }

  /** @param {Transfer} transfer */
  #progress(transfer) {
    this.#transfers.update(transfer, this.#session.name);
    this.#retitle();
    this.#wakeLock.want(this.#transfers.busy);
  }

  /** @param {Problem} problem */
  #ended(problem) {
    this.#link = null;
    this.#room = null; // the room of a code ends with its only link
    this.#offers.withdrawAll();
    this.#chat.end();
    this.#transfers.refresh();
    this.#session.end(problem, 'Start again');
    this.#dropZone.explain('', false);
    this.#announcer.say(problem.sentence);
    this.#wakeLock.want(false);
    this.#present();
  }

  #leave() {
    const link = this.#link;
    if (!link) return;
    this.#ended(asProblem(null, 'closed'));
    void link.close();
  }

  // Chat and files ----------------------------------------------------------------------------

  /** @param {string} text */
  #sendChat(text) {
    try {
      return this.#link?.sendChat(text) ?? null;
    } catch (error) {
      this.#announcer.show(asProblem(error).sentence);
      return null;
    }
  }

  /** @param {FileList | DataTransfer | File[]} items */
  async #send(items) {
    try {
      // Reads the data at once, before the first `await`: see DropZone.
      const manifest = await manifestFrom(items);
      if (this.#link) await this.#offer(manifest);
      else this.#keep(manifest);
    } catch (error) {
      this.#announcer.show(asProblem(error).sentence);
    }
  }

  /** @param {Manifest} manifest */
  #keep(manifest) {
    const item = { manifest, line: this.#dropZone.enqueue(manifest, () => this.#queue.delete(item)) };
    this.#queue.add(item);
    this.#announcer.say(`${manifest.title} is ready to be sent`);
  }

  /** @param {Manifest} manifest */
  async #offer(manifest) {
    const link = this.#link;
    if (!link) return;
    try {
      const transfer = await link.sendFiles(manifest);
      this.#sent.set(transfer, manifest);
      if (link === this.#link) this.#progress(transfer);
    } catch (error) {
      this.#announcer.show(asProblem(error).sentence);
    }
  }

  /** @param {Transfer} transfer */
  #resend(transfer) {
    const manifest = this.#sent.get(transfer);
    this.#sent.delete(transfer);
    if (!manifest) return;
    if (this.#link) void this.#offer(manifest);
    else this.#keep(manifest);
  }
}

new App().run();
