// Plain RTCPeerConnection, driven by a test over a WebSocket.

import { servant } from '/verbs.mjs';

const socket = new WebSocket(`ws://${location.host}/socket`);
const reply = servant((settings) => new RTCPeerConnection(settings));
socket.addEventListener('message', async ({ data }) => socket.send(await reply(data)));
