// @ts-check
// The view of a problem before a connection: one sentence, one button.

import { byId, setText } from './dom.js';

/** The view of a failure. */
export class FailureView {
  #button = byId('failure-action');
  #link = /** @type {HTMLAnchorElement} */ (byId('failure-link'));
  /** @type {() => void} */
  #action = () => {};

  constructor() {
    this.#button.addEventListener('click', () => this.#action());
  }

  /**
   * @param {object} what
   * @param {string} what.sentence
   * @param {string} [what.more] a second, quieter sentence
   * @param {string} what.label of the button
   * @param {() => void} [what.action] of the button
   * @param {string} [what.href] where a link with that label leads instead
   * @param {string} [what.back] label of the button beside that link
   */
  show({ sentence, more = '', label, action, href, back = '' }) {
    setText(byId('failure-title'), sentence);
    setText(byId('failure-more'), more);
    byId('failure-more').hidden = !more;
    this.#link.hidden = !href;
    this.#button.hidden = Boolean(href) && !back;
    this.#button.classList.toggle('primary', !href);
    if (href) {
      this.#link.href = href;
      setText(this.#link, label);
    }
    setText(this.#button, href ? back : label);
    this.#action = action ?? (() => {});
  }
}
