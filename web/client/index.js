// @ts-check
// The library in JavaScript: codes, rooms, links, chat and transfers, for any program in a browser.
//
//     import { Room } from './client/index.js';
//     const room = await Room.host({ server: location.origin, name: 'Anna' });
//
// The folders are named like those of `peer/`. The modules use RTCPeerConnection and interfaces
// that workers have as well: never `document` or `window`, and nothing of the page, which is the
// first user of the library. Imports point downward only (tests/web/test_layers.py): words;
// machines, which have no clock, network or disk; input and output; assembly.

export { Link } from './link/link.js';
export { Problem, asProblem, problem } from './problems.js';
export { Room } from './room/room.js';
export { Code } from './security/codes.js';
export { isSameServer, serverOf } from './security/pasted.js';
export { Manifest, manifestFrom } from './transfer/disk/manifest.js';
export { Shelf } from './transfer/disk/shelf.js';
export { canUseDisk } from './transfer/disk/sink.js';
export { removeOldFiles } from './transfer/disk/stores.js';
