// @ts-check
// The list of transfers: their progress, their outcome, and the next actions.

import { byId, icon, make, setText } from './dom.js';
import { formatBytes, formatDuration, formatRate, joinFacts, plural } from './format.js';
import { MOST_ROWS, changeRows, changesTitle, manifestRows } from './manifest.js';
import { nameElement } from './names.js';

/** @typedef {import('../../client/transfer/engine/base.js').Transfer} Transfer */
/** @typedef {import('../../client/transfer/engine/base.js').Incoming} Incoming */

/**
 * @typedef {object} Actions
 * @property {(offer: Incoming) => void} answer asks again about an offer
 * @property {((transfer: Transfer) => void) | null} resend offers the same files again
 * @property {(incoming: Incoming) => void} save passes its files to the browser's downloads
 * @property {(incoming: Incoming) => void} release frees its files
 */

/** All transfers of one connection, the newest first. */
export class TransferList {
  #list = byId('transfers');
  /** @type {Map<Transfer, TransferCard>} */
  #cards = new Map();
  #actions;

  /** @param {Actions} actions */
  constructor(actions) {
    this.#actions = actions;
  }

  clear() {
    this.#cards.clear();
    this.#list.replaceChildren();
    this.#list.hidden = true;
  }

  /**
   * Shows the current state of a transfer.
   *
   * @param {Transfer} transfer
   * @param {string} name of the other side
   */
  update(transfer, name) {
    let card = this.#cards.get(transfer);
    if (!card) {
      card = new TransferCard(transfer, name, this.#actions, () => this.remove(transfer));
      this.#cards.set(transfer, card);
      this.#list.prepend(card.element);
      this.#list.hidden = false;
    }
    card.update();
  }

  /** Updates all transfers on the list; removed ones stay removed. */
  refresh() {
    for (const card of this.#cards.values()) card.update();
  }

  /** @param {Transfer} transfer */
  remove(transfer) {
    const element = this.#cards.get(transfer)?.element;
    const focused = element?.contains(document.activeElement);
    element?.remove();
    this.#cards.delete(transfer);
    this.#list.hidden = this.#cards.size === 0;
    if (focused) byId('choose-files').focus({ preventScroll: true });
  }

  /** Whether closing the page now would interrupt a transfer. */
  get busy() {
    return [...this.#cards.keys()].some(({ state }) => state === 'running');
  }

  /** The completed share of all running transfers, or null. */
  get fraction() {
    const running = [...this.#cards.keys()].filter(({ state }) => state === 'running');
    const bytes = running.reduce((sum, transfer) => sum + transfer.bytes, 0);
    if (!bytes) return null;
    return running.reduce((sum, transfer) => sum + transfer.bytesDone, 0) / bytes;
  }
}

/** One transfer. */
class TransferCard {
  #transfer;
  #name;
  #actions;
  #remove;
  #kind = make('span', { class: 'kind' });
  #facts = make('p', { class: 'facts' });
  #buttons = make('div', { class: 'actions' });
  #bar;
  #rows = /** @type {HTMLElement[]} */ ([]);
  #details = /** @type {HTMLDetailsElement | null} */ (null);
  #state = '';
  #changes = make('details', { class: 'details below', hidden: true });
  #told = 0;

  /**
   * @param {Transfer} transfer
   * @param {string} name
   * @param {Actions} actions
   * @param {() => void} remove
   */
  constructor(transfer, name, actions, remove) {
    this.#transfer = transfer;
    this.#name = name;
    this.#actions = actions;
    this.#remove = remove;
    this.#bar = make('progress', { max: '1', value: '0', 'aria-label': `Progress of ${transfer.title}` });
    const middle = make('div', {}, nameElement(transfer.title, 'what'), this.#facts);
    this.element = make('li', { class: 'card item' }, this.#kind, middle, this.#buttons);
    const notice = transfer.direction === 'in' ? /** @type {Incoming} */ (transfer).notice : null;
    if (notice) this.element.append(make('p', { class: 'notice below', text: notice }));
    if (transfer.entries.length > 1) this.element.append(this.#makeDetails());
    this.element.append(this.#changes, this.#bar);
  }

  #makeDetails() {
    const list = make('ul', { class: 'manifest', tabindex: '0', 'aria-label': `Files of ${this.#transfer.title}` });
    const details = make(
      'details',
      {
        class: 'details below',
        toggle: () => {
          if (this.#rows.length) return;
          this.#rows = manifestRows(this.#transfer.entries);
          list.replaceChildren(...this.#rows);
          this.#markRows();
        },
      },
      make('summary', { text: plural(this.#transfer.files, 'file') }),
      list,
    );
    this.#details = details;
    return details;
  }

  /** Changed names and left-out entries, shown as soon as they are known. */
  #tellChanges() {
    const { renamed, leftOut, leftOutThere, title } = this.#transfer;
    const count = renamed.length + leftOut.length + leftOutThere;
    if (count === this.#told) return;
    this.#told = count;
    const rows = changeRows(this.#transfer);
    this.#changes.hidden = rows.length === 0;
    this.#changes.replaceChildren(
      make('summary', { text: changesTitle(this.#transfer) }),
      make('ul', { class: 'manifest', tabindex: '0', 'aria-label': `Changes to ${title}` }, ...rows),
    );
  }

  update() {
    this.#tellChanges();
    const { state, bytes, bytesDone } = this.#transfer;
    setText(this.#facts, this.#factsText());
    this.#bar.value = state === 'done' || !bytes ? Number(state === 'done') : bytesDone / bytes;
    this.#bar.hidden = state !== 'running';
    if (this.#details?.open) this.#markRows();
    // The number of saved files grows within one state, so the buttons depend on it as well.
    const { direction } = this.#transfer;
    const saved = direction === 'in' ? /** @type {Incoming} */ (this.#transfer).saved.length : 0;
    const appearance = `${state} ${state === 'done' && saved > 0}`;
    if (appearance === this.#state) return;
    this.#state = appearance;
    this.element.dataset.state = state;
    const picture = state === 'done' ? 'check' : state === 'failed' ? 'alert' : direction === 'in' ? 'down' : 'up';
    this.#kind.replaceChildren(icon(picture));
    const focused = this.#buttons.contains(document.activeElement);
    this.#buttons.replaceChildren(...this.#makeButtons());
    if (focused) this.#buttons.querySelector('button')?.focus();
  }

  #factsText() {
    const { state, direction, bytes, bytesDone, files, filesDone, rate, secondsLeft, problem } = this.#transfer;
    const size = formatBytes(bytes);
    if (state === 'failed') return problem?.sentence ?? 'The transfer failed.';
    if (state === 'offered') {
      return joinFacts(size, direction === 'in' ? 'waiting for your answer' : `waiting for ${this.#name} to accept`);
    }
    if (state === 'done') {
      return joinFacts(size, direction === 'in' ? 'received and verified' : 'delivered and verified');
    }
    return joinFacts(
      `${formatBytes(bytesDone)} of ${size}`,
      rate ? formatRate(rate) : '',
      secondsLeft === null ? '' : `${formatDuration(secondsLeft)} left`,
      files > 1 ? `${filesDone.toLocaleString('en')} of ${plural(files, 'file')}` : '',
    );
  }

  /** @returns {HTMLElement[]} */
  #makeButtons() {
    const transfer = this.#transfer;
    const { title, state, direction } = transfer;
    const cross = (/** @type {string} */ label, /** @type {() => void} */ click) =>
      make(
        'button',
        { type: 'button', class: 'button quiet square', 'aria-label': `${label} ${title}`, title: label, click },
        icon('close'),
      );
    const word = (/** @type {string} */ label, /** @type {() => void} */ click, picture = '') =>
      make(
        'button',
        { type: 'button', class: 'button small', click },
        ...(picture ? [icon(picture)] : []),
        label,
        make('span', { class: 'sr', text: ` ${title}` }),
      );
    if (state === 'running') return [cross('Cancel', () => transfer.cancel())];
    if (state === 'offered') {
      if (direction === 'out') return [cross('Cancel', () => transfer.cancel())];
      return [word('Answer', () => this.#actions.answer(/** @type {Incoming} */ (transfer)))];
    }
    if (direction === 'in') {
      const incoming = /** @type {Incoming} */ (transfer);
      const dismiss = cross('Remove', () => {
        this.#remove();
        this.#actions.release(incoming);
      });
      if (state === 'failed') {
        return [
          word('Dismiss', () => {
            this.#remove();
            this.#actions.release(incoming);
          }),
        ];
      }
      const save = word('Save', () => this.#actions.save(incoming), 'save');
      return incoming.saved.length ? [save, dismiss] : [dismiss];
    }
    const { resend } = this.#actions;
    if (state === 'failed' && resend) {
      return [
        word('Send again', () => {
          this.#remove();
          resend(transfer);
        }),
      ];
    }
    return [cross('Remove', this.#remove)];
  }

  #markRows() {
    const { state, entries, current } = this.#transfer;
    const passed = state === 'done' ? entries.length : (current ?? 0);
    this.#rows.slice(0, MOST_ROWS).forEach((row, i) => {
      const done = i < passed;
      if (row.dataset.done === String(done)) return;
      row.dataset.done = String(done);
      const mark = row.querySelector('.state');
      mark?.replaceChildren(...(done ? [icon('check'), make('span', { class: 'sr', text: 'done' })] : []));
    });
  }
}
