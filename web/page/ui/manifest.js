// @ts-check
// The lines of an offer: the name and size of each file. A transfer may have tens of thousands.

import { make } from './dom.js';
import { formatBytes, joinFacts, plural } from './format.js';
import { showName } from '../../client/text.js';

/** @typedef {import('../../client/transfer/protocol/messages.js').Entry} Entry */
/** @typedef {import('../../client/transfer/engine/base.js').Transfer} Transfer */
/** @typedef {import('../../client/transfer/protocol/notable.js').Notable} Notable */

/** Maximum number of drawn rows; more would make the page slow. */
export const MOST_ROWS = 400;

/**
 * The lines of an offer, hidden files and programs first.
 *
 * @param {readonly Entry[]} entries
 * @param {{first: readonly Notable[], total: number}} notable
 * @returns {HTMLElement[]}
 */
export function offerRows(entries, { first, total }) {
  const named = new Map(first.map(({ path }) => [path, '']));
  for (const entry of entries) if (named.has(entry.path)) named.set(entry.path, sizeText(entry));
  const rows = first.map(({ path, hidden, executable }) => {
    const facts = joinFacts(hidden ? 'hidden' : '', executable ? 'program' : '', named.get(path) ?? '');
    return make(
      'li',
      { class: 'notable' },
      make('bdi', { text: showName(path) }),
      make('span', { class: 'size', text: facts }),
    );
  });
  const more = total - first.length;
  if (more > 0) rows.push(make('li', { class: 'notable', text: `and ${plural(more, 'more', 'more')} of that kind` }));
  const rest = entries.filter(({ path }) => !named.has(path));
  return [...rows, ...manifestRows(rest, commonRoot(entries))];
}

/**
 * Counts the differences from the offer or the choice: changed names and left-out entries.
 *
 * @param {Pick<Transfer, 'renamed' | 'leftOut' | 'leftOutThere'>} transfer
 * @returns {string} empty without differences
 */
export function changesTitle({ renamed, leftOut, leftOutThere }) {
  const left = leftOut.length + leftOutThere;
  const title = [
    renamed.length ? `${plural(renamed.length, 'name was', 'names were')} changed` : '',
    left ? `${plural(left, 'file or folder was', 'files or folders were')} left out` : '',
  ];
  return title.filter(Boolean).join(', ');
}

/**
 * The lines of these differences.
 *
 * @param {Pick<Transfer, 'renamed' | 'leftOut' | 'leftOutThere'>} transfer
 * @returns {HTMLElement[]}
 */
export function changeRows({ renamed, leftOut, leftOutThere }) {
  const lines = [
    ...renamed.map(({ from, to }) => [make('bdi', { text: showName(from) }), ' is now ', make('bdi', { text: showName(to) })]),
    ...leftOut.map(({ path, reason }) => [make('bdi', { text: showName(path) }), ` ${showName(reason)}`]),
  ];
  const rows = lines.slice(0, MOST_ROWS).map((line) => make('li', {}, make('p', {}, ...line)));
  const more = lines.length - rows.length;
  if (more > 0) rows.push(make('li', { class: 'muted', text: `and ${plural(more, 'more', 'more')}` }));
  if (leftOutThere > 0) {
    const files = plural(leftOutThere, 'file or folder', 'files or folders');
    rows.push(make('li', { text: `The other side left out ${files}` }));
  }
  return rows;
}

/**
 * @param {readonly Entry[]} entries
 * @param {string} [root] what all paths begin with, left out
 * @returns {HTMLElement[]}
 */
export function manifestRows(entries, root = commonRoot(entries)) {
  const rows = entries.slice(0, MOST_ROWS).map((entry) => {
    const path = entry.path.slice(root.length) || entry.path;
    return make(
      'li',
      {},
      make('bdi', { text: showName(entry.kind === 'dir' ? `${path}/` : path) }),
      make('span', { class: 'size', text: sizeText(entry) }),
      make('span', { class: 'state' }),
    );
  });
  const rest = entries.length - rows.length;
  if (rest > 0) rows.push(make('li', { class: 'muted', text: `and ${plural(rest, 'more', 'more')}` }));
  return rows;
}

/**
 * The folder of all entries, with its `/`: the title names it already.
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
