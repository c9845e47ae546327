// werift's RTCPeerConnection, driven by a test: a line of JSON in is a call, a line out its reply.
// The end of the input is the end of the process.

import { createInterface } from 'node:readline';
import { RTCPeerConnection } from 'werift';
import { servant } from '../../support/stacks/verbs.mjs';

// werift throws at a chunk of a type that it does not know, where nobody catches it: by default
// that is the end of the process. RFC 9260, 3.2 says to skip it. Here it is PAD (RFC 4820),
// with which we probe how large packets may be; the whole probe is lost on werift.
process.on('unhandledRejection', (error) => {
  if (error.message !== 'unknown') throw error;
});

const reply = servant(
  // It would ask a public STUN server otherwise.
  (settings) => new RTCPeerConnection({ iceServers: [], ...settings }),
);
const lines = createInterface({ input: process.stdin });
lines.on('line', async (line) => process.stdout.write(`${await reply(line)}\n`));
lines.on('close', () => process.exit());
