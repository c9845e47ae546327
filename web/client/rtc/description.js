// @ts-check
// The peer's descriptions and candidates: parsed once and generated anew. A machine.
//
// No line of the peer reaches the browser. Two parsers may read one text differently, and then the
// words that people compare would authenticate a certificate that the browser never checked. So the
// browser gets only lines that this module has written.

/** Maximum number of lines of a description that is parsed. */
const MAX_LINES = 512;
/** Maximum number of candidates of one description. */
const MAX_CANDIDATES = 64;
/** Maximum number of mDNS names that a browser resolves for one connection. */
export const MAX_NAMES = 16;
/** Maximum length of one candidate, in characters; ours have less than 200. */
const MAX_CANDIDATE = 512;
/** Maximum length of an ICE ufrag or password, in characters (RFC 8839, 5.4). */
const MAX_CREDENTIAL = 256;

/**
 * One entry of a browser's statistics, with the fields that are read.
 *
 * @typedef {{id: string, type: string, selectedCandidatePairId?: string, selected?: boolean,
 *   nominated?: boolean, state?: string, localCandidateId?: string, remoteCandidateId?: string,
 *   currentRoundTripTime?: number, candidateType?: string, address?: string | null, ip?: string,
 *   port?: number, protocol?: string, relayProtocol?: string, remoteCertificateId?: string,
 *   fingerprintAlgorithm?: string, fingerprint?: string}} Stats
 */
/**
 * The part of `RTCPeerConnection` that describes the certificate.
 *
 * @typedef {{sctp?: {transport: {getRemoteCertificates?: () => ArrayBuffer[]} | null} | null,
 *   getStats: () => Promise<ReadonlyMap<string, Stats> | RTCStatsReport>}} Connection
 */

/** A description does not describe a data connection. */
export class DescriptionError extends Error {}

const MEDIA = /^m=application \d{1,5} (UDP|TCP)\/DTLS\/SCTP webrtc-datachannel *$/;

/**
 * The attributes that are kept, each with its permitted values. Other attributes, and other values,
 * are left out.
 */
const ATTRIBUTES = Object.freeze({
  'ice-ufrag': new RegExp(`^[\\x21-\\x7e]{4,${MAX_CREDENTIAL}}$`),
  'ice-pwd': new RegExp(`^[\\x21-\\x7e]{22,${MAX_CREDENTIAL}}$`),
  setup: /^(actpass|active|passive)$/,
  mid: /^[A-Za-z0-9_-]{1,32}$/,
  'sctp-port': /^\d{1,5}$/,
  'max-message-size': /^\d{1,10}$/,
  'sctp-init': /^[A-Za-z0-9+/]{1,1024}={0,2}$/,
});

/** The used part of a candidate (RFC 8839, 5.1). */
const CANDIDATE =
  /^candidate:([A-Za-z0-9+/]{1,32}) 1 udp (\d{1,10}) (\S{1,80}) (\d{1,5}) typ (host|srflx|prflx|relay)((?: \S{1,256})*)$/i;
/** mDNS names as browsers make them: with other names a peer could probe the local network. */
const NAME = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.local$/i;

/**
 * Writes the peer's description anew: one data section, one fingerprint and a bounded number of
 * candidates, without `end-of-candidates`.
 *
 * @param {string} sdp
 * @returns {{sdp: string, candidates: number, names: number}} the numbers of its candidates, and of
 *   the mDNS names that it asked to resolve
 * @throws {DescriptionError}
 */
export function cleanDescription(sdp) {
  const lines = sdp.split(/\r\n|\r|\n/, MAX_LINES + 1);
  if (lines.length > MAX_LINES) throw new DescriptionError('a description of too many lines');
  const media = lines.filter((line) => line.startsWith('m='));
  if (media.length !== 1 || !MEDIA.test(media[0]))
    throw new DescriptionError('not a description of one data section');
  const attributes = readAttributes(lines);
  const mid = attributes.find(([name]) => name === 'mid')?.[1] ?? '0';
  let names = 0;
  const candidates = lines
    .filter((line) => line.startsWith('a=candidate:'))
    .slice(0, MAX_CANDIDATES)
    .flatMap((line) => cleanCandidate(line.slice(2)) ?? [])
    .filter((candidate) => !isNamed(candidate) || (names += 1) <= MAX_NAMES);
  const written = [
    'v=0',
    'o=- 1 1 IN IP4 127.0.0.1',
    's=-',
    't=0 0',
    `a=group:BUNDLE ${mid}`,
    ...(lines.includes('a=ice-lite') ? ['a=ice-lite'] : []),
    media[0].trimEnd(),
    'c=IN IP4 0.0.0.0',
    `a=fingerprint:sha-256 ${fingerprintText(fingerprintOf(sdp))}`,
    ...attributes.filter(([name]) => name !== 'mid').map((pair) => `a=${pair.join(':')}`),
    `a=mid:${mid}`,
    ...candidates.map((candidate) => `a=${candidate}`),
  ];
  return { sdp: `${written.join('\r\n')}\r\n`, candidates: candidates.length, names };
}

/**
 * Generates a candidate anew; null if it is malformed or useless to a browser.
 *
 * @param {string} text
 * @returns {string | null}
 */
export function cleanCandidate(text) {
  if (text.length > MAX_CANDIDATE) return null;
  const match = CANDIDATE.exec(text.trimEnd());
  if (match === null) return null;
  const [, foundation, priority, given, port, type, rest] = match;
  const address = NAME.test(given) ? given : addressOf(given);
  if (address === null || isForMany(address) || !isIn(priority, 1, 2 ** 31 - 1)) return null;
  if (!isIn(port, 1, 65535)) return null;
  const words = rest.trim().split(' ');
  /** @param {string} name */
  const extension = (name) => words[words.indexOf(name) + 1] ?? '';
  const [origin, originPort] = [addressOf(extension('raddr')), extension('rport')];
  const related = origin !== null && isIn(originPort, 0, 65535);
  return [
    `candidate:${foundation} 1 udp ${Number(priority)} ${address} ${Number(port)} typ ${type.toLowerCase()}`,
    ...(related ? [`raddr ${origin} rport ${Number(originPort)}`] : []),
  ].join(' ');
}

/** @param {string} candidate as `cleanCandidate` wrote it */
export const isNamed = (candidate) => candidate.includes('.local ');

/**
 * @param {string} text
 * @param {number} least
 * @param {number} most
 */
const isIn = (text, least, most) => /^\d{1,10}$/.test(text) && Number(text) >= least && Number(text) <= most;

/**
 * An IP address in its usual form.
 *
 * @param {string} text
 * @returns {string | null} null if the text is not an address
 */
function addressOf(text) {
  if (/^(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}$/.test(text))
    return text.split('.').every((part) => Number(part) < 256) ? text : null;
  if (!/^[0-9a-f:.]*:[0-9a-f:.]*$/i.test(text)) return null;
  try {
    return new URL(`http://[${text}]`).hostname.slice(1, -1); // the URL parser normalises IPv6
  } catch {
    return null;
  }
}

/**
 * Whether an address cannot belong to one machine: it is unspecified, broadcast, multicast, or an IPv4
 * address embedded in IPv6.
 *
 * @param {string} address
 */
function isForMany(address) {
  const first = Number(address.split('.')[0]);
  const isMany4 = ['0.0.0.0', '255.255.255.255'].includes(address) || (first >= 224 && first <= 239);
  return address.includes(':') ? /^(::$|ff|::ffff:)/i.test(address) : isMany4;
}

/**
 * @param {readonly string[]} lines
 * @returns {[name: string, value: string][]} each name once
 */
function readAttributes(lines) {
  const found = new Map();
  for (const line of lines) {
    const match = /^a=([a-z-]+):(.*)$/.exec(line);
    if (match === null || !Object.hasOwn(ATTRIBUTES, match[1])) continue;
    const [, name, value] = match;
    if (!ATTRIBUTES[/** @type {keyof typeof ATTRIBUTES} */ (name)].test(value.trimEnd())) continue;
    if (found.has(name)) throw new DescriptionError(`two values of ${name}`);
    found.set(name, value.trimEnd());
  }
  for (const name of ['ice-ufrag', 'ice-pwd', 'setup'])
    if (!found.has(name)) throw new DescriptionError(`no ${name}`);
  return [...found];
}

/**
 * The SHA-256 fingerprint of a description's certificate.
 *
 * @param {string} sdp
 * @returns {Uint8Array<ArrayBuffer>}
 * @throws {DescriptionError} there is no fingerprint, or more than one
 */
export function fingerprintOf(sdp) {
  const found = [];
  for (const line of sdp.split(/\r\n|\r|\n/)) {
    const match = /^a=fingerprint:sha-256 ([0-9a-f]{2}(?::[0-9a-f]{2}){31})[ \t]*$/i.exec(line);
    if (match) found.push(match[1]);
  }
  if (found.length !== 1) throw new DescriptionError('no single SHA-256 fingerprint');
  const [value] = found;
  return Uint8Array.from(value.split(':'), (/** @type {string} */ hex) => parseInt(hex, 16));
}

/** @param {Uint8Array} fingerprint */
function fingerprintText(fingerprint) {
  const pairs = Array.from(fingerprint, (byte) => byte.toString(16).padStart(2, '0'));
  return pairs.join(':').toUpperCase();
}

/**
 * The fingerprint of the certificate that DTLS verified; null if the browser does not report it.
 *
 * @param {Connection} pc
 * @returns {Promise<Uint8Array<ArrayBuffer> | null>} SHA-256
 */
export async function verifiedFingerprint(pc) {
  const certificates = pc.sctp?.transport?.getRemoteCertificates?.() ?? [];
  if (certificates.length > 0)
    return new Uint8Array(await crypto.subtle.digest('SHA-256', certificates[0]));
  const report = [.../** @type {ReadonlyMap<string, Stats>} */ (await pc.getStats()).values()];
  const transport = report.find(({ type }) => type === 'transport');
  const certificate = report.find(({ id }) => id === transport?.remoteCertificateId);
  if (certificate?.fingerprintAlgorithm !== 'sha-256') return null;
  return fingerprintOf(`a=fingerprint:sha-256 ${certificate.fingerprint ?? ''}`);
}
