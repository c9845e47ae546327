// @ts-check
// Signaling messages, version 1: building the client's, and checking the server's.
//
// Pure functions from text to objects and back. Text from the server, or from the peer through it, is
// hostile until checked: a message that passes `parseServer` has every field that is used, with the
// right type and a bounded size.

import { exceeds, fitName } from '../text.js';

/** The WebSocket subprotocol: names and versions the protocol. */
export const SUBPROTOCOL = 'peerline.signal.v1';

/** Maximum length of a `signal`'s data, in bytes of UTF-8. */
export const MAX_SIGNAL_DATA = 48 * 1024;

/** Maximum length of a frame that is parsed, in bytes: a welcome to a large room. */
const MAX_FRAME = 1024 * 1024;
const MAX_PEERS = 4096;
const MAX_ICE_SERVERS = 32;
const MAX_ICE_URLS = 16;

/** The kinds of `signal` messages. */
export const SIGNAL_KINDS = Object.freeze([
  'pake',
  'offer',
  'answer',
  'candidate',
  'end_of_candidates',
  'restart',
  'bye',
]);

/** @typedef {{peer: string, name: string, state: string}} PeerInfo */
/** @typedef {{servers: RTCIceServer[], policy: RTCIceTransportPolicy}} IceOffer */
/**
 * @typedef {{t: 'welcome', session: string, peer: string, room: string, code: string | null,
 *   peers: PeerInfo[], ice: IceOffer, heartbeat: number}} Welcome `heartbeat`: seconds within which
 *   a live server sends a message
 * @typedef {{t: 'peer', event: string, peer: string, name: string, reason: string}} PeerEvent
 * @typedef {{t: 'signal', from: string, link: string, gen: number, kind: string, data: string}} Signal
 * @typedef {{t: 'ok', id: number}} Ok
 * @typedef {{t: 'error', id: number | null, code: string, message: string, retryable: boolean,
 *   retryAfter: number | null}} ServerError
 * @typedef {{t: 'ping'}} Ping
 * @typedef {{t: 'ice', ice: IceOffer}} Ice
 * @typedef {{t: 'draining'}} Draining
 * @typedef {{t: 'unknown'}} Unknown a type of a later version: to be ignored
 * @typedef {Welcome | PeerEvent | Signal | Ok | ServerError | Ping | Ice | Draining | Unknown} ServerMessage
 */

/** A message does not follow the protocol. */
export class BadMessage extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = 'BadMessage';
  }
}

/**
 * @param {unknown} value
 * @returns {value is Record<string, unknown>}
 */
export function isRecord(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Parses JSON text that must be one object.
 *
 * @param {string} text
 * @param {number} longest most bytes of UTF-8
 * @returns {Record<string, unknown>}
 * @throws {BadMessage}
 */
export function parseObject(text, longest) {
  if (exceeds(text, longest)) throw new BadMessage('the message is too long');
  /** @type {unknown} */
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    throw new BadMessage('not JSON');
  }
  if (!isRecord(value)) throw new BadMessage('not an object');
  if (/\\u[dD][89a-fA-F]/.test(text) && hasHalfCharacter(value))
    throw new BadMessage('half a character');
  return value;
}

/**
 * Whether a text in a JSON value has a lone surrogate. UTF-8 cannot encode it, and parsers of other
 * languages refuse its escape.
 *
 * @param {object} value
 */
function hasHalfCharacter(value) {
  try {
    return /(?<!\\)(?:\\\\)*\\ud[89a-f]/.test(JSON.stringify(value));
  } catch (error) {
    // `JSON.parse` accepts any depth, `stringify` does not.
    if (error instanceof RangeError) throw new BadMessage('nested too deeply');
    throw error;
  }
}

/**
 * @param {Record<string, unknown>} record
 * @param {string} key
 * @param {number} longest
 * @returns {string}
 */
function text(record, key, longest) {
  const value = record[key];
  if (typeof value !== 'string' || value.length > longest) throw new BadMessage(`bad ${key}`);
  return value;
}

/**
 * @param {Record<string, unknown>} record
 * @param {string} key
 * @param {number} longest
 */
function optionalText(record, key, longest) {
  const value = record[key];
  return value === undefined || value === null ? '' : text(record, key, longest);
}

/**
 * @param {unknown} value
 * @returns {PeerInfo}
 */
function peerInfo(value) {
  if (!isRecord(value)) throw new BadMessage('bad peers');
  return {
    peer: text(value, 'peer', 64),
    name: fitName(value.name),
    state: optionalText(value, 'state', 32),
  };
}

/**
 * @param {unknown} value
 * @returns {IceOffer}
 */
function iceOffer(value) {
  if (value === undefined || value === null) return { servers: [], policy: 'all' };
  if (!isRecord(value)) throw new BadMessage('bad ice');
  const listed = value.servers ?? [];
  if (!Array.isArray(listed) || listed.length > MAX_ICE_SERVERS) throw new BadMessage('bad ice');
  const servers = listed.map((server) => {
    if (!isRecord(server)) throw new BadMessage('bad ice server');
    const urls = typeof server.urls === 'string' ? [server.urls] : server.urls;
    if (!Array.isArray(urls) || urls.length === 0 || urls.length > MAX_ICE_URLS) {
      throw new BadMessage('bad ice urls');
    }
    for (const url of urls) {
      if (typeof url !== 'string' || !/^(stun|stuns|turn|turns):[^\s]{1,300}$/.test(url)) {
        throw new BadMessage('bad ice url');
      }
    }
    /** @type {RTCIceServer} */
    const checked = { urls };
    if (typeof server.username === 'string') checked.username = server.username;
    if (typeof server.credential === 'string') checked.credential = server.credential;
    return checked;
  });
  return { servers, policy: value.policy === 'relay' ? 'relay' : 'all' };
}

/**
 * @param {unknown} value the server's `{interval, timeout}`, both in seconds
 * @returns {number}
 */
function heartbeat(value) {
  const { interval = 20, timeout = 10 } = isRecord(value) ? value : {};
  if (typeof interval !== 'number' || typeof timeout !== 'number')
    throw new BadMessage('bad heartbeat');
  return Math.min(Math.max(interval + timeout, 5), 3600);
}

/**
 * Parses one frame from the server.
 *
 * @param {unknown} frame a WebSocket message's data
 * @returns {ServerMessage}
 * @throws {BadMessage}
 */
export function parseServer(frame) {
  if (typeof frame !== 'string') throw new BadMessage('not a text frame');
  const message = parseObject(frame, MAX_FRAME);
  switch (message.t) {
    case 'welcome': {
      const peers = message.peers ?? [];
      if (!Array.isArray(peers) || peers.length > MAX_PEERS) throw new BadMessage('bad peers');
      return {
        t: 'welcome',
        session: optionalText(message, 'session', 256),
        peer: text(message, 'peer', 64),
        room: text(message, 'room', 256),
        code: optionalText(message, 'code', 16) || null,
        peers: peers.map(peerInfo),
        ice: iceOffer(message.ice),
        heartbeat: heartbeat(message.heartbeat),
      };
    }
    case 'peer':
      return {
        t: 'peer',
        event: text(message, 'event', 16),
        peer: text(message, 'peer', 64),
        name: fitName(message.name),
        reason: optionalText(message, 'reason', 64),
      };
    case 'signal': {
      const gen = message.gen;
      if (typeof gen !== 'number' || !Number.isSafeInteger(gen) || gen < 0)
        throw new BadMessage('bad gen');
      const link = text(message, 'link', 64);
      if (!/^[\x21-\x7e]+$/.test(link)) throw new BadMessage('bad link');
      const kind = text(message, 'kind', 32);
      if (!SIGNAL_KINDS.includes(kind)) throw new BadMessage('bad kind');
      return {
        t: 'signal',
        from: text(message, 'from', 64),
        link,
        gen,
        kind,
        data: text(message, 'data', MAX_SIGNAL_DATA),
      };
    }
    case 'ok':
      return { t: 'ok', id: typeof message.id === 'number' ? message.id : 0 };
    case 'error':
      return {
        t: 'error',
        id: typeof message.id === 'number' ? message.id : null,
        code: text(message, 'code', 64),
        message: optionalText(message, 'message', 1000),
        retryable: message.retryable === true,
        retryAfter: typeof message.retry_after === 'number' ? message.retry_after : null,
      };
    case 'ping':
      return { t: 'ping' };
    case 'ice':
      return { t: 'ice', ice: iceOffer(message.ice ?? message) };
    case 'draining':
      return { t: 'draining' };
    default:
      if (typeof message.t !== 'string') throw new BadMessage('no type');
      return { t: 'unknown' };
  }
}

/**
 * The first message: the room to enter, and this side's name.
 *
 * @param {{room: string, name?: string} | {code: string | true, name?: string}} where
 *   `code: true` allocates a code room, `code: "7"` joins one
 */
export function hello(where) {
  const name = fitName(where.name);
  return JSON.stringify({
    t: 'hello',
    ...('room' in where ? { room: where.room } : { code: where.code }),
    ...(name ? { name } : {}),
  });
}

/**
 * A message to another peer of the room.
 *
 * @param {{to: string, link: string, gen: number, kind: string, data: string}} signal
 */
export function signal({ to, link, gen, kind, data }) {
  return JSON.stringify({ t: 'signal', to, link, gen, kind, data });
}

/** The answer to the server's `ping`. */
export const PONG = JSON.stringify({ t: 'pong' });

/** The last message: this side leaves the room for good. */
export const LEAVE = JSON.stringify({ t: 'leave' });
