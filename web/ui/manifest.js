// @ts-check
// The lines of an offer: each file's name and size. A transfer may have tens of thousands.

import { make } from './dom.js';
import { displayName, formatBytes, plural } from './format.js';

/** @typedef {import('../link.js').Entry} Entry */

/** Rows that are drawn; more would make the page slow and nobody the wiser. */
export const MOST_ROWS = 400;

/**
 * @param {readonly Entry[]} entries
 * @returns {HTMLElement[]}
 */
export function manifestRows(entries) {
  const root = commonRoot(entries);
  const rows = entries.slice(0, MOST_ROWS).map((entry) => {
    const path = entry.path.slice(root.length) || entry.path;
    return make(
      'li',
      {},
      make('bdi', { text: displayName(entry.kind === 'dir' ? `${path}/` : path) }),
      make('span', { class: 'size', text: sizeText(entry) }),
      make('span', { class: 'state' }),
    );
  });
  const rest = entries.length - rows.length;
  if (rest > 0) rows.push(make('li', { class: 'muted', text: `and ${plural(rest, 'more', 'more')}` }));
  return rows;
}

/**
 * The folder that everything is in, with its `/`: the title has said it already.
 *
 * @param {readonly Entry[]} entries
 */
function commonRoot(entries) {
  const root = entries[0]?.path.split('/', 1)[0] + '/';
  return entries.length > 1 && entries.every(({ path }) => path.startsWith(root)) ? root : '';
}

/** @param {Entry} entry */
function sizeText(entry) {
  if (entry.kind === 'dir') return 'folder';
  if (entry.kind === 'link') return 'link';
  return formatBytes(entry.size ?? 0);
}
