// @ts-check
// The choice of files to send, by button, drop or paste; and the queue of files that wait for a
// connection.

import { byId, icon, make, setText } from './dom.js';
import { formatBytes, joinFacts, plural } from './format.js';
import { nameElement } from './names.js';

/**
 * @typedef {object} Ready what the queue shows of something that is ready to be sent
 * @property {string} title
 * @property {number} files
 * @property {number} bytes
 */

/** The area that takes files. */
export class DropZone {
  #queue = byId('queue');
  #curtain = byId('curtain');
  #depth = 0;
  #note = '';
  #open = true;

  /**
   * @param {{send: (items: FileList | DataTransfer | File[]) => void}} actions
   *   `send` must read a `DataTransfer` before it returns: the browser empties it afterwards
   */
  constructor({ send }) {
    for (const kind of ['files', 'folder']) {
      const input = /** @type {HTMLInputElement} */ (byId(`pick-${kind}`));
      byId(`choose-${kind}`).addEventListener('click', () => input.click());
      input.addEventListener('change', () => {
        if (input.files?.length) send(Array.from(input.files));
        input.value = ''; // lets the same file be chosen again
      });
    }
    this.#listenForDrops(send);
    document.addEventListener('paste', (event) => {
      const files = event.clipboardData?.files;
      if (!this.#open || !files?.length) return;
      event.preventDefault();
      send(Array.from(files));
    });
  }

  /** @param {(items: DataTransfer) => void} send */
  #listenForDrops(send) {
    const carriesFiles = (/** @type {DragEvent} */ event) =>
      this.#open && Boolean(event.dataTransfer?.types.includes('Files'));
    document.addEventListener('dragenter', (event) => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      this.#depth++;
      this.#curtain.hidden = false;
    });
    document.addEventListener('dragover', (event) => {
      if (!carriesFiles(event) || !event.dataTransfer) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = 'copy';
    });
    document.addEventListener('dragleave', (event) => {
      if (!carriesFiles(event)) return;
      this.#depth = Math.max(0, this.#depth - 1);
      if (this.#depth === 0) this.#curtain.hidden = true;
    });
    document.addEventListener('drop', (event) => {
      this.#depth = 0;
      this.#curtain.hidden = true;
      if (!carriesFiles(event) || !event.dataTransfer) return;
      event.preventDefault();
      send(event.dataTransfer);
    });
  }

  /**
   * Tells what happens to the chosen files.
   *
   * @param {string} note
   * @param {boolean} open whether anything can be put in
   */
  explain(note, open = true) {
    this.#open = open;
    this.#note = note;
    byId('drop').hidden = !open;
    setText(byId('drop-note'), note);
    this.#fit();
  }

  #fit() {
    const filled = this.#queue.childElementCount > 0;
    this.#queue.hidden = !filled;
    byId('drop').classList.toggle('small', filled || !this.#note);
  }

  /**
   * @param {Ready} ready
   * @param {() => void} remove
   * @returns {{done: () => void}} removes the line
   */
  enqueue(ready, remove) {
    const count = plural(ready.files, 'file');
    const line = make(
      'li',
      { class: 'card item' },
      make('span', { class: 'kind' }, icon(ready.files === 1 ? 'file' : 'files')),
      make(
        'div',
        {},
        nameElement(ready.title, 'what'),
        make('p', {
          class: 'facts',
          text: joinFacts(count === ready.title || ready.files === 1 ? '' : count, formatBytes(ready.bytes), 'ready to send'),
        }),
      ),
      make(
        'button',
        {
          type: 'button',
          class: 'button quiet square',
          'aria-label': `Remove ${ready.title}`,
          title: 'Remove',
          click: () => {
            done();
            remove();
          },
        },
        icon('close'),
      ),
    );
    const done = () => {
      line.remove();
      this.#fit();
    };
    this.#queue.append(line);
    this.#fit();
    return { done };
  }
}
