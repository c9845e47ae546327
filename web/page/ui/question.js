// @ts-check
// A question before data is lost.

import { byId, setText } from './dom.js';

/** One dialog per page. */
export class Question {
  #dialog = /** @type {HTMLDialogElement} */ (byId('question'));
  /** @type {(yes: boolean) => void} */
  #answer = () => {};

  constructor() {
    byId('question-yes').addEventListener('click', () => this.#close(true));
    byId('question-no').addEventListener('click', () => this.#close(false));
    this.#dialog.addEventListener('close', () => this.#answer(false)); // Escape
  }

  /**
   * @param {object} what
   * @param {string} what.title the question
   * @param {string} what.more what would be lost
   * @param {string} what.yes the label of the button that does it
   * @returns {Promise<boolean>}
   */
  ask({ title, more, yes }) {
    this.#answer(false);
    setText(byId('question-title'), title);
    setText(byId('question-more'), more);
    setText(byId('question-yes'), yes);
    if (!this.#dialog.open) this.#dialog.showModal();
    byId('question-no').focus();
    return new Promise((resolve) => (this.#answer = resolve));
  }

  /** @param {boolean} yes */
  #close(yes) {
    this.#answer(yes);
    this.#dialog.close();
  }
}
