// @ts-check
// Which names from the other side may be saved, and how to show them.
//
// The same rules as `peer/transfer/names.py`, with the same vectors (tests/vectors/names.json):
//
// - A path is relative, its parts are joined by `/`, none is empty, `.` or `..`; at most 1024
//   bytes, 32 parts, 255 bytes a part.
// - No part holds a backslash, a colon, a control or format character, a line separator, a lone
//   surrogate or a blank that is no space; none ends with a space or a dot, is a device name on
//   Windows, or ends like Peerline's own partial files.
// - No two entries are the same to a file system that ignores case or Unicode normalisation.
// - Nothing lies below a file or a link; a link points to a place inside what was sent.

/** @typedef {import('./messages.js').Entry} Entry */

export const MAX_PATH = 1024;
export const MAX_PATH_PART = 255;
export const MAX_DEPTH = 32;

/** Why a manifest may not be saved. */
export class NameError extends Error {
  /**
   * @param {string} path the entry's
   * @param {number} index the entry's
   * @param {string} reason the rest of a sentence that begins with the path
   */
  constructor(path, index, reason) {
    super(`${displayName(path)} ${reason}.`);
    this.name = 'NameError';
    this.index = index;
    this.reason = reason;
  }
}

/** Why a name is refused, on its way from a rule to the sentence. */
class Unsafe extends Error {}

const encoder = new TextEncoder();

const BAD = /** @type {const} */ ([
  [/\p{Cc}/u, 'a control character'],
  [
    /[\p{Cf}\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0]/u,
    'an invisible or direction-changing character',
  ],
  [/\p{Cs}/u, 'half a character (a lone surrogate)'],
  [/\p{Zl}/u, 'a line separator'],
  [/\p{Zp}/u, 'a paragraph separator'],
]);
const SOME_BAD =
  /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0]/u;
const DEVICES =
  /^(?:con|prn|aux|nul|clock\$|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])[ ]*(?:\..*)?$/isu;
const OWN = /\.peerline-[a-z]+$/iu;

/**
 * Checks all names of a transfer.
 *
 * @param {readonly Entry[]} entries
 * @throws {NameError} naming the first entry that may not be saved, and why
 */
export function checkManifest(entries) {
  const root = new Node('', 'dir');
  /** @type {{index: number, first: string}[]} */
  const rootLinks = [];
  entries.forEach((entry, index) => {
    try {
      const parts = splitPath(entry.path, 'name');
      for (const part of parts) checkPart(part);
      if (entry.kind === 'link') {
        const first = checkTarget(entry.target ?? '', parts);
        if (first !== null) rootLinks.push({ index, first });
      }
      claim(root, parts, entry.kind);
    } catch (error) {
      if (!(error instanceof Unsafe)) throw error;
      throw new NameError(entry.path, index, error.message);
    }
  });
  for (const { index, first } of rootLinks) {
    if (root.children.get(nameKey(first))?.name !== first) {
      throw new NameError(entries[index].path, index, 'links to something that is not sent along');
    }
  }
}

/** A name that is taken, in the form that the least discerning file system sees. */
class Node {
  explicit = false;
  /** @type {Map<string, Node>} */
  children = new Map();

  /**
   * @param {string} name
   * @param {Entry['kind']} kind
   */
  constructor(name, kind) {
    this.name = name;
    this.kind = kind;
  }
}

/**
 * Takes the place of a path in the tree of names.
 *
 * @param {Node} root
 * @param {readonly string[]} parts
 * @param {Entry['kind']} kind
 */
function claim(root, parts, kind) {
  let node = root;
  parts.forEach((part, depth) => {
    const last = depth === parts.length - 1;
    const key = nameKey(part);
    let child = node.children.get(key);
    if (child === undefined) {
      child = new Node(part, last ? kind : 'dir');
      node.children.set(key, child);
    } else if (child.name !== part) {
      throw new Unsafe(`differs from ${displayName(child.name)} only in case or accents' form`);
    } else if (!last && child.kind !== 'dir') {
      throw new Unsafe(`lies below ${displayName(part)}, which is not a folder`);
    } else if (last && (child.explicit || child.kind !== kind)) {
      throw new Unsafe('is there twice');
    }
    node = child;
  });
  node.explicit = true;
}

/**
 * Cuts a path at its slashes and checks its size.
 *
 * @param {string} path
 * @param {string} what
 */
function splitPath(path, what) {
  if (!path.isWellFormed())
    throw new Unsafe(`has half a character (a lone surrogate) in its ${what}`);
  const size = encoder.encode(path).length;
  if (size > MAX_PATH)
    throw new Unsafe(`has a ${what} of ${size} bytes, at most ${MAX_PATH} are allowed`);
  const parts = path.split('/');
  if (parts.length > MAX_DEPTH) {
    throw new Unsafe(
      `has ${parts.length} folders in its ${what}, at most ${MAX_DEPTH} are allowed`,
    );
  }
  if (path.startsWith('/')) throw new Unsafe(`has an absolute ${what}`);
  return parts;
}

/** @param {string} part one name of a path */
function checkPart(part) {
  if (part === '' || part === '.' || part === '..')
    throw new Unsafe(`has the part '${part}' in its path`);
  if (part.includes('\\')) throw new Unsafe('has a backslash in its name');
  if (part.includes(':')) throw new Unsafe('has a colon in its name');
  if (SOME_BAD.test(part)) checkCharacters(part);
  if (/[ .]$/.test(part)) throw new Unsafe('has a name that ends with a space or a dot');
  if (encoder.encode(part).length > MAX_PATH_PART) {
    throw new Unsafe(`has a name of more than ${MAX_PATH_PART} bytes`);
  }
  if (/^\s*$/u.test(part)) throw new Unsafe('has a name of nothing but blanks');
  if (DEVICES.test(part)) throw new Unsafe('has a name that Windows keeps for a device');
  if (OWN.test(part)) throw new Unsafe('is named like an unfinished transfer');
}

/** @param {string} part */
function checkCharacters(part) {
  const characters = [...part];
  characters.forEach((character, position) => {
    if (isJoiner(characters, position)) return;
    for (const [pattern, what] of BAD) {
      if (pattern.test(character))
        throw new Unsafe(`has ${what} in its name (${codePoint(character)})`);
    }
  });
}

/**
 * Whether a zero-width joiner stands where it is spelling: between two characters of a script that
 * is not ASCII. Persian, Hindi and family emoji need it; elsewhere it is a disguise.
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

/** @param {string} character */
function codePoint(character) {
  const value = /** @type {number} */ (character.codePointAt(0));
  return `U+${value.toString(16).toUpperCase().padStart(4, '0')}`;
}

/**
 * @param {string} target
 * @param {readonly string[]} parts of the link itself
 * @returns {string | null} the top-level name it needs, for a link that is not in a folder
 */
function checkTarget(target, parts) {
  const names = splitPath(target, 'link target');
  let up = 0;
  // Only at the start is `..` what it seems: after a name that is itself a link it would climb
  // from wherever that link leads.
  while (up < names.length && names[up] === '..') up += 1;
  for (const name of names.slice(up)) {
    if (name === '..') throw new Unsafe('links through `..` behind a name');
    checkPart(name);
  }
  const depth = parts.length - 1;
  if (up > depth) throw new Unsafe('links to a place outside');
  if (up < depth) return null;
  if (depth > 0 || names.length === up)
    throw new Unsafe('links to a place outside the folder that is sent');
  return names[up];
}

/**
 * What a file system that ignores case and normalisation makes of a name.
 *
 * @param {string} part
 * @returns {string}
 */
export function nameKey(part) {
  let key = '';
  // One character at a time: a whole word's lower case depends on where a sigma stands.
  for (const character of part.normalize('NFD')) {
    if (character === '\u200c' || character === '\u200d') continue;
    key += foldCase(character);
  }
  return key.normalize('NFC');
}

/**
 * Case folding as in Unicode's CaseFolding.txt (C and F), which JavaScript does not have by itself.
 *
 * @param {string} character
 */
function foldCase(character) {
  if (character === '\u0131') return character; // the dotless i has the i's capital, and is no i
  let folded = '';
  for (const upper of character.toUpperCase()) folded += upper.toLowerCase();
  return folded;
}

/**
 * A name as it may be shown: what is invisible, or would turn its neighbours around, becomes a
 * visible escape, and the middle of a long one is left out.
 *
 * @param {string} text hostile
 * @param {number} limit characters to show
 */
export function displayName(text, limit = 200) {
  let characters = [...text];
  if (characters.length > limit) {
    const tail = Math.floor(limit / 3);
    characters = [...characters.slice(0, limit - tail - 1), '…', ...characters.slice(-tail)];
  }
  return characters
    .map((character) => {
      if (!SOME_BAD.test(character) || character === '\u200c' || character === '\u200d')
        return character;
      return escapeOf(character);
    })
    .join('');
}

/** @param {string} character */
function escapeOf(character) {
  const short = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }[character];
  if (short !== undefined) return short;
  const value = /** @type {number} */ (character.codePointAt(0));
  const digits = value.toString(16);
  if (value < 0x100) return `\\x${digits.padStart(2, '0')}`;
  return value < 0x10000 ? `\\u${digits.padStart(4, '0')}` : `\\U${digits.padStart(8, '0')}`;
}

/**
 * Makes a name of this disk fit for any other: what the rules forbid becomes `_`.
 *
 * @param {string} part one name of a path
 * @returns {string} a part that `checkManifest` lets pass
 */
export function portablePart(part) {
  const characters = [...part.toWellFormed()];
  let name = characters
    .map((character, position) => {
      if (isJoiner(characters, position)) return character;
      return /[\\/:]/.test(character) || SOME_BAD.test(character) ? '_' : character;
    })
    .join('')
    .replace(/[ .]+$/, (end) => '_'.repeat(end.length));
  if (name === '' || /^\s*$/u.test(name)) name = '_';
  if (DEVICES.test(name)) name = `_${name}`;
  if (OWN.test(name)) name = `${name}_`;
  return shorten(name);
}

/**
 * Cuts a name to what a part may have, and keeps its extension.
 *
 * @param {string} name
 * @param {number} most bytes
 */
function shorten(name, most = MAX_PATH_PART) {
  if (encoder.encode(name).length <= most) return name;
  const dot = name.lastIndexOf('.');
  const end = dot > 0 && name.length - dot <= 16 ? name.slice(dot) : '';
  const head = [...name.slice(0, name.length - end.length)];
  while (head.length > 1 && encoder.encode(head.join('') + end).length > most) head.pop();
  return head.join('').replace(/[ .]+$/, '_') + end;
}

/**
 * A name that nobody has: `name.ext`, or `name (1).ext`, `name (2).ext`, ...
 *
 * @param {string} name one part of a path
 * @param {(name: string) => boolean} isTaken
 */
export function freeName(name, isTaken) {
  if (!isTaken(name)) return name;
  const dot = name.lastIndexOf('.');
  const stem = dot > 0 ? name.slice(0, dot) : name;
  const end = dot > 0 ? name.slice(dot) : '';
  for (let number = 1; ; number += 1) {
    const suffix = ` (${number})${end}`;
    const other = shorten(stem, MAX_PATH_PART - encoder.encode(suffix).length) + suffix;
    if (!isTaken(other)) return other;
  }
}
