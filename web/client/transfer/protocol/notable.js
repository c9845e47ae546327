// @ts-check
// Finds the entries of an offer that a person should see first: hidden files and programs. A
// machine. The rules are those of `peer/transfer/protocol/notes.py`; tests/vectors/names.json
// (`notable`) checks both.

/** @typedef {import('./messages.js').Entry} Entry */
/** @typedef {{path: string, hidden: boolean, executable: boolean}} Notable */
/** @typedef {{from: string, to: string}} Renamed a path as it was offered, and as it is saved */
/** @typedef {{path: string, reason: string}} LeftOut `reason` follows the path in a sentence */

/** Maximum number of entries that are kept by name. */
const MOST = 100;
/** Endings of files that a desktop may run when they are opened. */
const PROGRAMS = new Set(
  'app bat cmd com command cpl desktop exe hta jar js jse lnk msi pif ps1 reg scr sh vbe vbs wsf'.split(
    ' ',
  ),
);

/**
 * Selects the hidden and the executable entries, the hidden ones first, in order. A hidden folder
 * is named once, for all of its content.
 *
 * @param {readonly Entry[]} entries
 * @returns {{first: Notable[], total: number}} the entries that are kept by name, and the number of
 *   all
 */
export function notableEntries(entries) {
  /** @type {Notable[]} */
  const hidden = [];
  /** @type {Notable[]} */
  const programs = [];
  let folder = '';
  for (const entry of entries) {
    const note = notable(entry);
    if (note === null) continue;
    if (!note.hidden) {
      programs.push(note);
      continue;
    }
    const within = hiddenFolder(entry.kind === 'dir' ? `${entry.path}/` : entry.path);
    if (within !== '' && within === folder) continue;
    folder = within || folder;
    hidden.push(within ? { path: within, hidden: true, executable: false } : note);
  }
  const all = [...hidden, ...programs];
  return { first: all.slice(0, MOST), total: all.length };
}

/**
 * @param {Entry} entry
 * @returns {Notable | null}
 */
function notable({ path, kind, mode = 0 }) {
  const hidden = path.startsWith('.') || path.includes('/.');
  const ending = /\.([^.]*)$/.exec(path)?.[1].toLowerCase() ?? '';
  const executable = kind === 'file' && ((mode & 0o111) !== 0 || PROGRAMS.has(ending));
  return hidden || executable ? { path, hidden, executable } : null;
}

/**
 * The first hidden folder in the path of an entry, with its `/`.
 *
 * @param {string} path
 */
function hiddenFolder(path) {
  const parts = path.split('/');
  const depth = parts.findIndex((part, at) => part.startsWith('.') && at < parts.length - 1);
  return depth < 0 ? '' : `${parts.slice(0, depth + 1).join('/')}/`;
}
