// @ts-check
// Reads pasted text that contains a code: the code alone, a link, or the whole command from the other
// side's screen with quotes, options and a prompt. A machine.
//
// A link and `--server` name the server of the code. The code must be used there: on any other
// server the same number belongs to another code. The rules are those of peer/security/pasted.py;
// tests/vectors/codes.json checks both.

import { problem } from '../problems.js';

/** Soft hyphens, zero-width spaces and joiners, direction marks, variation selectors. */
const INVISIBLE =
  /[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]/g;
const BLANKS = /[ \t\r\n]+/;
const OPENING = /^["'`\u2018\u2019\u201c\u201d<>()]+/;
const QUOTES = /^["'`\u2018\u2019\u201c\u201d<>()]+|["'`\u2018\u2019\u201c\u201d<>()]+$/g;
const ENDING = /^["'`\u2018\u2019\u201c\u201d<>();,]+|["'`\u2018\u2019\u201c\u201d<>();,]+$/g;
const LINK = /^[a-z][a-z0-9+.-]*:\/\//i;
const LINK_AT_END = /[a-z][a-z0-9+.-]*:\/\/[^ ]*$/i;
/** A link without its scheme, which some programs omit: `host/`, `10.0.0.1:8080`. */
const HOST_AT_END =
  /^(?:\[[0-9A-Fa-f:.]+\](?::\d+)?|localhost(?::\d+)?|[^ /:]+:\d+|[^ /:]+\.[^ /:]+(?::\d+)?|[^ /:]+(?=\/))(?:\/[^ ]*)?$/;

/** The start of a damaged link before a `#`: `https:/host`, `//host`. */
const ODD_LINK = /[/\\@]|:./s;
/** Names a server, anywhere in the text. */
const NAMED =
  /(?:peerline_server["']?(?:[ \t]*=[ \t]*|[ \t]+)|--server(?:=|[ \t\r\n]+))([^ \t\r\n]+)|([a-z][a-z0-9+.-]*:\/\/[^ \t\r\n]*)/gi;
/** The end of a line that continues a command, in several shells. */
const CONTINUED = /[\\`^][ \t]*\r?\n/g;

const PROGRAMS = new Set(['peerline', 'peerline.exe', 'peer.cli']);
const COMMANDS = new Set(['receive', 'chat', 'send']);
const WITH_VALUE = new Set(
  '--name --ice-config --engine --words --port --out -o --code-fd'.split(' '),
);
/** Ends a command for a shell. */
const ENDS = new Set(['&&', '||', '|', ';', '&', '>']);

/**
 * @typedef {object} Pasted the parts of a pasted text
 * @property {string | null} code the text of the code; null for a link without one
 * @property {string | null} server the named server, as it was written; null without one
 */

/**
 * Extracts the code and its server from a typed or pasted text.
 *
 * @param {string} text
 * @returns {Pasted}
 */
export function unwrap(text) {
  const whole = text.normalize('NFKC').replace(INVISIBLE, '').replace(CONTINUED, ' ');
  const [rest, given] = command(whole);
  const server = given ?? named(whole);
  const hash = rest.indexOf('#');
  if (hash >= 0) {
    const code = rest
      .slice(hash + 1)
      .replace(/%([0-7][0-9a-f])/gi, (_, /** @type {string} */ hex) => String.fromCharCode(parseInt(hex, 16)));
    return { code, server: serverAtEnd(rest.slice(0, hash)) ?? server };
  }
  const last = rest.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, '').split(BLANKS).pop() ?? '';
  return { code: LINK.test(last.replace(OPENING, '')) ? null : rest, server };
}

/**
 * The address of the server that a pasted link or command names, or null if it names none.
 *
 * @param {string} text
 * @returns {URL | null}
 * @throws {import('../problems.js').Problem} `other_server`: it names one that no browser can open
 */
export function serverOf(text) {
  const { server } = unwrap(text);
  if (server === null) return null;
  // WebCrypto needs a secure context, so only a server on the same device may lack TLS.
  const local = /^(localhost|127\.|\[::1\])/i.test(server);
  try {
    const url = new URL(LINK.test(server) ? server : `${local ? 'http' : 'https'}://${server}`);
    if (/^(https?|wss?):$/.test(url.protocol)) {
      url.protocol = url.protocol.replace(/^ws/, 'http');
      return url;
    }
  } catch {
    // Reported below: the code does not belong to this server.
  }
  throw problem('other_server', {
    sentence: 'This code belongs to another server, whose address cannot be used here.',
  });
}

/**
 * Whether two addresses belong to one server; a host may have several, each in its own folder.
 *
 * @param {URL} one
 * @param {URL} other
 */
export function isSameServer(one, other) {
  const folder = (/** @type {URL} */ { pathname }) =>
    pathname.replace(/\/(index\.html|v1\/ws\/?)?$/, '').replace(/\/$/, '');
  return one.host === other.host && folder(one) === folder(other);
}

/**
 * The link or host at the end of a text, before a fragment.
 *
 * @param {string} text
 */
function serverAtEnd(text) {
  const words = text.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, '').split(BLANKS);
  const last = words[words.length - 1].replace(OPENING, '');
  // This is a word of a sentence, not a link that was broken before its fragment.
  if (/[ \t\r\n]$/.test(text) && !ODD_LINK.test(last)) return null;
  const found = (LINK_AT_END.exec(last) ?? HOST_AT_END.exec(last))?.[0];
  if (found !== undefined) return found;
  const odd = last.replace(QUOTES, '');
  return ODD_LINK.test(odd) ? odd : null;
}

/**
 * The last server that a text names, anywhere: a false match only asks the person, but a missed one
 * spends the code.
 *
 * @param {string} text
 */
function named(text) {
  let server = null;
  for (const [, value, link] of text.matchAll(NAMED))
    server = (value ?? link).split('#', 1)[0].replace(ENDING, '') || server;
  return server;
}

/**
 * The arguments of the command in a text, or the whole text; and the server it names.
 *
 * @param {string} text
 * @returns {[rest: string, server: string | null]}
 */
function command(text) {
  for (const line of text.split('\n')) {
    const pieces = line.split(BLANKS).filter(Boolean);
    const programs = pieces.slice(0, -1).flatMap((piece, at) => (isProgram(piece) ? [at] : []));
    const last = programs.pop();
    if (last === undefined) continue;
    const at =
      [...programs, last].find((each) => COMMANDS.has(pieces[each + 1].toLowerCase())) ?? last;
    const variable = pieces.slice(0, at).find((piece) => /^peerline_server=/i.test(piece));
    const server = variable?.slice(variable.indexOf('=') + 1).replace(QUOTES, '') || null;
    return withoutOptions(pieces.slice(at + 1), server);
  }
  return [text, null];
}

/** @param {string} piece */
function isProgram(piece) {
  const name = piece.toLowerCase().replace(QUOTES, '').split(/[/\\]/).pop() ?? '';
  return PROGRAMS.has(name);
}

/**
 * @param {string[]} pieces of a command, without the program
 * @param {string | null} server
 * @returns {[rest: string, server: string | null]}
 */
function withoutOptions(pieces, server) {
  const kept = [];
  const rest = COMMANDS.has(pieces[0].toLowerCase()) ? pieces.slice(1) : [...pieces];
  for (let piece = rest.shift(); piece !== undefined && !ENDS.has(piece); piece = rest.shift()) {
    const equals = piece.indexOf('=');
    const option = (equals < 0 ? piece : piece.slice(0, equals)).toLowerCase();
    if (option === '--server') {
      const value = equals < 0 ? (rest.shift() ?? '') : piece.slice(equals + 1);
      server = value.replace(QUOTES, '') || server;
    } else if (WITH_VALUE.has(piece.toLowerCase())) {
      rest.shift();
    } else if (!piece.startsWith('-') || /^-+$/.test(piece)) {
      kept.push(piece);
    }
  }
  return [kept.join(' '), server];
}
