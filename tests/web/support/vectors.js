// The golden vectors, which the Python tests read as well.

import { readFileSync } from 'node:fs';

/** @param {string} name of a file in tests/vectors, without `.json` */
export function vectors(name) {
  return JSON.parse(readFileSync(new URL(`../../vectors/${name}.json`, import.meta.url), 'utf8'));
}

/** @param {string} name of a file in tests/vectors/transcripts, without `.json` */
export function transcripts(name) {
  return vectors(`transcripts/${name}`).transcripts;
}

/** @param {string} hex */
export function fromHex(hex) {
  return Uint8Array.from(Buffer.from(hex, 'hex'));
}

/** @param {Uint8Array} bytes */
export function toHex(bytes) {
  return Buffer.from(bytes).toString('hex');
}
