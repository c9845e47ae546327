// Verbs by which a test drives another WebRTC stack, in a browser or in Node: each call is the JSON
// of one verb with its arguments, each reply that of its result. `remote.py` is the other end.
// Payloads are compared by their SHA-256.

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

async function digestOf(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

const bytesOf = (message) =>
  typeof message === 'string' ? new TextEncoder().encode(message) : new Uint8Array(message);

async function described(message) {
  const bytes = bytesOf(message);
  return [typeof message === 'string' ? 'text' : 'bytes', bytes.length, await digestOf(bytes)];
}

async function joined(parts) {
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

function randomBytes(size) {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
  return bytes;
}

async function drained(raw, { above, down }) {
  if (raw.bufferedAmount <= above) return;
  raw.bufferedAmountLowThreshold = down;
  await new Promise((resolve) => {
    raw.addEventListener('bufferedamountlow', resolve, { once: true });
  });
}

/**
 * @param {(settings: object) => RTCPeerConnection} connect
 * @returns {(call: string) => Promise<string>} takes a call and gives its reply
 */
export function servant(connect) {
  let connection;
  let incoming;
  const channels = new Map();

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

  async function describe(type, sdp) {
    await connection.setLocalDescription({ type, sdp });
    return connection.localDescription.sdp;
  }

  const verbs = {
    begin({ settings }) {
      connection?.close(); // of a test that failed
      channels.clear();
      incoming = new Queue();
      connection = connect(settings);
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
      const { label, protocol, ordered, maxRetransmits, maxPacketLifeTime, negotiated, id } = raw;
      return { label, protocol, ordered, maxRetransmits, maxPacketLifeTime, negotiated, id };
    },
    async closed({ key }) {
      await channels.get(key).closed;
    },
    close: ({ key }) => channels.get(key).raw.close(),
    async flushed({ key }) {
      await drained(channels.get(key).raw, { above: 0, down: 0 });
    },
    count({ key, first, count, size }) {
      const { raw } = channels.get(key);
      for (let n = first; n < first + count; n += 1) raw.send(`${n}`.padEnd(size));
    },
    // The numbers that a closed channel had brought.
    async counted({ key }) {
      const { messages, closed } = channels.get(key);
      await closed;
      return messages.takeAll().map(Number);
    },
    // The next message: its type, bytes and digest.
    take: async ({ key }) => described(await channels.get(key).messages.get()),
    // The same; it is sent back as it came.
    async echo({ key }) {
      const { raw, messages } = channels.get(key);
      const message = await messages.get();
      raw.send(message);
      return described(message);
    },
    async stream({ key, count, size }) {
      const { raw } = channels.get(key);
      const parts = [];
      for (let n = 0; n < count; n += 1) {
        parts.push(randomBytes(size));
        await drained(raw, { above: 1 << 20, down: 65536 });
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

  return async (call) => {
    const { id, verb, ...args } = JSON.parse(call);
    try {
      return JSON.stringify({ id, result: (await verbs[verb](args)) ?? null });
    } catch (error) {
      return JSON.stringify({ id, error: `${verb}: ${error}` });
    }
  };
}
