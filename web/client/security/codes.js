// @ts-check
// Codes: `7-guitar-ocean`, the room's number and the secret words. The number finds the room on the
// server; the words authenticate both sides (pake.js) and never reach the server. A machine.
//
// It mirrors peer/security/codes.py, messages included; tests/vectors/codes.json checks both.

import { unwrap } from './pasted.js';
import { Problem } from '../problems.js';
import { WORDS } from './words.js';

/** Two words are 20.7 bits; an attacker has one guess, and both people are told of it. */
export const DEFAULT_WORDS = 2;
export const MIN_WORDS = 2;
export const MAX_WORDS = 8;
/** Number of random bytes that `makeWords` needs for words of practically equal probability. */
export const RANDOM_BYTES = 32;

const EXAMPLE = '7-guitar-ocean';
const MAX_TEXT = 2048;
/** Maximum number of letters of an unknown word, or digits of a number, that an error quotes. */
const SHOWN = 24;

const NUMBER = /^[1-9][0-9]{0,8}$/;

const known = new Set(WORDS);

/** The text is not a code; the sentence tells why. */
export class CodeError extends Problem {
  /** @param {string} sentence */
  constructor(sentence) {
    super('bad_code', sentence, 'Change the code');
    this.name = 'CodeError';
  }
}

/** A code: the room's number, and the secret that both sides must know. */
export class Code {
  /** @type {readonly string[]} */
  #words;

  /**
   * @param {string} number of the room on the server, decimal, without leading zeros
   * @param {readonly string[]} words the secret words, lower case
   * @throws {CodeError} the number or a word is invalid
   */
  constructor(number, words) {
    if (!NUMBER.test(number)) throw new CodeError(`"${cut(number)}" is not the number of a code.`);
    checkWords(words);
    /** @readonly */
    this.number = number;
    // Private, so that a logged code shows only its number.
    this.#words = Object.freeze([...words]);
  }

  /** The secret words. */
  get words() {
    return this.#words;
  }

  toString() {
    return [this.number, ...this.#words].join('-');
  }

  /** The password for CPace: the whole normalised code in UTF-8. */
  get password() {
    return new TextEncoder().encode(this.toString());
  }

  /**
   * The link that opens the page with this code. The code is in the fragment, which browsers never
   * send to a server.
   *
   * @param {string} base where the page is; a `ws(s)` URL, a query and a fragment are turned into
   *   that form
   * @returns {string}
   */
  link(base) {
    const url = new URL(base);
    const protocol = { 'ws:': 'http:', 'wss:': 'https:' }[url.protocol] ?? url.protocol;
    return `${protocol}//${url.host}${url.pathname}#${this.toString()}`;
  }

  /**
   * Reads a code that was typed, pasted, or taken from a link.
   *
   * @param {string} text
   * @returns {Code}
   * @throws {CodeError} it is not a code; the sentence names unknown words and suggests known ones
   */
  static parse(text) {
    const tokens = tokensOf(text);
    if (tokens.length === 0) throw new CodeError(`There is no code; it looks like ${EXAMPLE}.`);
    // Some dictation programs write "7guitar ocean".
    const glued = /^([0-9]+)([^0-9].*)$/.exec(tokens[0]);
    if (glued) tokens.splice(0, 1, glued[1], glued[2]);
    const [number, ...words] = tokens;
    if (!/^[0-9]+$/.test(number)) {
      throw new CodeError(`A code begins with its number, as in ${EXAMPLE}.`);
    }
    if (words.length === 0) {
      throw new CodeError(
        `"${cut(number)}" is only the number of a code: its words are missing, as in ${EXAMPLE}.`,
      );
    }
    const stripped = number.replace(/^0+/, '');
    if (!NUMBER.test(stripped)) {
      throw new CodeError(`"${cut(number)}" is not the number of a code.`);
    }
    return new Code(stripped, words);
  }
}

/**
 * Chooses the words of a new code.
 *
 * @param {Uint8Array} random at least `RANDOM_BYTES` random bytes, used for nothing else
 * @param {number} [count]
 * @returns {string[]}
 */
export function makeWords(random, count = DEFAULT_WORDS) {
  if (random.length < RANDOM_BYTES) {
    throw new RangeError(`makeWords needs ${RANDOM_BYTES} random bytes, not ${random.length}`);
  }
  if (!(count >= MIN_WORDS && count <= MAX_WORDS)) {
    throw new RangeError(`a code has ${MIN_WORDS} to ${MAX_WORDS} words, not ${count}`);
  }
  return pickWords(random, count);
}

/**
 * Words from bytes taken as one big-endian number, least significant word first.
 *
 * @param {Uint8Array} bytes
 * @param {number} count
 * @returns {string[]}
 */
export function pickWords(bytes, count) {
  const base = BigInt(WORDS.length);
  let rest = bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  const words = [];
  for (let i = 0; i < count; i += 1) {
    words.push(WORDS[Number(rest % base)]);
    rest /= base;
  }
  return words;
}

/**
 * The words that begin with `prefix`, in order; three letters match one at most.
 *
 * @param {string} prefix
 * @returns {string[]}
 */
export function complete(prefix) {
  const lower = prefix.toLowerCase();
  return WORDS.filter((word) => word.startsWith(lower));
}

/**
 * The most similar word of the list, or null if none is similar.
 *
 * A unique prefix counts as its word. Otherwise the nearest word wins by edit distance, up to a
 * limit that grows with the length; among equally near ones the first that shares the longest
 * beginning. Three correct letters at the start are enough if no word is within the limit.
 *
 * @param {string} text
 * @returns {string | null}
 */
export function suggest(text) {
  const candidates = complete(text);
  if (candidates.length === 1) return candidates[0];
  const letters = [...text];
  const limit = letters.length < 5 ? 1 : letters.length < 7 ? 2 : 3;
  let best = null;
  let bestDistance = limit + 1;
  let bestShared = 0;
  for (const word of WORDS) {
    if (Math.abs(word.length - letters.length) > limit) continue;
    const distance = editDistance(letters, word);
    const shared = sharedStart(letters, word);
    if (distance < bestDistance || (best && distance === bestDistance && shared > bestShared)) {
      [best, bestDistance, bestShared] = [word, distance, shared];
    }
  }
  if (best) return best;
  const beginning = letters.length >= 3 ? complete(letters.slice(0, 3).join('')) : [];
  return beginning[0] ?? null;
}

/**
 * Splits a typed text into the number and the words.
 *
 * @param {string} text
 * @returns {string[]}
 */
function tokensOf(text) {
  if ([...text].length > MAX_TEXT) {
    throw new CodeError(`That is too long to be a code; it looks like ${EXAMPLE}.`);
  }
  const { code } = unwrap(text);
  if (code === null)
    throw new CodeError('This link has no code in it: the part after the # is missing.');
  return code
    .toLowerCase()
    .split(/[^\p{L}\p{M}\p{N}]+/u)
    .filter((token) => token !== '');
}

/**
 * Checks the number of words, and that each is in the list.
 *
 * @param {readonly string[]} words
 */
function checkWords(words) {
  if (words.length > MAX_WORDS) {
    throw new CodeError(
      `A code has at most ${MAX_WORDS} words after its number, not ${words.length}.`,
    );
  }
  const unknown = words.filter((word) => !known.has(word));
  if (unknown.length > 0) {
    const hints = unknown.map((word) => {
      const meant = [...word].length <= SHOWN ? suggest(word) : null;
      const hint = `"${cut(word)}" is not a word of any code`;
      return meant ? `${hint}; did you mean "${meant}"?` : `${hint}.`;
    });
    throw new CodeError(hints.join(' '));
  }
  if (words.length < MIN_WORDS) {
    throw new CodeError(
      `A code has at least ${MIN_WORDS} words after its number, as in ${EXAMPLE}.`,
    );
  }
}

/** @param {string} text */
function cut(text) {
  const letters = [...text];
  return letters.length <= SHOWN ? text : `${letters.slice(0, SHOWN).join('')}...`;
}

/**
 * Length of the common prefix of two words.
 *
 * @param {readonly string[]} a
 * @param {string} b
 */
function sharedStart(a, b) {
  let count = 0;
  while (count < a.length && count < b.length && a[count] === b[count]) count += 1;
  return count;
}

/**
 * Edit distance: letters to insert, remove, change or swap with a neighbour to turn `a` into `b`.
 *
 * @param {readonly string[]} a
 * @param {string} b
 */
function editDistance(a, b) {
  /** @type {number[]} */
  let before = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      let cost = Math.min(
        previous[j] + 1,
        row[j - 1] + 1,
        previous[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1),
      );
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, before[j - 2] + 1);
      }
      row.push(cost);
    }
    [before, previous] = [previous, row];
  }
  return previous[b.length];
}
