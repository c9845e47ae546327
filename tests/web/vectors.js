// @ts-check
// The golden vectors that the Python tests read too, and hexadecimal.

import { readFileSync } from 'node:fs';

/**
 * @param {string} name a file in tests/vectors
 * @returns {any}
 */
export function load(name) {
  return JSON.parse(readFileSync(new URL(`../vectors/${name}`, import.meta.url), 'utf8'));
}

/** @param {string} text */
export function fromHex(text) {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/** @param {Uint8Array} bytes */
export function toHex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
