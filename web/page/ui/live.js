// @ts-check
// Short announcements: to a screen reader, and in a message at the bottom of the page.

import { byId } from './dom.js';

const SHOWN_FOR = 2600; // ms

/** Announces events that need no answer. One instance per page. */
export class Announcer {
  #live = byId('live');
  #toast = byId('toast');
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * Announces a sentence to assistive technology.
   *
   * @param {string} sentence
   */
  say(sentence) {
    // Without it, a repeated sentence would be no change, and would not be spoken.
    this.#live.textContent = this.#live.textContent === sentence ? `${sentence}\u00a0` : sentence;
  }

  /**
   * Announces a sentence and shows it for a moment.
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
 * Copies a text, also without the clipboard interface (plain http).
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
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- the clipboard may be absent
    const copied = document.execCommand('copy');
    field.remove();
    return copied;
  }
}
