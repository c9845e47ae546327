// The words of the page: figures, names, paths, and the recovery from each problem.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { NAMELESS, atStart, formatBytes, formatDuration, formatRate, joinFacts, plural } from '../../web/page/ui/format.js';
import { defaultName } from '../../web/page/ui/names.js';
import { describePath } from '../../web/page/ui/path.js';
import { recoveryAction, secureRecoveryAction } from '../../web/page/ui/recovery_actions.js';
import { commandFor } from '../../web/page/ui/waiting.js';
import { problem } from '../../web/client/problems.js';

/** With ordinary instead of no-break spaces. */
const read = (/** @type {string} */ text) => text.replaceAll('\u00a0', ' ');

test('sizes have three figures at most and never show 1000 of a unit', () => {
  const { sizes } = JSON.parse(readFileSync(new URL('../vectors/sizes.json', import.meta.url), 'utf8'));
  for (const { bytes, text } of sizes) assert.equal(read(formatBytes(bytes)), text);
  assert.equal(read(formatRate(18.4e6)), '18.4 MB/s');
  assert.equal(formatBytes(64e6).includes(' '), false, 'a line may end before the unit');
});

test('a forecast is never zero and gets coarser with its length', () => {
  const said = { 0: '1 s', 0.4: '1 s', 59.4: '59 s', 59.6: '1 min', 3599: '1 h', 4200: '1 h 10 min', 100_000: '28 h' };
  for (const [seconds, text] of Object.entries(said)) assert.equal(read(formatDuration(Number(seconds))), text);
});

test('facts that are not there leave no gap', () => {
  assert.equal(joinFacts('12 MB', '', '3 s left'), '12 MB · 3 s left');
  assert.equal(plural(1, 'file'), '1 file');
  assert.equal(plural(1200, 'file'), '1,200 files');
});

test('only our own words take a capital letter at the start of a sentence', () => {
  assert.equal(atStart(NAMELESS), 'The other side');
  assert.equal(atStart('anna'), 'anna');
});

test('a device is named after its browser and system', () => {
  const said = {
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36': 'Chrome on Linux',
    'Mozilla/5.0 (iPhone; CPU iPhone OS 18_4 like Mac OS X) AppleWebKit/605.1.15 Version/18.4 Mobile/15E148 Safari/604.1': 'Safari on iPhone',
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:153.0) Gecko/20100101 Firefox/153.0': 'Firefox on Windows',
    'Mozilla/5.0 (Windows NT 10.0) Chrome/156.0.0.0 Safari/537.36 Edg/156.0.0.0': 'Edge on Windows',
    nothing: 'Browser',
  };
  for (const [agent, name] of Object.entries(said)) assert.equal(defaultName(agent), name);
});

/** A path whose ends are candidates of these types and addresses. */
/** @typedef {[type: string, address: string | null]} End */
const path = (
  /** @type {End} */ local,
  /** @type {End} */ remote,
  /** @type {'direct' | 'relayed'} */ kind = 'direct',
) => {
  const place = (/** @type {End} */ [type, address]) => ({ type, address, port: 1, protocol: 'udp' });
  return { kind, local: place(local), remote: place(remote), roundTrip: null };
};

test('a path is called by what it means, not by the candidate', () => {
  const LAN = 'Direct on your network';
  const INTERNET = 'Direct over the internet';
  /** @type {[local: End, remote: End, text: string][]} */
  const cases = [
    [['host', '192.168.1.2'], ['host', '192.168.1.3'], LAN],
    [['host', null], ['host', '0a1b.local'], LAN],
    [['prflx', '192.168.1.2'], ['host', '10.0.0.3'], LAN],
    [['host', '192.168.1.2'], ['prflx', '172.20.0.9'], LAN],
    [['host', 'fe80::1'], ['host', 'fe80::2'], LAN],
    [['host', '2001:db8:1:2::5'], ['host', '2001:db8:1:2:9::1'], LAN],
    [['host', '2001:db8:1:2::5'], ['host', '2001:db8:1:3::5'], INTERNET],
    [['host', '192.168.1.2'], ['srflx', '203.0.113.9'], INTERNET],
    [['srflx', '203.0.113.8'], ['host', '10.0.0.3'], INTERNET],
    [['prflx', '203.0.113.8'], ['prflx', '203.0.113.9'], INTERNET],
  ];
  for (const [local, remote, text] of cases) {
    assert.equal(describePath(path(local, remote)).text, text, `${String(local)} ${String(remote)}`);
  }
  const relayed = describePath(path(['relay', '203.0.113.1'], ['host', '10.0.0.1'], 'relayed'));
  assert.deepEqual(relayed, { icon: 'relay', text: 'Through a relay, still end-to-end encrypted' });
});

test('a code that is not spent can be tried again, a spent one cannot', () => {
  assert.equal(recoveryAction(problem('server_unreachable'), 'join').does, 'join');
  assert.equal(recoveryAction(problem('no_such_room'), 'join').does, 'edit');
  for (const code of ['wrong_code', 'room_full', 'no_path', 'no_network', 'peer_left', 'verification_failed']) {
    assert.equal(recoveryAction(problem(code), 'join').does, 'start', code);
    assert.match(recoveryAction(problem(code), 'join').more, /Codes work once/, code);
  }
  for (const code of ['wrong_code', 'no_path', 'room_closed', 'server_unreachable']) {
    assert.equal(recoveryAction(problem(code), 'host').does, 'host', code);
  }
  assert.equal(recoveryAction(problem('unexpected'), 'host').does, 'start');
});

test('the secure page is where the server says it is, with the code', async (t) => {
  const answers = { tls_port: /** @type {number | null} */ (8443) };
  t.mock.method(globalThis, 'fetch', async () => new Response(JSON.stringify(answers)));
  const address = new URL('http://192.168.1.2:8080/#7-guitar-ocean');
  assert.equal((await secureRecoveryAction(address)).href, 'https://192.168.1.2:8443/#7-guitar-ocean');
  assert.equal((await secureRecoveryAction(new URL('http://example.org/#7-a-b'))).href, 'https://example.org/#7-a-b');
  answers.tls_port = null;
  assert.equal((await secureRecoveryAction(address)).href, undefined);
});

test('the command for the other side names the server, and never the code', () => {
  for (const [link, command] of [
    ['https://example.org/#7-guitar-ocean', 'peerline receive --server https://example.org'],
    ['http://10.0.0.1:8080/a/#7-guitar-ocean', 'peerline receive --server http://10.0.0.1:8080/a'],
    ['http://[::1]:80/#7-guitar-ocean', "peerline receive --server 'http://[::1]:80'"],
    ["http://a.test/';x/#7-guitar-ocean", String.raw`peerline receive --server 'http://a.test/'\'';x'`],
  ])
    assert.equal(commandFor(link), command);
});
