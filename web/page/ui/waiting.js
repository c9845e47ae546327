// @ts-check
// The view of a code to pass on, and the view of a connection that is being set up.

import { encode, svgPath } from '../qr.js';
import { byId, setText } from './dom.js';
import { copyText } from './live.js';

/** @typedef {import('./live.js').Announcer} Announcer */

const QUIET = 4; // the quiet zone of a QR code, in modules

/** The view of a code that waits: the code, its link and its QR code. */
export class WaitingView {
  #announcer;
  #code = '';
  #link = '';
  #command = '';

  /**
   * @param {Announcer} announcer
   * @param {{cancel: () => void}} actions
   */
  constructor(announcer, { cancel }) {
    this.#announcer = announcer;
    byId('waiting-cancel').addEventListener('click', cancel);
    byId('copy-code').addEventListener('click', () => void this.#copy(this.#code, 'Code copied'));
    byId('copy-link').addEventListener('click', () => void this.#copy(this.#link, 'Link copied'));
    byId('copy-command').addEventListener('click', () => void this.#copy(this.#command, 'Command copied'));
    const share = byId('share-link');
    share.hidden = typeof navigator.share !== 'function';
    share.addEventListener('click', () => {
      // A cancel of the system's sheet rejects: no message.
      navigator.share({ title: 'Peerline', url: this.#link }).catch(() => {});
    });
  }

  /**
   * @param {string} code
   * @param {string} link
   */
  show(code, link) {
    this.#code = code;
    this.#link = link;
    this.#command = commandFor(link);
    setText(byId('code-shown'), code);
    setText(byId('site'), new URL(link).host);
    setText(byId('command'), this.#command);
    setText(byId('link'), link);
    byId('local-note').hidden = !/^(localhost|127\.[\d.]+|\[::1\])$/.test(new URL(link).hostname);
    this.#drawQr(link);
    setText(byId('waiting-text'), 'Waiting for the other side');
  }

  /** @param {string} link */
  #drawQr(link) {
    const svg = byId('qr');
    try {
      const code = encode(link);
      const side = code.size + 2 * QUIET;
      svg.setAttribute('viewBox', `0 0 ${side} ${side}`);
      byId('qr-path').setAttribute('d', svgPath(code, QUIET));
      svg.toggleAttribute('hidden', false);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      svg.toggleAttribute('hidden', true);
    }
  }

  /**
   * @param {string} text
   * @param {string} sentence
   */
  async #copy(text, sentence) {
    const copied = await copyText(text);
    this.#announcer.show(copied ? sentence : 'The browser did not allow copying');
  }
}

/**
 * The command that receives with a link. It omits the code, which all users of that machine could
 * read in the list of processes; the command asks for it.
 *
 * @param {string} link
 */
export function commandFor(link) {
  const server = link.replace(/\/?(#.*)?$/, '');
  const isPlain = /^[\w@%+=:,./-]*$/.test(server);
  return `peerline receive --server ${isPlain ? server : `'${server.replaceAll("'", String.raw`'\''`)}'`}`;
}

/** @typedef {'server' | 'code' | 'path'} Step */

const STEPS = /** @type {const} */ (['server', 'code', 'path']);

/** The steps of a connection that is being set up. */
export class JoiningView {
  /** @param {{cancel: () => void}} actions */
  constructor({ cancel }) {
    byId('joining-cancel').addEventListener('click', cancel);
  }

  /** @param {string} code the code being joined; empty on the side that made it */
  show(code) {
    setText(byId('joining-code'), code);
    this.step('server');
  }

  /** @param {Step} step the step that is under way */
  step(step) {
    const now = STEPS.indexOf(step);
    STEPS.forEach((name, i) => {
      const item = byId(`step-${name}`);
      item.dataset.state = i < now ? 'done' : i === now ? 'now' : '';
      if (i === now) item.setAttribute('aria-current', 'step');
      else item.removeAttribute('aria-current');
    });
  }
}
