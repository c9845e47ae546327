// What Firefox does in test_page_firefox.py: it meets Python in a room, tells by chat what arrived,
// and sends it back.

import { Room } from '/client/room/room.js';
import { canUseDisk } from '/client/transfer/disk/sink.js';

await canUseDisk(); // the page has asked when it was loaded; the test takes its server away
const options = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
const room = await Room.join({ ...options, name: 'Firefox' });
room.addEventListener('link', ({ detail: link }) => {
  const say = (text) => link.sendChat(text);
  link.addEventListener('offer', ({ detail: incoming }) => {
    say(`notice ${incoming.notice}`);
    incoming.accept().catch(({ sentence }) => say(`failed ${sentence}`));
  });
  link.addEventListener('transferfailed', ({ detail }) => say(`failed ${detail.problem.sentence}`));
  link.addEventListener('transferdone', async ({ detail }) => {
    if (detail.direction === 'out') return;
    const [{ name, file }] = detail.saved;
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', await file.arrayBuffer()));
    say(`digest ${Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('')}`);
    const path = await link.path();
    say(`path ${path?.kind}`);
    await link.sendFiles([new File([file], `back ${name}`)]);
  });
});
