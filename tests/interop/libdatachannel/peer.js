// libdatachannel's RTCPeerConnection, driven by a test: a line of JSON in is a call, a line out its
// reply. The end of the input is the end of the process.

import { createInterface } from 'node:readline';
import { RTCPeerConnection } from 'node-datachannel/polyfill';
import { servant } from '../../support/stacks/verbs.mjs';

const reply = servant((settings) => new RTCPeerConnection({ iceServers: [], ...settings }));
const lines = createInterface({ input: process.stdin });
lines.on('line', async (line) => process.stdout.write(`${await reply(line)}\n`));
lines.on('close', () => process.exit());
