// @ts-check
// The first view: make a code, or type one, with suggestions for its words.

import { Code, complete, suggest } from '../../client/security/codes.js';
import { serverOf, unwrap } from '../../client/security/pasted.js';
import { byId, make, setText } from './dom.js';

const SUGGESTIONS = 4;
const USUAL = 'Spaces, capitals and a pasted link are fine.';
/** Matches the beginning of a code; a link or a command begins differently. */
const CODE = /^[\s"'“‘]*\d+\b/;

/** The hints about a code during typing. */
export class StartView {
  #field = /** @type {HTMLInputElement} */ (byId('code'));
  #hint = byId('code-hint');
  #words = byId('code-words');
  #makeButton = /** @type {HTMLButtonElement} */ (byId('make'));

  /**
   * @param {{make: () => void, join: (code: string, server: URL | null) => void}} actions `server`:
   *   the server that was named with the code, if any
   */
  constructor({ make: makeCode, join }) {
    this.#makeButton.addEventListener('click', makeCode);
    this.#field.addEventListener('input', () => this.#help());
    byId('join').addEventListener('submit', (event) => {
      event.preventDefault();
      const parsed = this.#parsed();
      if (parsed) join(parsed.code, parsed.server);
    });
  }

  /**
   * @param {{code?: string, notice?: string}} [options] `code` to correct, and why we are here again
   */
  show({ code = '', notice = '' } = {}) {
    this.#field.value = code;
    this.#makeButton.disabled = false;
    this.#help();
    const line = byId('notice');
    line.hidden = !notice;
    setText(line, notice);
  }

  /** Disables the button while a code is requested. */
  busy() {
    this.#makeButton.disabled = true;
  }

  focusField() {
    this.#field.focus();
    this.#field.select();
  }

  /** The code and the server that was named with it; null after showing an error. */
  #parsed() {
    const text = completed(this.#field.value);
    try {
      const code = String(Code.parse(text));
      const server = serverOf(text);
      this.#field.value = code;
      this.#say('');
      return { code, server };
    } catch (error) {
      this.#say(this.#field.value.trim() ? sentenceOf(error) : 'Type the code first', 'error');
      this.#field.focus();
      return null;
    }
  }

  #help() {
    const { value } = this.#field;
    this.#words.hidden = true;
    this.#say('');
    const words = typedWords(value);
    if (words.length < 2 || !CODE.test(value)) return;
    const finished = /[\s\-+]$/.test(value);
    const unknown = words.slice(1).find((word) => complete(word).length === 0);
    if (unknown) {
      const meant = suggest(unknown);
      this.#say(`“${unknown}” is not a word of any code${meant ? '; did you mean this?' : ''}`, 'error');
      if (meant) this.#suggest(unknown, [meant]);
      return;
    }
    const last = words[words.length - 1];
    if (finished || last.length < 2) return;
    const fitting = complete(last);
    if (fitting.includes(last)) return;
    this.#hint.hidden = true;
    this.#suggest(last, fitting.slice(0, SUGGESTIONS));
  }

  /**
   * @param {string} typed
   * @param {readonly string[]} words to choose from in its place
   */
  #suggest(typed, words) {
    this.#words.hidden = false;
    this.#words.replaceChildren(
      ...words.map((word) =>
        make('button', { type: 'button', class: 'word', text: word, click: () => this.#take(typed, word) }),
      ),
    );
  }

  /**
   * @param {string} typed
   * @param {string} word in its place
   */
  #take(typed, word) {
    const { value } = this.#field;
    const at = value.toLowerCase().lastIndexOf(typed);
    this.#field.value = value.slice(0, at) + word + value.slice(at + typed.length);
    this.#field.focus();
    this.#help();
  }

  /**
   * @param {string} sentence
   * @param {'error' | ''} [kind]
   */
  #say(sentence, kind = '') {
    setText(this.#hint, sentence || USUAL);
    this.#hint.hidden = false;
    this.#hint.dataset.kind = kind;
    this.#field.setAttribute('aria-invalid', String(kind === 'error'));
  }
}

/** @param {string} text */
const typedWords = (text) => text.trim().toLowerCase().split(/[\s\-+]+/).filter(Boolean);

/**
 * Completes each word whose beginning is unique, so that `7 gui oce` is enough.
 *
 * @param {string} text
 */
function completed(text) {
  if (!CODE.test(text) || unwrap(text).server !== null) return text;
  const [number, ...words] = typedWords(text);
  if (number === undefined) return text;
  return [
    number,
    ...words.map((word) => {
      const fitting = complete(word);
      return fitting.length === 1 && word.length >= 3 ? fitting[0] : word;
    }),
  ].join('-');
}

/** @param {unknown} error */
const sentenceOf = (error) => (error instanceof Error ? error.message : String(error));
