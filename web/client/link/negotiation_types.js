// @ts-check
// The types of a negotiation: its stages, events and limits, and the bodies of signals.

import { BadMessage, parseObject } from '../server/messages.js';
import { NONCE_SIZE, b64uDecode } from '../security/sealing.js';

/** @typedef {import('../problems.js').Problem} Problem */
/** @typedef {import('../security/sealing.js').Bytes} Bytes */
/** @typedef {'pake' | 'description' | 'path' | 'established' | 'failed'} Stage */

/**
 * @typedef {object} Failure why a connection did not come about
 * @property {Problem} problem
 * @property {boolean} [conclusive] whether another attempt would fail as well
 * @property {'' | 'no_relay' | 'no_address'} [reason] the cause, which the peer cannot see
 */

/**
 * @typedef {{type: 'ask_guess'}} AskGuess the other side's share came: call `answerShare` once the
 *   budget of guesses allows it, or `refuseShare`
 * @typedef {{type: 'guess_proved'}} GuessProved the other side's confirmation is valid: no guess
 * @typedef {{type: 'make_offer', gen: number}} MakeOffer start a new connection, the others are over;
 *   give its offer to `descriptionMade`
 * @typedef {{type: 'make_answer', gen: number, sdp: string}} MakeAnswer the same, with its answer
 * @typedef {{type: 'take_answer', gen: number, sdp: string}} TakeAnswer the connection's answer came
 * @typedef {{type: 'take_candidate', gen: number, candidate: string | null}} TakeCandidate one more
 *   candidate of the other side; null: there are no more
 * @typedef {{type: 'failed', problem: Problem, stage: Stage}} NegotiationFailed there will be no link
 * @typedef {AskGuess | GuessProved | MakeOffer | MakeAnswer | TakeAnswer | TakeCandidate |
 *   NegotiationFailed} NegotiationEvent
 */

/** Maximum duration of each stage, in seconds; the driver of the connection limits the path. */
export const TIMEOUTS = Object.freeze({ pake: 15, description: 15, path: 15 });
/** Maximum number of connections, which are tried one after the other. */
export const ATTEMPTS = 2;
export const MAX_GENERATION = 65536;
/** Maximum number of offers that are answered in one set-up: each costs a connection. */
export const MAX_OFFERS = 8;
/** Maximum length of a `bye` that is read, in characters. */
export const MAX_BYE = 512;

export const MISMATCH =
  'One side uses a password for this room and the other does not: both must use the same.';

/**
 * The sentence here for each `reason` of the peer's `no_path`.
 * @type {Readonly<Record<string, string>>}
 */
export const NO_PATH_REASONS = Object.freeze({
  no_relay:
    'The other side wants to be reached through a relay (TURN) only, and none gave it an address.',
  no_address: 'The other side has no network address that it is allowed to share.',
});

/** The code of the `bye` for each code of a problem of this side; `failed` for all others. */
export const BYE_CODES = new Map([
  ['no_path', 'no_path'],
  ['no_network', 'no_path'],
  ['verification_failed', 'verification_failed'],
]);
/** Problems that another connection cannot avoid. */
export const FINAL = Object.freeze(['verification_failed', 'protocol']);

/**
 * A required text of a body.
 *
 * @param {unknown} value
 * @returns {string}
 */
export function textOf(value) {
  if (typeof value !== 'string' || value === '') throw new BadMessage('a text is missing');
  return value;
}

/**
 * Parses a `bye`; a malformed one has no code.
 *
 * @param {string} data
 * @returns {{code: string, reason: string}}
 */
export function byeOf(data) {
  try {
    const { code = '', reason = '' } = parseObject(data, MAX_BYE);
    if (typeof code === 'string' && typeof reason === 'string') return { code, reason };
  } catch (error) {
    if (!(error instanceof BadMessage)) throw error;
  }
  return { code: '', reason: '' };
}

/**
 * @param {unknown} value base64url
 * @returns {Bytes}
 */
export function nonceOf(value) {
  let nonce;
  try {
    nonce = b64uDecode(textOf(value));
  } catch {
    throw new BadMessage('bad nonce');
  }
  if (nonce.length !== NONCE_SIZE) throw new BadMessage('bad nonce');
  return nonce;
}
