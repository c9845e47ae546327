// @ts-check
// The recovery from each problem: a second sentence, and the action of the one button.

import { isRecord } from '../../client/server/messages.js';

/** @typedef {import('../../client/problems.js').Problem} Problem */

/**
 * @typedef {object} RecoveryAction
 * @property {string} more advice in one sentence; may be empty
 * @property {string} label of the button
 * @property {'host' | 'join' | 'start' | 'edit' | 'reload'} does make a code, use the same code
 *   again, go to the start, correct the code there, or reload the page
 */

const SPENT = 'Codes work once. Ask the other side for a new one, or make one here.';
const NOT_SPENT = 'The code has not been used: try again in a moment.';

/**
 * By code of the problem: the action of the side that made the code, and of the one that typed it.
 */
const RECOVERY_ACTIONS = /** @type {Record<string, {host: RecoveryAction, join: RecoveryAction}>} */ ({});

/**
 * @param {readonly string[]} codes
 * @param {RecoveryAction} host
 * @param {RecoveryAction} join
 */
function set(codes, host, join) {
  for (const code of codes) RECOVERY_ACTIONS[code] = { host, join };
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
set(
  ['no_webrtc', 'server_protocol'],
  { label: 'Reload the page', does: 'reload', more: 'Try a current browser if it stays like that.' },
  { label: 'Reload the page', does: 'reload', more: 'Try a current browser if it stays like that.' },
);
set(['room_full'], { ...anew, more: '' }, { ...start, more: SPENT });
set(
  ['wrong_code', 'verification_failed', 'guessed'],
  { ...anew, more: 'Nothing was sent. Give the new code to the person you expect.' },
  { ...start, more: `Nothing was sent. ${SPENT}` },
);
set(
  ['origin_refused'],
  { ...start, more: 'Open the page at the address that the server itself shows.' },
  { ...start, more: `Open the page at the address that the server itself shows. ${NOT_SPENT}` },
);
set(
  ['slept'],
  { ...anew, more: 'A code lasts only while its page is awake: keep this page in sight until the other side is there.' },
  { ...start, more: 'Ask the other side for a new one, or make one here.' },
);
set(['room_closed'], { ...anew, more: 'A code that nobody uses expires.' }, { ...start, more: SPENT });
set(['peer_left', 'timeout'], { ...anew, more: 'Nothing was sent.' }, { ...start, more: SPENT });
set(
  ['no_network', 'no_path'],
  { ...anew, more: 'Connect both devices to the same network, or use a server that has a relay.' },
  { ...start, more: `Connect both devices to the same network, or use a server that has a relay. ${SPENT}` },
);

/**
 * @param {Problem} problem
 * @param {'host' | 'join'} role
 * @returns {RecoveryAction}
 */
export function recoveryAction(problem, role) {
  const known = Object.hasOwn(RECOVERY_ACTIONS, problem.code) ? RECOVERY_ACTIONS[problem.code] : null;
  return known?.[role] ?? { ...start, more: '' };
}

/**
 * The address of the same page over https. The server tells the port, which may differ.
 *
 * @param {Location | URL} address of this page
 * @returns {Promise<{more: string, label: string, href?: string}>}
 */
export async function secureRecoveryAction(address) {
  const port = await securePort(address);
  if (port === null) {
    return {
      label: 'Try again',
      more: 'Open it with an address that begins with https:// instead, or on the device that runs the server.',
    };
  }
  const secure = new URL(address.href);
  secure.protocol = 'https:';
  secure.port = String(port);
  return {
    label: 'Open the secure page',
    href: secure.href,
    more:
      'A server on somebody’s own device has made its certificate itself, so the browser will warn ' +
      'once: choose “Advanced”, then continue.',
  };
}

/**
 * @param {Location | URL} address
 * @returns {Promise<number | null>}
 */
async function securePort(address) {
  if (!address.port) return 443; // a usual web server, whose secure port is known
  try {
    const response = await fetch(new URL('healthz', address.href));
    /** @type {unknown} */
    const health = await response.json();
    const port = isRecord(health) ? health.tls_port : undefined;
    return typeof port === 'number' && Number.isInteger(port) ? port : null;
  } catch {
    return null;
  }
}
