// @ts-check
// Every problem that a person may see: a code, one plain sentence and the label of one button.

/**
 * An error that is shown to the user of the page.
 *
 * `code` is for programs and stays the same; `sentence` is for people; `action` is the label of
 * the one button that helps (the user interface decides its action); `retryable` tells whether the
 * same call may succeed later without any change.
 */
export class Problem extends Error {
  /**
   * @param {string} code
   * @param {string} sentence
   * @param {string} action
   * @param {boolean} [retryable]
   */
  constructor(code, sentence, action, retryable = false) {
    super(sentence);
    this.name = 'Problem';
    /** @readonly */
    this.code = code;
    /** @readonly */
    this.sentence = sentence;
    /** @readonly */
    this.action = action;
    /** @readonly */
    this.retryable = retryable;
  }
}

/** Codes of problems that may disappear without any change. */
const RETRYABLE = new Set([
  'timeout',
  'server_unreachable',
  'rate_limited',
  'over_capacity',
  'draining',
  'too_many_guesses',
  'peer_left',
  'no_network',
  'no_path',
  'lost',
  'integrity',
  'busy',
  'broken',
  'not_delivered',
]);

/** @type {Readonly<Record<string, readonly [sentence: string, action: string]>>} */
const KNOWN = Object.freeze({
  // Before the link is connected.
  insecure_context: [
    'This page was opened over plain http, where browsers switch their encryption off.',
    'Open the secure page',
  ],
  no_webrtc: [
    'This browser cannot open direct connections (WebRTC is missing or blocked).',
    'Try again',
  ],
  server_unreachable: ['The signaling server does not answer.', 'Try again'],
  server_refused: ['The signaling server refused the connection.', 'Try again'],
  server_protocol: [
    'The signaling server answered with something this page does not understand.',
    'Reload the page',
  ],
  origin_refused: [
    'The server refuses pages that were opened at this address: it serves others only.',
    'Open another address',
  ],
  rate_limited: ['Too many attempts from here; the server asks for a short pause.', 'Try again'],
  over_capacity: ['The signaling server is full at the moment.', 'Try again'],
  draining: ['The signaling server is restarting.', 'Try again'],
  bad_code: ['That is not a Peerline code; it looks like 7-guitar-ocean.', 'Change the code'],
  other_server: ['This code belongs to another server.', 'Open it there'],
  slept: ['This code ended while the device was asleep.', 'Make a new code'],
  no_such_room: [
    'Nobody is waiting with this code: it was mistyped, used already, or has expired.',
    'Enter another code',
  ],
  room_full: ['Somebody else has already used this code.', 'Enter another code'],
  room_closed: ['The server closed this room because nobody came in time.', 'Make a new code'],
  wrong_code: [
    'The codes did not match, so this code is spent: a word was mistyped, or somebody else tried it.',
    'Make a new code',
  ],
  guessed: [
    'Somebody used this code and did not prove that they know it, so it is spent.',
    'Make a new code',
  ],
  too_many_guesses: [
    'Too many wrong passwords were tried in this room, so it refuses newcomers for a while.',
    'Try again',
  ],
  verification_failed: [
    'The other side could not prove who it is, so the connection was refused.',
    'Start again',
  ],
  peer_left: ['The other side left before the connection was made.', 'Start again'],
  timeout: ['The other side is there, but does not answer.', 'Start again'],
  no_network: [
    'This device has no network route, so it could not offer a way to reach it.',
    'Try again',
  ],
  no_path: ['No network path was found between the two devices.', 'Try again'],
  // At the end of a link.
  bye: ['The other side ended the connection.', 'Start again'],
  closed: ['You ended the connection.', 'Start again'],
  lost: ['The connection to the other side was lost.', 'Start again'],
  protocol: ['The other side sent something this page does not understand.', 'Start again'],
  // Transfers.
  declined: ['You declined these files.', 'Dismiss'],
  refused: ['The other side declined the files.', 'Send again'],
  unsafe_name: ['A file has a name that is not safe to save.', 'Dismiss'],
  no_space: ['There is not enough free space to save the files.', 'Dismiss'],
  too_many: ['That is more files than one transfer can carry.', 'Dismiss'],
  too_large: ['These files are too large to be received here.', 'Dismiss'],
  nothing_to_send: ['There is nothing to send in what was chosen.', 'Choose files'],
  cancelled: ['The transfer was cancelled.', 'Dismiss'],
  peer_cancelled: ['The other side cancelled the transfer.', 'Dismiss'],
  integrity: ['A file arrived damaged again and again, so the transfer was stopped.', 'Send again'],
  changed: ['A file changed or went away while it was being sent.', 'Send again'],
  disk: ['A file could not be read or written.', 'Try again'],
  busy: ['The other side has too many transfers waiting.', 'Try again'],
  broken: ['The connection broke before the transfer was complete.', 'Start again'],
  message_too_long: ['This message is too long to send in one piece.', 'Shorten it'],
  not_delivered: ['The other side has not confirmed the last messages yet.', 'Try again'],
  unexpected: ['Something unexpected went wrong.', 'Start again'],
});

/** Every code that `problem` knows. */
export const KNOWN_CODES = Object.freeze(Object.keys(KNOWN));

/**
 * Makes the problem for a known code, or `unexpected` for an unknown one.
 *
 * @param {string} code
 * @param {{sentence?: string, action?: string}} [better] a more exact sentence or action
 * @returns {Problem}
 */
export function problem(code, better = {}) {
  const known = Object.hasOwn(KNOWN, code) ? KNOWN[code] : KNOWN.unexpected;
  return new Problem(
    Object.hasOwn(KNOWN, code) ? code : 'unexpected',
    better.sentence ?? known[0],
    better.action ?? known[1],
    RETRYABLE.has(code),
  );
}

/**
 * Converts a thrown value into a problem; a problem is returned unchanged.
 *
 * @param {unknown} error
 * @param {string} [code] the code for what is not a problem yet
 * @returns {Problem}
 */
export function asProblem(error, code = 'unexpected') {
  if (error instanceof Problem) return error;
  return problem(code);
}
