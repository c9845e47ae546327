// @ts-check
// Decides which names of the peer may be saved, and how they are shown. A machine.
//
// The rules are those of `peer/transfer/protocol/names.py` and `plan.py`; tests/vectors/names.json
// checks both. Saved files may be copied to any system, so the names are always portable:
//
// - A path is refused that no honest sender offers: absolute, longer than 4096 bytes, with an empty
// part, `.` or `..`, or a duplicate.
// - In every other name the reserved characters of Windows, control and format characters, and
// blanks other than the space become `_`, as do trailing dots and spaces. Device names of Windows
// and the endings of Peerline's own files get a `_`. Long names are cut.
// - Names that a file system without case or Unicode normalisation cannot distinguish get numbers.
// - A link that leads outside of the sent files is left out.

import { showName } from '../../text.js';

/** @typedef {import('./messages.js').Entry} Entry */

export const MAX_PATH = 4096;
export const MAX_PATH_PART = 255;

/** A manifest may not be saved. */
export class NameError extends Error {
  /**
   * @param {string} path the entry's
   * @param {number} index the entry's
   * @param {string} reason the rest of a sentence that begins with the path
   */
  constructor(path, index, reason) {
    super(`${showName(path)} ${reason}.`);
    this.name = 'NameError';
    this.index = index;
    this.reason = reason;
  }
}

const encoder = new TextEncoder();
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const SOME_BAD =
  /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0]/u;
const RESERVED = /[\\:*?"<>|]/;
const DEVICES =
  /^(?:con|prn|aux|nul|clock\$|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])[ ]*(?:\..*)?$/isu;
const OWN = /\.peerline-[a-z]+$/iu;
const ODD_PART = /(?:^|(?<=\/))(\.{0,2})(?:\/|$)/;
/** Matches names that every system can hold, apart from device names and the length. */
const PLAIN = /^[A-Za-z0-9_][A-Za-z0-9_ ()+,-]*(?:\.[A-Za-z0-9_]+)?(?<! )$/;
/** Maximum number of folders that paths name or imply. */
const MAX_FOLDERS = 524288;

/**
 * Checks one entry by itself.
 *
 * @param {Entry} entry
 * @param {number} index
 * @throws {NameError} no honest sender offers such an entry
 */
export function checkEntry({ path }, index) {
  if (path.length * 3 > MAX_PATH && byteLength(path) > MAX_PATH)
    throw new NameError(path, index, `has a path of more than ${MAX_PATH} bytes`);
  const odd = ODD_PART.exec(path);
  if (odd === null) return;
  if (path.startsWith('/')) throw new NameError(path, index, 'has an absolute path');
  throw new NameError(path, index, `has the part '${odd[1]}' in its path`);
}

/**
 * The text of a path: as in Python, a surrogate (U+DC80 to U+DCFF) stands for each byte that is not
 * UTF-8.
 *
 * @param {string} path
 * @param {boolean} [escaped] whether `%E7` in it is a byte, and `%25` a per cent sign
 */
export function decodePath(path, escaped = false) {
  if (!escaped || !path.includes('%')) return path;
  /** @type {number[]} */
  const bytes = [];
  for (const piece of path.split(/(%(?:25|[89A-F][0-9A-F]))/)) {
    if (/^%(?:25|[89A-F][0-9A-F])$/.test(piece)) bytes.push(Number.parseInt(piece.slice(1), 16));
    else bytes.push(...encoder.encode(piece));
  }
  const data = Uint8Array.from(bytes);
  let text = '';
  for (let at = 0; at < data.length;) {
    const length = [1, 2, 3, 4].find((size) => isCharacter(data.subarray(at, at + size)));
    text += length
      ? strictDecoder.decode(data.subarray(at, at + length))
      : String.fromCharCode(0xdc00 + data[at]);
    at += length ?? 1;
  }
  return text;
}

/** @param {Uint8Array} bytes */
function isCharacter(bytes) {
  try {
    return [...strictDecoder.decode(bytes)].length === 1;
  } catch {
    return false;
  }
}

/**
 * @typedef {object} NamePlan
 * @property {string[]} paths the path of each entry, by index
 * @property {(string | null)[]} targets the target of each link, by index; null for one that is
 *   left out, and for files and folders
 * @property {{from: string, to: string}[]} renamed changed names, each folder once
 * @property {{path: string, reason: string}[]} leftOut links that lead outside
 */

const LONGEST_NUMBER = ' (4294967295)';

/** A folder of the plan: its names as offered, and as saved. */
class Folder {
  /** @type {Map<string, Folder>} */
  folders = new Map();
  /** Names of files and links. @type {Set<string>} */
  others = new Set();
  /** Names that differ from the offered ones. @type {Map<string, string>} */
  renames = new Map();
}

/**
 * Makes the names under which a whole manifest is saved.
 *
 * @param {readonly Entry[]} entries that `checkEntry` lets pass
 * @returns {NamePlan}
 * @throws {NameError} a path is a duplicate, or lies below a file, or there are too many folders
 */
export function planNames(entries) {
  const root = new Folder();
  let folders = 0;
  /**
   * @param {Folder} folder
   * @param {string} part
   * @param {number} index
   */
  const enter = (folder, part, index) => {
    let below = folder.folders.get(part);
    if (below === undefined) {
      folders += 1;
      if (folders > MAX_FOLDERS)
        throw new NameError(entries[index].path, index, 'exceeds the number of folders');
      below = new Folder();
      folder.folders.set(part, below);
    }
    return below;
  };
  const split = entries.map(({ path, escaped }) => decodePath(path, escaped).split('/'));
  split.forEach((parts, index) => {
    let folder = root;
    for (const part of parts.slice(0, -1)) folder = enter(folder, part, index);
    const name = parts[parts.length - 1];
    if (entries[index].kind === 'dir') {
      enter(folder, name, index);
    } else {
      if (folder.others.has(name)) throw new NameError(entries[index].path, index, 'is there twice');
      folder.others.add(name);
    }
  });
  /** @type {NamePlan} */
  const plan = { paths: [], targets: [], renamed: [], leftOut: [] };
  settle(root, '', '', plan.renamed);
  for (const [index, entry] of entries.entries()) {
    plan.paths.push(finalParts(root, split[index]).join('/'));
    if (entry.kind !== 'link') {
      plan.targets.push(null);
      continue;
    }
    const reason = linkProblem(entry, root);
    if (reason !== null) plan.leftOut.push({ path: entry.path, reason });
    plan.targets.push(reason === null ? finalTarget(root, entry, split[index]) : null);
  }
  return plan;
}

/**
 * Decides the names in a folder and in its subfolders.
 *
 * @param {Folder} top
 * @param {string} path as it was offered
 * @param {string} saved
 * @param {{from: string, to: string}[]} renamed
 */
function settle(top, path, saved, renamed) {
  const waiting = [{ folder: top, path, saved }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { folder } = next;
    /** @type {Set<string>} */
    const taken = new Set();
    /** @type {{name: string, wanted: string}[]} */
    const changed = [];
    /** @type {{name: string, wanted: string}[]} */
    const second = [];
    for (const name of [...folder.folders.keys(), ...folder.others]) {
      if (folder.others.has(name) && folder.folders.has(name))
        throw new NameError(next.path + name, 0, 'is there twice');
      const wanted = portablePart(name);
      const key = nameKey(wanted);
      if (wanted !== name) changed.push({ name, wanted });
      else if (taken.has(key)) second.push({ name, wanted });
      else taken.add(key);
    }
    /**
     * The last number of each group of names that share numbered forms: without it, a sender of
     * many such names could keep the page busy for hours. @type {Map<string, number>}
     */
    const numbers = new Map();
    /** @param {string} name */
    const isTaken = (name) => taken.has(nameKey(name));
    for (const { name, wanted } of [...changed, ...second]) {
      let free = wanted;
      if (isTaken(wanted)) {
        const isFolder = folder.folders.has(name);
        const key = numberKey(wanted, isFolder);
        const found = numberedName(wanted, isTaken, numbers.get(key) ?? 1, isFolder);
        numbers.set(key, found.number + 1);
        free = found.free;
      }
      taken.add(nameKey(free));
      folder.renames.set(name, free);
      renamed.push({ from: visible(next.path + name), to: next.saved + free });
    }
    for (const [name, below] of folder.folders) {
      waiting.push({
        folder: below,
        path: `${next.path}${name}/`,
        saved: `${next.saved}${folder.renames.get(name) ?? name}/`,
      });
    }
  }
}

/**
 * @param {Folder} root
 * @param {readonly string[]} parts as they were offered
 */
function finalParts(root, parts) {
  /** @type {Folder | undefined} */
  let folder = root;
  return parts.map((part) => {
    const name = folder?.renames.get(part) ?? portablePart(part);
    folder = folder?.folders.get(part);
    return name;
  });
}

/**
 * The reason why a link is left out, to follow its path in a sentence; null for a permitted link.
 *
 * @param {Entry} entry
 * @param {Folder} root
 */
function linkProblem({ path, target = '', escaped }, root) {
  const names = decodePath(target, escaped).split('/');
  if (names[0] === '') return 'is a link to an absolute path';
  if (byteLength(target) > MAX_PATH) return `is a link to a path of more than ${MAX_PATH} bytes`;
  const depth = path.split('/').length - 1;
  let up = 0;
  // `..` is reliable only at the start: after a name that is itself a link, it would climb from the
  // target of that link.
  while (up < names.length && names[up] === '..') up += 1;
  if (target === '.') return 'is a link to its own folder';
  if (names.slice(up).some((name) => name === '' || name === '.' || name === '..'))
    return 'is a link through `.` or `..` behind a name';
  if (up > depth || (up === depth && (depth > 0 || names.length === up)))
    return 'is a link to a place outside the folder that is sent';
  if (depth === 0 && !root.folders.has(names[0]) && !root.others.has(names[0]))
    return 'is a link to something that is not sent along';
  return null;
}

/**
 * @param {Folder} root
 * @param {Entry} entry
 * @param {readonly string[]} parts its own
 */
function finalTarget(root, { target = '', escaped }, parts) {
  const names = decodePath(target, escaped).split('/');
  const up = names.findIndex((name) => name !== '..');
  const climbs = up < 0 ? names.length : up;
  const base = parts.slice(0, parts.length - 1 - climbs);
  const below = finalParts(root, [...base, ...names.slice(climbs)]).slice(base.length);
  return [...names.slice(0, climbs), ...below].join('/');
}

/**
 * Whether a zero-width joiner is part of the spelling: it stands between two characters that are
 * not ASCII. Persian, Hindi and family emoji need it; elsewhere it hides something.
 *
 * @param {readonly string[]} characters
 * @param {number} position
 */
function isJoiner(characters, position) {
  if (!/^[\u200c\u200d]$/.test(characters[position])) return false;
  const before = characters[position - 1];
  const after = characters[position + 1];
  return before !== undefined && after !== undefined && before > '\u007f' && after > '\u007f';
}

/**
 * The form in which a file system that ignores case and normalisation compares a name.
 *
 * @param {string} part
 * @returns {string}
 */
export function nameKey(part) {
  let key = '';
  // One character at a time, because the lower case of a whole word depends on the place of a
  // sigma.
  for (const character of part.normalize('NFD')) {
    if (character === '\u200c' || character === '\u200d') continue;
    key += foldCase(character);
  }
  return key.normalize('NFC');
}

/**
 * Case folding as in Unicode's CaseFolding.txt (C and F), which JavaScript lacks.
 *
 * @param {string} character
 */
function foldCase(character) {
  if (character === '\u0131') return character; // dotless i: another letter than i
  let folded = '';
  for (const upper of character.toUpperCase()) folded += upper.toLowerCase();
  return folded;
}

/**
 * Makes a name valid on any system: forbidden characters become `_`.
 *
 * @param {string} part one name of a path, as `decodePath` gives it
 * @returns {string} a valid name; a name that was valid is returned unchanged
 */
export function portablePart(part) {
  if (part.length <= MAX_PATH_PART && PLAIN.test(part) && !DEVICES.test(part)) return part;
  const characters = [...part];
  let name = characters
    .map((character, position) => {
      if (/^[\udc80-\udcff]$/.test(character)) return visible(character);
      if (isJoiner(characters, position)) return character;
      return character === '/' || RESERVED.test(character) || SOME_BAD.test(character)
        ? '_'
        : character;
    })
    .join('')
    .replace(/[ .]+$/, (end) => '_'.repeat(end.length));
  if (/^\s*$/u.test(name)) name = '_';
  if (DEVICES.test(name)) name = `_${name}`;
  if (OWN.test(name)) name = `${name}_`;
  return shorten(name);
}

/**
 * A text with `%E7` for each surrogate that stands for a byte.
 *
 * @param {string} text
 */
function visible(text) {
  if (text.isWellFormed()) return text;
  return [...text]
    .map((character) => {
      const byte = (character.codePointAt(0) ?? 0) - 0xdc00;
      if (byte >= 0x80 && byte <= 0xff) return `%${byte.toString(16).toUpperCase()}`;
      return character.toWellFormed();
    })
    .join('');
}

/**
 * Cuts a name to the maximum length of a part, and keeps its ending.
 *
 * @param {string} name
 */
function shorten(name) {
  if (byteLength(name) <= MAX_PATH_PART) return name;
  const [stem, end] = splitSuffix(name);
  if (end !== '') return cut(stem, MAX_PATH_PART - byteLength(end)) + end;
  const short = cut(name, MAX_PATH_PART).replace(/[ .]+$/, (dots) => '_'.repeat(dots.length));
  // A cut must not give a name the ending of a program.
  return splitSuffix(short)[1] === '' ? short : `${cut(short, MAX_PATH_PART - 1)}_`;
}

/**
 * Splits off `.mkv`, or `.tar.gz`; not the dot of a hidden file, nor a very long ending.
 *
 * @param {string} name
 * @returns {[stem: string, end: string]}
 */
function splitSuffix(name) {
  const dot = name.lastIndexOf('.');
  const stem = name.slice(0, Math.max(0, dot));
  const ending = name.slice(dot + 1);
  if (dot < 0 || /^\.*$/.test(stem) || ending === '' || byteLength(ending) >= 32) return [name, ''];
  if (stem.endsWith('.tar') && stem !== '.tar') return [stem.slice(0, -4), `.tar.${ending}`];
  return [stem, `.${ending}`];
}

/**
 * The beginning of a text, at most a number of bytes long.
 *
 * @param {string} text
 * @param {number} most
 */
function cut(text, most) {
  let bytes = 0;
  let short = '';
  for (const character of text) {
    bytes += byteLength(character);
    if (bytes > most) break;
    short += character;
  }
  return short;
}

/** @param {string} text */
function byteLength(text) {
  return encoder.encode(text).length;
}

/**
 * A free name: `name.ext`, or `name (1).ext`, `name (2).ext`, ...
 *
 * @param {string} name one part of a path
 * @param {(name: string) => boolean} isTaken
 */
export function freeName(name, isTaken) {
  return isTaken(name) ? numberedName(name, isTaken, 1, false).free : name;
}

/**
 * @param {string} name
 * @param {(name: string) => boolean} isTaken
 * @param {number} from the number to try first
 * @param {boolean} isFolder whether a dot in it begins no ending
 */
function numberedName(name, isTaken, from, isFolder) {
  const [stem, end] = isFolder ? [name, ''] : splitSuffix(name);
  for (let number = from; ; number += 1) {
    const suffix = ` (${number})${end}`;
    const free = cut(stem, MAX_PATH_PART - byteLength(suffix)) + suffix;
    if (!isTaken(free)) return { free, number };
  }
}

/**
 * A key that is equal for names with the same numbered forms (`numberedName`).
 *
 * @param {string} name
 * @param {boolean} isFolder
 */
function numberKey(name, isFolder) {
  const [stem, end] = isFolder ? [name, ''] : splitSuffix(name);
  const short = cut(stem, MAX_PATH_PART - byteLength(end) - LONGEST_NUMBER.length);
  return `${nameKey(short)}/${nameKey(end)}`;
}
