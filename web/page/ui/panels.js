// @ts-check
// Narrow screens show either the files or the chat of a connection, and count unread messages.

import { byId } from './dom.js';
import { plural } from './format.js';

/** @typedef {'files' | 'chat'} Panel */

const PANELS = /** @type {const} */ (['files', 'chat']);

/** The visible panel, and the number of unread messages. */
export class Panels {
  /** Number of messages that arrived while the chat was hidden. */
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

  /** Counts a message. */
  heard() {
    this.#count(this.unread + 1);
  }

  /** Whether the chat is visible. */
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
