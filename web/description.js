// @ts-check
// The other side's descriptions and candidates: parsed here, once, and written anew.
//
// Nothing reaches the browser as it came. Two parsers of one text may read it differently, and the
// words that people compare would then vouch for a certificate that the browser never checked: so
// the browser gets only lines that this module wrote from what it understood.

/** Most lines of a description that is looked at. */
const MAX_LINES = 512;
/** Most candidates of one description. */
const MAX_CANDIDATES = 64;
/** Most characters of one candidate; ours have less than 200. */
const MAX_CANDIDATE = 512;
/** Most characters of an ICE name or password (RFC 8839, section 5.4). */
const MAX_CREDENTIAL = 256;

/** A description that is not one of a data connection. */
export class DescriptionError extends Error {}

const MEDIA = /^m=application \d{1,5} (UDP|TCP)\/DTLS\/SCTP webrtc-datachannel *$/;

/**
 * The attributes that are handed on, each with the values that it may have. One that is not here,
 * or has another value, is left out.
 */
const ATTRIBUTES = Object.freeze({
  'ice-ufrag': new RegExp(`^[\\x21-\\x7e]{4,${MAX_CREDENTIAL}}$`),
  'ice-pwd': new RegExp(`^[\\x21-\\x7e]{22,${MAX_CREDENTIAL}}$`),
  'ice-options': /^[A-Za-z0-9+/ -]{1,64}$/,
  setup: /^(actpass|active|passive)$/,
  mid: /^[A-Za-z0-9_-]{1,32}$/,
  'sctp-port': /^\d{1,5}$/,
  'max-message-size': /^\d{1,10}$/,
  'sctp-init': /^[A-Za-z0-9+/]{1,1024}={0,2}$/,
});

/** A candidate (RFC 8839, section 5.1), as far as it is used. */
const CANDIDATE =
  /^candidate:([A-Za-z0-9+/]{1,32}) 1 (udp|tcp) (\d{1,10}) (\S{1,256}) (\d{1,5}) typ (host|srflx|prflx|relay)((?: \S{1,256})*)$/i;
/** An address; or a name of the local network, behind which browsers hide theirs. */
const ADDRESS = /^(\d{1,3}(\.\d{1,3}){3}|[0-9a-f:]*:[0-9a-f:]*(\d{1,3}(\.\d{1,3}){3})?|[0-9a-z-]{1,63}\.local)$/i;

/**
 * Writes the other side's description anew: one data section and nothing else, one fingerprint,
 * candidates up to a bound, and no claim that there are no more of them.
 *
 * @param {string} sdp
 * @returns {{sdp: string, candidates: number}} how many candidates are in it
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
  const candidates = lines
    .filter((line) => line.startsWith('a=candidate:'))
    .slice(0, MAX_CANDIDATES)
    .flatMap((line) => cleanCandidate(line.slice(2)) ?? []);
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
  return { sdp: `${written.join('\r\n')}\r\n`, candidates: candidates.length };
}

/**
 * Writes a candidate anew, or returns null for what is none, or of no use to a browser.
 *
 * @param {string} text
 * @returns {string | null}
 */
export function cleanCandidate(text) {
  if (text.length > MAX_CANDIDATE) return null;
  const match = CANDIDATE.exec(text.trimEnd());
  if (match === null || !ADDRESS.test(match[4])) return null;
  const [, foundation, transport, priority, address, port, type, rest] = match;
  if (Number(priority) >= 2 ** 32 || Number(port) > 65535) return null;
  const words = rest.trim().split(' ');
  /** @param {string} name */
  const extension = (name) => words[words.indexOf(name) + 1] ?? '';
  const related = ADDRESS.test(extension('raddr')) && /^\d{1,5}$/.test(extension('rport'));
  const tcp = /^(active|passive|so)$/.test(extension('tcptype'));
  return [
    `candidate:${foundation} 1 ${transport} ${priority} ${address} ${port} typ ${type}`,
    ...(related ? [`raddr ${extension('raddr')} rport ${extension('rport')}`] : []),
    ...(tcp ? [`tcptype ${extension('tcptype')}`] : []),
  ].join(' ');
}

/**
 * @param {readonly string[]} lines
 * @returns {[name: string, value: string][]} each name once; all copies must be the same
 */
function readAttributes(lines) {
  const found = new Map();
  for (const line of lines) {
    const match = /^a=([a-z-]+):(.*)$/.exec(line);
    if (match === null || !Object.hasOwn(ATTRIBUTES, match[1])) continue;
    const [, name, value] = match;
    if (!ATTRIBUTES[/** @type {keyof typeof ATTRIBUTES} */ (name)].test(value.trimEnd())) continue;
    if (found.has(name) && found.get(name) !== value.trimEnd())
      throw new DescriptionError(`two values of ${name}`);
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
 * @throws {DescriptionError} none, or several different ones
 */
export function fingerprintOf(sdp) {
  const found = new Set();
  for (const line of sdp.split(/\r\n|\r|\n/)) {
    const match = /^a=fingerprint:sha-256 ([0-9a-f]{2}(?::[0-9a-f]{2}){31})[ \t]*$/i.exec(line);
    if (match) found.add(match[1].toUpperCase());
  }
  if (found.size !== 1) throw new DescriptionError('no single SHA-256 fingerprint');
  const [value] = found;
  return Uint8Array.from(value.split(':'), (/** @type {string} */ hex) => parseInt(hex, 16));
}

/** @param {Uint8Array} fingerprint */
function fingerprintText(fingerprint) {
  const pairs = Array.from(fingerprint, (byte) => byte.toString(16).padStart(2, '0'));
  return pairs.join(':').toUpperCase();
}

/**
 * What a browser tells of the certificate that DTLS verified, if it does.
 *
 * @param {RTCPeerConnection} pc
 * @returns {Promise<Uint8Array<ArrayBuffer> | null>} its SHA-256 fingerprint
 */
export async function verifiedFingerprint(pc) {
  const certificates = pc.sctp?.transport?.getRemoteCertificates?.() ?? [];
  if (certificates.length > 0)
    return new Uint8Array(await crypto.subtle.digest('SHA-256', certificates[0]));
  const report = [.../** @type {ReadonlyMap<string, any>} */ (await pc.getStats()).values()];
  const transport = report.find(({ type }) => type === 'transport');
  const certificate = report.find(({ id }) => id === transport?.remoteCertificateId);
  if (certificate?.fingerprintAlgorithm !== 'sha-256') return null;
  return fingerprintOf(`a=fingerprint:sha-256 ${certificate.fingerprint}`);
}
