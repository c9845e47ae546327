// @ts-check
// Figures and names as people read them. Pure: tests/web/test_page_format.py holds the examples.

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];
/** Between a figure and its unit: a line does not end there. */
const NB = '\u00a0';

/**
 * `0 B`, `999 B`, `1.4 kB`, `64 MB`: powers of ten, as shops and operating systems count.
 *
 * @param {number} bytes
 */
export function formatBytes(bytes) {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : 1;
  return `${value.toFixed(digits).replace(/\.0$/, '')}${NB}${UNITS[unit]}`;
}

/** @param {number} bytesPerSecond */
export const formatRate = (bytesPerSecond) => `${formatBytes(bytesPerSecond)}/s`;

/**
 * `5 s`, `2 min`, `1 h 10 min`: only as exact as such a forecast can be.
 *
 * @param {number} seconds
 */
export function formatDuration(seconds) {
  if (seconds < 59.5) return `${Math.max(1, Math.round(seconds))}${NB}s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes}${NB}min`;
  if (minutes >= 600) return `${Math.round(minutes / 60)}${NB}h`;
  const rest = minutes % 60;
  return `${Math.floor(minutes / 60)}${NB}h${rest ? `${NB}${rest}${NB}min` : ''}`;
}

/**
 * @param {number} count
 * @param {string} one
 * @param {string} [many]
 */
export function plural(count, one, many = `${one}s`) {
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
}

/** @param {readonly string[]} parts the facts that are there, joined by a middle dot */
export const joinFacts = (...parts) => parts.filter(Boolean).join(' · ');

/**
 * A name that came from the other side, safe to look at: control characters, and those that turn
 * the direction of the text around so that `exe.gpj` reads `jpg.exe`, become visible.
 *
 * @param {string} name
 */
export function displayName(name) {
  return name.replace(/[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu, '\ufffd');
}

/** How somebody is called who gave no name. */
export const NAMELESS = 'the other side';

/**
 * A name at the start of a sentence: our own words take a capital letter there, a person's do not.
 *
 * @param {string} name
 */
export function atStart(name) {
  return name === NAMELESS ? 'The other side' : name;
}
