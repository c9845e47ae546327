// @ts-check
// What helps against each problem: a second sentence, and what the one button does. Pure, but for
// the address of the page.

/** @typedef {import('../problems.js').Problem} Problem */

/**
 * @typedef {object} Remedy
 * @property {string} more what to do, in one sentence; may be empty
 * @property {string} label of the button
 * @property {'host' | 'join' | 'start' | 'edit'} does make a code, use the same code again, go to
 *   the start, or correct the code there
 * @property {string} [href] where the button leads instead
 */

const SPENT = 'Codes work once. Ask the other side for a new one, or make one here.';
const NOT_SPENT = 'The code has not been used: try again in a moment.';

/** By code: what the side that made the code can do, and the side that typed it. */
const REMEDIES = /** @type {Record<string, {host: Remedy, join: Remedy}>} */ ({});

/**
 * @param {readonly string[]} codes
 * @param {Remedy} host
 * @param {Remedy} join
 */
function set(codes, host, join) {
  for (const code of codes) REMEDIES[code] = { host, join };
}

const retry = { label: 'Try again', does: /** @type {const} */ ('host') };
const anew = { label: 'Make a new code', does: /** @type {const} */ ('host') };
const edit = { label: 'Enter another code', does: /** @type {const} */ ('edit') };
const start = { label: 'Start again', does: /** @type {const} */ ('start') };

set(
  ['server_unreachable', 'server_refused', 'over_capacity', 'draining', 'rate_limited'],
  { ...retry, more: 'Check this device’s connection, then try again.' },
  { label: 'Try again', does: 'join', more: `Check this device’s connection. ${NOT_SPENT}` },
);
set(['bad_code'], { ...anew, more: '' }, { ...edit, label: 'Correct the code', more: '' });
set(
  ['no_such_room'],
  { ...anew, more: '' },
  { ...edit, more: 'Compare it letter by letter with the other side’s screen, or ask for a new one.' },
);
set(['room_full'], { ...anew, more: '' }, { ...start, more: SPENT });
set(
  ['wrong_code', 'verification_failed'],
  { ...anew, more: 'Nothing was sent. Give the new code to the person you expect.' },
  { ...start, more: `Nothing was sent. ${SPENT}` },
);
set(['room_closed'], { ...anew, more: 'A code that nobody uses expires.' }, { ...start, more: SPENT });
set(['peer_left'], { ...anew, more: 'Nothing was sent.' }, { ...start, more: SPENT });
set(
  ['no_network', 'no_path'],
  { ...anew, more: 'Connect both devices to the same network, or use a server that has a relay.' },
  { ...start, more: `Connect both devices to the same network, or use a server that has a relay. ${SPENT}` },
);

/**
 * @param {Problem} problem
 * @param {'host' | 'join'} role
 * @returns {Remedy}
 */
export function remedy(problem, role) {
  if (problem.code === 'insecure_context') return secureRemedy(location);
  const known = Object.hasOwn(REMEDIES, problem.code) ? REMEDIES[problem.code] : null;
  return known?.[role] ?? { ...start, more: '' };
}

/**
 * @param {Location | URL} address
 * @returns {Remedy}
 */
function secureRemedy(address) {
  const secure = new URL(address.href);
  secure.protocol = 'https:';
  return {
    label: 'Open the secure page',
    does: 'start',
    href: secure.href,
    more:
      'Use the address that begins with https. If the server made its own certificate, the browser ' +
      'warns once: choose “Advanced” and continue.',
  };
}
