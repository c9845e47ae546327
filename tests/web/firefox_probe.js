// Runs in Firefox for test_page_firefox.py: meets Python in a room, reports arrivals by chat, and
// sends the files back.

import { Room } from '/client/room/room.js';
import { canUseDisk } from '/client/transfer/disk/sink.js';

await canUseDisk(); // the page asks for it when it loads; the test stops its server
const options = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
const room = await Room.join({ ...options, name: 'Firefox' });
room.addEventListener('link', ({ detail: link }) => {
  const say = (/** @type {string} */ text) => link.sendChat(text);
  link.addEventListener('offer', ({ detail: incoming }) => {
    say(`notice ${incoming.notice}`);
    incoming.accept().catch(({ sentence }) => say(`failed ${sentence}`));
  });
  link.addEventListener('transferfailed', ({ detail }) => say(`failed ${detail.problem?.sentence}`));
  link.addEventListener('transferdone', ({ detail }) => {
    if (detail.direction === 'in') void sendBack(link, detail.saved[0]);
  });
});

/**
 * @param {import('../../web/client/link/link.js').Link} link
 * @param {{name: string, file: File}} saved
 */
async function sendBack(link, { name, file }) {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', await file.arrayBuffer()));
  const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
  link.sendChat(`digest ${hex}`);
  const path = await link.path();
  link.sendChat(`path ${path?.kind}`);
  await link.sendFiles([new File([file], `back ${name}`)]);
}
