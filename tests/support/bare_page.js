// Plain RTCPeerConnection, driven by a test over a WebSocket: each message is a call of one of
// `verbs`, each reply its result. Payloads are compared by their SHA-256.

const socket = new WebSocket(`ws://${location.host}/socket`);
let connection;
let incoming;
const channels = new Map();

class Queue {
  #items = [];
  #waiting = [];

  put(item) {
    const next = this.#waiting.shift();
    if (next) next(item);
    else this.#items.push(item);
  }

  takeAll() {
    return this.#items.splice(0);
  }

  async get() {
    if (this.#items.length) return this.#items.shift();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

function keep(raw) {
  raw.binaryType = 'arraybuffer';
  const messages = new Queue();
  raw.addEventListener('message', ({ data }) => messages.put(data));
  const told = (name) =>
    new Promise((resolve) => raw.addEventListener(name, resolve, { once: true }));
  const opened = raw.readyState === 'open' ? Promise.resolve() : told('open');
  const channel = { raw, messages, opened, closed: told('close'), key: channels.size };
  channels.set(channel.key, channel);
  return channel;
}

async function digestOf(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

const bytesOf = (message) =>
  typeof message === 'string' ? new TextEncoder().encode(message) : new Uint8Array(message);

async function joined(parts) {
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

function randomBytes(size) {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
  return bytes;
}

async function drained(raw) {
  raw.bufferedAmountLowThreshold = 65536;
  if (raw.bufferedAmount <= 1 << 20) return;
  await new Promise((resolve) => {
    raw.addEventListener('bufferedamountlow', resolve, { once: true });
  });
}

async function describe(type, sdp) {
  await connection.setLocalDescription({ type, sdp });
  return connection.localDescription.sdp;
}

const verbs = {
  begin() {
    connection?.close(); // of a test that failed
    channels.clear();
    incoming = new Queue();
    connection = new RTCPeerConnection();
    connection.addEventListener('datachannel', ({ channel }) => incoming.put(keep(channel)));
  },
  async offer() {
    return describe('offer', (await connection.createOffer()).sdp);
  },
  async answer({ sdp }) {
    await connection.setRemoteDescription({ type: 'offer', sdp });
    return describe('answer', (await connection.createAnswer()).sdp);
  },
  async accept({ sdp }) {
    await connection.setRemoteDescription({ type: 'answer', sdp });
  },
  create: ({ label, options }) => keep(connection.createDataChannel(label, options)).key,
  taken: async () => (await incoming.get()).key,
  async opened({ key }) {
    const { raw, opened } = channels.get(key);
    await opened;
    const { label, protocol, ordered, maxRetransmits, negotiated, id } = raw;
    return { label, protocol, ordered, maxRetransmits, negotiated, id };
  },
  async closed({ key }) {
    await channels.get(key).closed;
  },
  close: ({ key }) => channels.get(key).raw.close(),
  count({ key, count, size }) {
    const { raw } = channels.get(key);
    for (let n = 0; n < count; n += 1) raw.send(`${n}`.padEnd(size));
  },
  // The numbers that a closed channel had brought.
  async counted({ key }) {
    const { messages, closed } = channels.get(key);
    await closed;
    return messages.takeAll().map(Number);
  },
  // What came next: its type, bytes and digest. It is sent back as it came.
  async echo({ key }) {
    const { raw, messages } = channels.get(key);
    const message = await messages.get();
    raw.send(message);
    const bytes = bytesOf(message);
    return [typeof message === 'string' ? 'text' : 'bytes', bytes.length, await digestOf(bytes)];
  },
  async stream({ key, count, size }) {
    const { raw } = channels.get(key);
    const parts = [];
    for (let n = 0; n < count; n += 1) {
      parts.push(randomBytes(size));
      await drained(raw);
      raw.send(parts.at(-1));
    }
    return digestOf(await joined(parts));
  },
  async collect({ key, size }) {
    const { messages } = channels.get(key);
    const parts = [];
    for (let got = 0; got < size; got += parts.at(-1).byteLength) parts.push(await messages.get());
    return digestOf(await joined(parts));
  },
  leave: () => connection.close(),
};

socket.addEventListener('message', async ({ data }) => {
  const { id, verb, ...args } = JSON.parse(data);
  try {
    socket.send(JSON.stringify({ id, result: (await verbs[verb](args)) ?? null }));
  } catch (error) {
    socket.send(JSON.stringify({ id, error: `${verb}: ${error}` }));
  }
});
