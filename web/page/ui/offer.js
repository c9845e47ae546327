// @ts-check
// The question whether to accept offered files.

import { byId, setText } from './dom.js';
import { atStart, formatBytes, plural } from './format.js';
import { showName } from '../../client/text.js';
import { offerRows } from './manifest.js';

/** @typedef {import('../../client/transfer/engine/base.js').Incoming} Incoming */

/**
 * Time during which a new dialog ignores Accept, in ms: a click may be meant for earlier content.
 */
const PAUSE = 350;

/** One dialog per page; further offers wait for their turn. */
export class OfferDialog {
  #dialog = /** @type {HTMLDialogElement} */ (byId('offer'));
  #accept = /** @type {HTMLButtonElement} */ (byId('offer-accept'));
  #problem = byId('offer-problem');
  /** @type {Incoming[]} */
  #waiting = [];
  /** @type {Incoming | null} */
  #shown = null;
  #name = '';
  #pause = 0;
  #before = /** @type {Element | null} */ (null);

  constructor() {
    this.#accept.addEventListener('click', () => void this.#take());
    byId('offer-decline').addEventListener('click', () => {
      this.#shown?.decline();
      this.#dialog.close();
    });
    // Escape closes the dialog without an answer; the list of transfers keeps the offer.
    this.#dialog.addEventListener('close', () => this.#closed());
  }

  /**
   * @param {Incoming} offer
   * @param {string} name of the other side
   */
  ask(offer, name) {
    this.#name = name;
    if (this.#shown === offer || this.#waiting.includes(offer)) return;
    this.#waiting.push(offer);
    if (!this.#shown) this.#next();
  }

  /**
   * Closes the question: the offer was withdrawn, or the connection has ended.
   *
   * @param {Incoming} offer
   */
  withdraw(offer) {
    this.#waiting = this.#waiting.filter((other) => other !== offer);
    if (this.#shown === offer) this.#dialog.close();
  }

  withdrawAll() {
    this.#waiting = [];
    if (this.#shown) this.#dialog.close();
  }

  #next() {
    const offer = this.#waiting.shift();
    if (!offer) return;
    this.#shown = offer;
    const what = offer.files === 1 ? 'a file' : offer.files === 0 ? 'a folder' : plural(offer.files, 'file');
    setText(byId('offer-title'), `${atStart(this.#name)} wants to send you ${what}`);
    setText(byId('offer-summary'), summary(offer));
    byId('offer-notable').hidden = offer.notable.total === 0;
    byId('offer-list').replaceChildren(...offerRows(offer.entries, offer.notable));
    const notice = byId('offer-notice');
    notice.hidden = !offer.notice;
    setText(notice, offer.notice ?? '');
    this.#say('');
    this.#setReady(false);
    clearTimeout(this.#pause);
    this.#pause = setTimeout(() => this.#setReady(true), PAUSE);
    this.#before = document.activeElement;
    this.#dialog.showModal();
    // The focus is not on a button: a person who is typing must not answer by accident.
    byId('offer-title').focus();
  }

  async #take() {
    const offer = this.#shown;
    if (!offer || this.#accept.ariaDisabled === 'true') return;
    this.#setReady(false);
    try {
      await offer.accept();
      if (this.#shown === offer) this.#dialog.close();
    } catch (error) {
      this.#say(error instanceof Error ? error.message : String(error));
      this.#setReady(true);
    }
  }

  /**
   * The button is not `disabled`, so that Tab reaches it.
   *
   * @param {boolean} ready whether a yes is taken now
   */
  #setReady(ready) {
    this.#accept.ariaDisabled = String(!ready);
  }

  #closed() {
    this.#shown = null;
    if (this.#before instanceof HTMLElement) this.#before.focus();
    this.#before = null;
    this.#next();
  }

  /** @param {string} sentence */
  #say(sentence) {
    this.#problem.hidden = !sentence;
    setText(this.#problem, sentence);
  }
}

/** @param {Incoming} offer */
function summary(offer) {
  const size = formatBytes(offer.bytes);
  if (offer.files === 1 && offer.form === 'files') return `${size}. It goes to your downloads.`;
  if (offer.form === 'zip') return `${size}, saved as one archive, ${showName(offer.title)}.zip.`;
  return `${size} in all. They go to your downloads.`;
}
