// @ts-check
// The head of a connection: the peer, the path, and the words to compare.

import { byId, make, setText } from './dom.js';
import { NAMELESS } from './format.js';
import { describePath } from './path.js';

/** @typedef {import('../../client/rtc/connection.js').NetworkPath} NetworkPath */
/** @typedef {import('../../client/problems.js').Problem} Problem */

/** The view of the connected peer. */
export class SessionView {
  #leave = byId('leave');
  #again = byId('again');
  #name = '';

  /** @param {{leave: () => void, again: () => void}} actions */
  constructor({ leave, again }) {
    this.#leave.addEventListener('click', leave);
    this.#again.addEventListener('click', again);
  }

  /**
   * @param {object} link
   * @param {string} link.name of the other side
   * @param {readonly string[] | null} link.sas
   * @param {boolean} link.authenticated
   */
  show({ name, sas, authenticated }) {
    this.#name = name || NAMELESS;
    setText(byId('session-title'), `Connected to ${this.#name}`);
    byId('verify').hidden = !sas;
    byId('sas').replaceChildren(...(sas ?? []).map((word) => make('li', { text: word })));
    setText(
      byId('sas-help'),
      authenticated
        ? `If ${this.#name} sees the same four words, nobody is in between.`
        : `Not verified yet: read these words to each other. If they differ, somebody is in between.`,
    );
    setText(byId('path'), 'Connected');
    byId('path-line').hidden = false;
    byId('ended').hidden = true;
    this.#leave.hidden = false;
    this.#again.hidden = true;
  }

  /** @param {NetworkPath | null} path */
  showPath(path) {
    if (!path) return;
    const words = describePath(path);
    byId('path-icon').className = `icon ${words.icon}`;
    setText(byId('path'), words.text);
  }

  /**
   * Shows that the connection has ended; files and messages stay on the page.
   *
   * @param {Problem} problem why
   * @param {string} label of the one button
   */
  end({ code, sentence }, label) {
    setText(byId('session-title'), `Disconnected from ${this.#name}`);
    byId('verify').hidden = true;
    const ended = byId('ended');
    ended.hidden = false;
    ended.dataset.code = code;
    setText(ended, sentence);
    byId('path-line').hidden = true;
    this.#leave.hidden = true;
    this.#again.hidden = false;
    setText(this.#again, label);
    this.#again.focus({ preventScroll: true });
  }

  /** The peer's name on this page. */
  get name() {
    return this.#name;
  }
}
