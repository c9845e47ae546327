// @ts-check
// The library in JavaScript: codes, rooms, links, chat and transfers, for any program in a browser.
//
//     import { Room } from './client/index.js';
//     const room = await Room.host({ server: location.origin, name: 'Anna' });
//
// The folders have the names of those of `peer/`. A module below this one uses what workers have,
// too, and RTCPeerConnection: never `document` or `window`, and nothing of the page, which is the
// first user of the library. Imports point downward only (tests/web/test_layers.py): words; machines,
// which know no clock, network or disk; what does input and output; assembly.

export { Link } from './link/link.js';
export { Problem, asProblem, problem } from './problems.js';
export { Room } from './room/room.js';
export { Code } from './security/codes.js';
export { isSameServer, serverOf } from './security/pasted.js';
export { Manifest, manifestFrom } from './transfer/disk/manifest.js';
export { Shelf } from './transfer/disk/shelf.js';
export { canUseDisk } from './transfer/disk/sink.js';
export { removeOldFiles } from './transfer/disk/stores.js';
