// @ts-check
// Figures and names for people. Pure functions; tests/web/page_words.test.js has examples.

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
/** No-break space, between a figure and its unit. */
const NB = '\u00a0';

/**
 * A number of bytes in decimal units: `999 B`, `1.4 kB`, `64 MB`. `format_size` in Python follows
 * the same rules: one decimal below 100 unless it is 0, halves rounded up (tests/vectors/sizes.json).
 *
 * @param {number} bytes
 */
export function formatBytes(bytes) {
  let power = 0;
  while (power < UNITS.length - 1 && 2 * bytes >= 1999 * 1000 ** power) power++;
  const unit = 1000 ** power;
  const tenths = Math.round(bytes / (unit / 10));
  const value = tenths >= 1000 ? Math.round(bytes / unit) : tenths / 10;
  return `${value}${NB}${UNITS[power]}`;
}

/** @param {number} bytesPerSecond */
export const formatRate = (bytesPerSecond) => `${formatBytes(bytesPerSecond)}/s`;

/**
 * `5 s`, `2 min`, `1 h 10 min`: as exact as such a forecast can be.
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

/** Stands for the name of a peer without one. */
export const NAMELESS = 'the other side';

/**
 * A name at the start of a sentence: only our own words get a capital letter.
 *
 * @param {string} name
 */
export function atStart(name) {
  return name === NAMELESS ? 'The other side' : name;
}
