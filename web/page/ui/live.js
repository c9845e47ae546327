// @ts-check
// Short announcements: to a screen reader, and in a message at the bottom of the page.

import { byId } from './dom.js';

const SHOWN_FOR = 2600; // ms

/** Says things that need no answer. One for the page. */
export class Announcer {
  #live = byId('live');
  #toast = byId('toast');
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * Speaks a sentence to assistive technology.
   *
   * @param {string} sentence
   */
  say(sentence) {
    // The same sentence twice would not be a change, and not be spoken the second time.
    this.#live.textContent = this.#live.textContent === sentence ? `${sentence}\u00a0` : sentence;
  }

  /**
   * Speaks a sentence and shows it for a moment.
   *
   * @param {string} sentence
   */
  show(sentence) {
    this.say(sentence);
    this.#toast.textContent = sentence;
    this.#toast.classList.add('shown');
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#toast.classList.remove('shown'), SHOWN_FOR);
  }
}

/**
 * Copies a text, also where the clipboard interface is missing (plain http).
 *
 * @param {string} text
 * @returns {Promise<boolean>} whether it worked
 */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = document.createElement('textarea');
    field.value = text;
    field.className = 'sr';
    document.body.append(field);
    field.select();
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- where the clipboard is not allowed
    const copied = document.execCommand('copy');
    field.remove();
    return copied;
  }
}
