// @ts-check
// Narrow screens show either the files or the chat of a connection; what is said meanwhile counts.

import { byId } from './dom.js';
import { plural } from './format.js';

/** @typedef {'files' | 'chat'} Panel */

const PANELS = /** @type {const} */ (['files', 'chat']);

/** The visible one of the two panels, and the number of unread messages. */
export class Panels {
  /** Messages that came while the chat could not be seen. */
  unread = 0;
  #changed;

  /** @param {() => void} changed told when `unread` is another number */
  constructor(changed) {
    this.#changed = changed;
    for (const panel of PANELS) byId(`show-${panel}`).addEventListener('click', () => this.show(panel));
    document.addEventListener('visibilitychange', () => this.#count(this.unread));
  }

  /** @param {Panel} shown */
  show(shown) {
    document.body.dataset.panel = shown;
    for (const panel of PANELS) byId(`show-${panel}`).setAttribute('aria-pressed', String(panel === shown));
    this.#count(this.unread);
  }

  /** A message came. */
  heard() {
    this.#count(this.unread + 1);
  }

  /** Whether the chat is on the screen. */
  get chatIsShown() {
    return byId('chat').offsetParent !== null;
  }

  /** @param {number} count */
  #count(count) {
    this.unread = !document.hidden && this.chatIsShown ? 0 : count;
    const badge = byId('unread');
    badge.hidden = this.unread === 0;
    badge.textContent = this.unread ? String(this.unread) : '';
    badge.setAttribute('aria-label', plural(this.unread, 'unread message'));
    this.#changed();
  }
}
