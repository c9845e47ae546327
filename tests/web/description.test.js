// The browser gets only generated lines of the peer's descriptions and candidates.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  DescriptionError,
  cleanCandidate,
  cleanDescription,
  fingerprintOf,
  verifiedFingerprint,
} from '../../web/client/rtc/description.js';

const HEX = Array(32).fill('AB').join(':');
const OTHER = HEX.replace('AB', 'AC');
const HOST = 'candidate:1 1 udp 2130706431 192.168.1.2 5000 typ host';
const LINES = [
  'v=0',
  'o=- 1 2 IN IP4 127.0.0.1',
  's=-',
  't=0 0',
  'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
  'c=IN IP4 0.0.0.0',
  'a=mid:data',
  'a=ice-ufrag:Ab+/',
  'a=ice-pwd:0123456789abcdefghijkl',
  'a=ice-options:trickle',
  'a=setup:actpass',
  `a=fingerprint:sha-256 ${HEX}`,
  `a=${HOST} generation 0 ufrag Ab+/ network-cost 999`,
  'a=end-of-candidates',
  'a=sctp-port:5000',
  'a=max-message-size:262144',
  '',
];
const SDP = LINES.join('\r\n');
const insert = (/** @type {string[]} */ ...lines) => SDP.replace('a=mid:data', ['a=mid:data', ...lines].join('\r\n'));

test('a description is written anew from what was understood', () => {
  const { sdp, candidates } = cleanDescription(SDP);
  assert.equal(candidates, 1);
  assert.deepEqual(sdp.split('\r\n'), [
    'v=0',
    'o=- 1 1 IN IP4 127.0.0.1',
    's=-',
    't=0 0',
    'a=group:BUNDLE data',
    'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
    'c=IN IP4 0.0.0.0',
    `a=fingerprint:sha-256 ${HEX}`,
    'a=ice-ufrag:Ab+/',
    'a=ice-pwd:0123456789abcdefghijkl',
    'a=setup:actpass',
    'a=sctp-port:5000',
    'a=max-message-size:262144',
    'a=mid:data',
    `a=${HOST}`,
    '',
  ]);
});

const ODD = {
  'behind a blank': ` a=fingerprint:sha-256 ${OTHER}`,
  'behind another blank': `\u000ba=fingerprint:sha-256 ${OTHER}`,
  'with two blanks': `a=fingerprint:sha-256  ${OTHER}`,
  'with a tab': `a=fingerprint:sha-256\t${OTHER}`,
  'without a blank': `a=fingerprint:sha-256${OTHER}`,
  'after a zero byte': `\0a=fingerprint:sha-256 ${OTHER}`,
  'before a separator': `a=x\u2028a=fingerprint:sha-256 ${OTHER}`,
  'of another digest': `a=fingerprint:sha-512 ${OTHER}:${OTHER}`,
  'in another attribute': `a=ice-options:trickle a=fingerprint:sha-256 ${OTHER}`,
  'in the middle of a line': `a=sctp-port:5000 a=fingerprint:sha-256 ${OTHER}`,
};
for (const [name, line] of Object.entries(ODD)) {
  test(`a second fingerprint ${name} does not reach the browser`, () => {
    const { sdp } = cleanDescription(insert(line));
    assert.ok(!sdp.includes('AC:AB'), sdp);
    assert.equal(sdp.match(/fingerprint/gi)?.length, 1);
  });
}

const REFUSED = {
  'of video': SDP.replace('m=application', 'm=video'),
  'with a second section': `${SDP}m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n`,
  'with a second data section': `${SDP}m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n`,
  'with a section behind a bare line end': `${SDP}a=x\rm=audio 9 UDP/TLS/RTP/SAVPF 111\r`,
  'without any section': 'v=0\r\n',
  'without a fingerprint': SDP.replace(`a=fingerprint:sha-256 ${HEX}\r\n`, ''),
  'with two fingerprints': insert(`a=fingerprint:sha-256 ${OTHER}`),
  'with two fingerprints in one line': insert(`a=fingerprint:sha-256 ${HEX}\ra=fingerprint:SHA-256 ${OTHER}`),
  'with a second fingerprint in another case': insert(`a=FINGERPRINT:sha-256 ${OTHER}`),
  'with a short fingerprint': SDP.replace(HEX, 'AB:AB'),
  'with the same fingerprint twice': insert(`a=fingerprint:sha-256 ${HEX}`),
  'with the same role twice': insert('a=setup:actpass'),
  'with two passwords': insert('a=ice-pwd:xxxxxxxxxxxxxxxxxxxxxxxx'),
  'without a password': SDP.replace(/a=ice-pwd.*\r\n/, ''),
  'without roles': SDP.replace('a=setup:actpass\r\n', ''),
  'of too many lines': SDP + 'a=x\r\n'.repeat(600),
};
for (const [name, sdp] of Object.entries(REFUSED)) {
  test(`a description ${name} is refused`, () => {
    assert.throws(() => cleanDescription(sdp), DescriptionError);
  });
}

test('candidates are bounded', () => {
  const many = Array.from({ length: 400 }, (_, i) => `a=${HOST.replace('5000', String(5000 + i))}`);
  const { sdp, candidates } = cleanDescription(insert(...many));
  assert.equal(candidates, 64);
  assert.equal(sdp.match(/a=candidate/g)?.length, 64);
});

test('names that the browser would look up are bounded', () => {
  const name = (/** @type {number} */ i) => `0a1b2c3d-0000-4000-8000-${String(i).padStart(12, '0')}.local`;
  const many = Array.from({ length: 40 }, (_, i) => `a=${HOST.replace('192.168.1.2', name(i))}`);
  const { sdp, names } = cleanDescription(insert(...many));
  assert.equal(names, 40);
  assert.equal(sdp.match(/\.local/g)?.length, 16);
  assert.match(sdp, /192\.168\.1\.2/);
});

test('a candidate keeps what a browser needs, and nothing else', () => {
  const kept = {
    [HOST]: HOST,
    [`${HOST} generation 0 network-id 3`]: HOST,
    'candidate:2 1 UDP 1694498815 203.0.113.5 4000 typ srflx raddr 10.0.0.1 rport 5000':
      'candidate:2 1 udp 1694498815 203.0.113.5 4000 typ srflx raddr 10.0.0.1 rport 5000',
    'candidate:3 1 udp 1518280447 FD00:0::1 9 typ host generation 0':
      'candidate:3 1 udp 1518280447 fd00::1 9 typ host',
    'candidate:4 1 udp 2113937151 0a1b2c3d-0000-4000-8000-123456789abc.local 5000 typ host':
      'candidate:4 1 udp 2113937151 0a1b2c3d-0000-4000-8000-123456789abc.local 5000 typ host',
  };
  for (const [text, cleaned] of Object.entries(kept)) assert.equal(cleanCandidate(text), cleaned);
});

test('a candidate that names a host of the internet, or makes no sense, is left out', () => {
  for (const text of [
    '',
    'candidate:',
    HOST.replace('192.168.1.2', 'tracker.example.com'),
    ...[
      ...['a.b.local', 'printer.local', '0a1b2c3d-0000-4000-8000-123456789abc.local.example'],
      ...['0.0.0.0', '255.255.255.255', '224.0.0.251', '239.1.2.3', '256.1.1.1', '1.2.3', '01.2.3.4'],
      ...['::', 'ff02::fb', 'FF02::1', '::ffff:10.0.0.1', '::ffff:a00:1', 'fe80::1%eth0', '[::1]', ':::'],
    ].map((address) => HOST.replace('192.168.1.2', address)),
    HOST.replace('udp', 'tcp'),
    HOST.replace('2130706431', '0'),
    HOST.replace(' 5000', ' 0'),
    HOST.replace('5000', '70000'),
    HOST.replace('2130706431', '9999999999'),
    HOST.replace(' 1 udp', ' 2 udp'),
    `${HOST}\r\na=fingerprint:sha-256 ${OTHER}`,
    `${HOST} ${'x '.repeat(300)}`,
  ])
    assert.equal(cleanCandidate(text), null, text);
});

test('the certificate that DTLS verified is read where the browser tells it', async () => {
  const der = new TextEncoder().encode('certificate').buffer;
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', der));
  const transport = { getRemoteCertificates: () => [der] };
  assert.deepEqual(await verifiedFingerprint({ sctp: { transport }, getStats: async () => new Map() }), digest);

  const stats = (/** @type {object} */ certificate) => ({
    getStats: async () =>
      new Map([
        ['T', { id: 'T', type: 'transport', remoteCertificateId: 'C' }],
        ['C', { id: 'C', type: 'certificate', ...certificate }],
      ]),
  });
  const told = stats({ fingerprintAlgorithm: 'sha-256', fingerprint: OTHER });
  assert.deepEqual(await verifiedFingerprint(told), fingerprintOf(`a=fingerprint:sha-256 ${OTHER}`));
  assert.equal(await verifiedFingerprint(stats({ fingerprintAlgorithm: 'sha-1' })), null);
  assert.equal(await verifiedFingerprint({ getStats: async () => new Map() }), null);
});
