// @ts-check
// The conversation: messages with names and delivery marks, and the field for a new one.

import { byId, icon, make, setText } from './dom.js';
import { fitText } from '../../client/text.js';

const URLS = /\bhttps?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]]/g;
const NEAR_END = 80; // pixels
/** Maximum number of kept messages, and of their characters: the peer may send without end. */
const MOST_LINES = 1000;
const MOST_TEXT = 2_000_000;

/** The chat of one link. */
export class ChatView {
  #log = byId('log');
  #lines = byId('lines');
  #field = /** @type {HTMLTextAreaElement} */ (byId('message'));
  #send = /** @type {HTMLButtonElement} */ (byId('send'));
  #title = byId('chat-title');
  #lastFrom = '';
  #size = 0;
  /** @type {Map<number, HTMLElement>} */
  #marks = new Map();

  /** @param {{send: (text: string) => number | null}} actions the message's id, or null if it failed */
  constructor({ send }) {
    const submit = () => {
      const text = this.#field.value.trim();
      if (!text) return;
      const id = send(text);
      if (id === null) return;
      this.#add({ text, at: new Date(), from: 'You', mine: true, id });
      this.#field.value = '';
      this.#grow();
    };
    byId('composer').addEventListener('submit', (event) => {
      event.preventDefault();
      submit();
      this.#field.focus();
    });
    this.#field.addEventListener('input', () => this.#grow());
    this.#field.addEventListener('keydown', (event) => {
      // With `isComposing`, Enter selects a word of an input method.
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      submit();
    });
  }

  /** @param {string} name of the other side */
  start(name) {
    this.#lines.replaceChildren();
    this.#size = 0;
    this.#marks.clear();
    this.#lastFrom = '';
    this.#lines.dataset.empty = `Messages to ${name} travel over the same direct connection.`;
    setText(this.#title, `Chat with ${name}`);
    this.#setEnabled(true);
  }

  end() {
    this.#setEnabled(false);
    for (const [id, mark] of this.#marks) this.#mark(mark, 'alert', 'Not delivered', id);
  }

  /**
   * @param {string} name
   * @param {string} text
   * @param {Date} at
   */
  receive(name, text, at) {
    this.#add({ text, at, from: name, mine: false });
  }

  /** @param {number} id */
  delivered(id) {
    const mark = this.#marks.get(id);
    if (mark) this.#mark(mark, 'checks', 'Delivered', id);
  }

  /** Whether there are no messages. */
  get isEmpty() {
    return this.#lines.childElementCount === 0;
  }

  focus() {
    this.#field.focus();
  }

  /**
   * @param {HTMLElement} mark
   * @param {string} picture
   * @param {string} text
   * @param {number} id
   */
  #mark(mark, picture, text, id) {
    mark.replaceChildren(text, icon(picture));
    mark.dataset.state = text.toLowerCase();
    this.#marks.delete(id);
  }

  /** @param {{text: string, at: Date, from: string, mine: boolean, id?: number}} message */
  #add({ text, at, from, mine, id }) {
    const log = this.#log;
    const follow = mine || log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_END;
    const line = make('li', { class: mine ? 'line mine' : 'line' });
    const time = at.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
    const who = make('p', { class: from === this.#lastFrom ? 'sr' : 'from', text: `${from}, ${time}` });
    line.append(who, make('p', { class: 'text', dir: 'auto' }, ...withLinks(fitText(text))));
    if (id !== undefined) {
      const mark = make('p', { class: 'mark-line' }, 'Sent', icon('check'));
      this.#marks.set(id, mark);
      line.append(mark);
    }
    this.#lastFrom = from;
    this.#lines.append(line);
    this.#size += text.length;
    this.#forget();
    if (follow) log.scrollTop = log.scrollHeight;
  }

  /** Removes the oldest messages when there are too many. */
  #forget() {
    while (this.#lines.childElementCount > MOST_LINES || this.#size > MOST_TEXT) {
      const oldest = this.#lines.firstElementChild;
      if (oldest === null) break;
      this.#size -= oldest.querySelector('.text')?.textContent.length ?? 0;
      oldest.remove();
    }
  }

  #grow() {
    this.#field.style.height = 'auto';
    this.#field.style.height = `${this.#field.scrollHeight + 2}px`;
  }

  /** @param {boolean} enabled */
  #setEnabled(enabled) {
    this.#field.disabled = !enabled;
    this.#send.disabled = !enabled;
    this.#field.placeholder = enabled ? 'Write a message' : 'The connection is over';
  }
}

/**
 * Converts a text to nodes, with web addresses as links.
 *
 * @param {string} text
 * @returns {(string | HTMLElement)[]}
 */
function withLinks(text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(URLS)) {
    parts.push(text.slice(end, match.index));
    const [url] = match;
    parts.push(make('a', { href: url, target: '_blank', rel: 'noopener noreferrer', text: url }));
    end = match.index + url.length;
  }
  parts.push(text.slice(end));
  return parts.filter(Boolean);
}
