// A world in one process: a signaling server, and WebRTC that connects two sides whose descriptions
// are genuine. It tests whole rooms and links, with an attacker on the server if a test has one.

/** @typedef {{t: string, [field: string]: unknown}} Message as JSON has it */
/** @typedef {Message & {from: string, to: string, kind: string, data: string}} Relayed */
/** @typedef {{type: 'offer' | 'answer', sdp: string}} Description */

const FINGERPRINT = /a=fingerprint:sha-256 (\S+)/;

/** A signaling server, as far as the page uses it. */
export class World {
  /** @type {Map<string, {peers: Map<string, FakeSocket>, code: boolean}>} */
  rooms = new Map();
  /**
   * Replaces each signal by the ones that the server delivers.
   * @type {(signal: any, world: World) => Message[]}
   */
  tamper = (signal) => [signal];
  /** Returns a room's name in the welcome. @type {(room: string) => string} */
  called = (room) => room;
  /** Number of further connections that find no path. */
  broken = 0;
  /** Whether the devices have a network. */
  hasNetwork = true;
  /** The fingerprint that the browsers report as verified; empty: they report none. */
  verified = '';
  /** All relayed signals. @type {any[]} */
  signals = [];
  #arrivals = 0;
  /** @type {Map<string, FakePeerConnection>} */
  connections = new Map();

  /** Replaces the browser's WebSocket and RTCPeerConnection by those of the world. */
  install() {
    // eslint-disable-next-line @typescript-eslint/no-this-alias -- in the classes `this` is another
    const world = this;
    globalThis.location = /** @type {any} */ ({ origin: 'http://server.test', href: 'http://server.test/' });
    globalThis.WebSocket = /** @type {any} */ (
      class extends FakeSocket {
        constructor(/** @type {string} */ url, /** @type {string} */ protocol) {
          super(world, url, protocol);
        }
      }
    );
    globalThis.RTCPeerConnection = /** @type {any} */ (
      class extends FakePeerConnection {
        constructor() {
          super(world);
        }
      }
    );
    return this;
  }

  /**
   * @param {FakeSocket} socket
   * @param {any} message
   */
  receive(socket, message) {
    if (message.t === 'hello') this.#hello(socket, message);
    else if (message.t === 'leave') this.left(socket);
    else if (message.t === 'signal') {
      const signal = { ...message, from: socket.peer, seq: 0 };
      this.signals.push(signal);
      for (const each of this.tamper(signal, this)) this.deliver(each);
    }
  }

  /** The sockets in the room of a code. */
  peersOf(/** @type {import('../../../web/client/room/room.js').Room} */ { code }) {
    const place = this.rooms.get(code?.number ?? '');
    if (!place) throw new TypeError('there is no such room');
    return [...place.peers.values()];
  }

  /** @param {any} signal with `from` and `to` */
  deliver(signal) {
    for (const { peers } of this.rooms.values()) peers.get(signal.to)?.push(signal);
  }

  /**
   * @param {FakeSocket} socket
   * @param {{code?: string | true, room: string, name?: string | null}} hello
   */
  #hello(socket, { code, room, name = null }) {
    let key = room;
    if (code === true) key = String(this.rooms.size + 1);
    else if (code) key = code;
    const found = this.rooms.get(key);
    if (typeof code === 'string' && !found) return socket.refuse('no_such_room', 4003);
    if (typeof code === 'string' && found?.peers.size === 2)
      return socket.refuse('room_full', 4106);
    const place = found ?? { peers: new Map(), code: Boolean(code) };
    this.rooms.set(key, place);
    socket.room = key;
    socket.name = name;
    socket.peer = String((this.#arrivals += 1)).padStart(8, '0');
    const peers = [...place.peers.values()].map((other) => ({
      peer: other.peer,
      name: other.name,
      state: 'online',
    }));
    const shared = { session: 's', resume_token: 't', ice: { servers: [], policy: 'all' } };
    socket.push({
      t: 'welcome',
      ...shared,
      peer: socket.peer,
      room: this.called(key),
      code: place.code ? key : null,
      peers,
    });
    for (const other of place.peers.values())
      other.push({ t: 'peer', event: 'joined', peer: socket.peer, name });
    place.peers.set(socket.peer, socket);
  }

  /** @param {FakeSocket} socket */
  left(socket) {
    const place = this.rooms.get(socket.room);
    if (!place?.peers.delete(socket.peer)) return;
    for (const other of place.peers.values())
      other.push({ t: 'peer', event: 'left', peer: socket.peer });
  }
}

class FakeSocket extends EventTarget {
  readyState = 0;
  peer = '';
  room = '';
  bufferedAmount = 0;
  /** @type {string | null} */
  name = null;

  /**
   * @param {World} world
   * @param {string} url
   * @param {string} protocol
   */
  constructor(world, url, protocol) {
    super();
    this.world = world;
    this.url = url;
    this.protocol = protocol;
    setImmediate(() => {
      if (this.readyState !== 0) return;
      this.readyState = 1;
      this.dispatchEvent(new Event('open'));
    });
  }

  send(/** @type {string} */ text) {
    setImmediate(() => this.world.receive(this, JSON.parse(text)));
  }

  push(/** @type {Message} */ message) {
    setImmediate(() => {
      if (this.readyState === 1)
        this.dispatchEvent(new MessageEvent('message', { data: JSON.stringify(message) }));
    });
  }

  refuse(/** @type {string} */ code, /** @type {number} */ closeCode) {
    this.push({ t: 'error', code, message: 'no', retryable: false });
    setImmediate(() => this.close(closeCode));
  }

  close(code = 1000) {
    if (this.readyState === 3) return;
    this.readyState = 3;
    setImmediate(() => {
      this.world.left(this);
      this.dispatchEvent(Object.assign(new Event('close'), { code }));
    });
  }
}

export class FakePeerConnection extends EventTarget {
  connectionState = 'new';
  /** @type {Description | null} */
  localDescription = null;
  /** @type {Description | null} */
  remoteDescription = null;
  sctp = { maxMessageSize: 262144 };
  /** @type {Map<number, FakeChannel>} */
  channels = new Map();
  /** @type {string[]} */
  iceCandidates = [];

  constructor(/** @type {World} */ world) {
    super();
    this.world = world;
    this.fingerprint = Array.from(crypto.getRandomValues(new Uint8Array(32)), (byte) =>
      byte.toString(16).toUpperCase().padStart(2, '0'),
    ).join(':');
    world.connections.set(this.fingerprint, this);
    this.doomed = world.broken > 0;
  }

  /** An open channel. */
  channel(/** @type {number} */ id) {
    const channel = this.channels.get(id);
    if (!channel) throw new TypeError('there is no such channel');
    return channel;
  }

  createDataChannel(/** @type {string} */ label, /** @type {{id: number}} */ init) {
    const channel = new FakeChannel(label, init);
    this.channels.set(init.id, channel);
    return channel;
  }

  async createOffer() {
    return { type: 'offer', sdp: this.#sdp() };
  }

  async createAnswer() {
    return { type: 'answer', sdp: this.#sdp() };
  }

  async setLocalDescription(/** @type {Description} */ description) {
    this.localDescription = description;
    const found = (/** @type {{candidate: string} | null} */ candidate) =>
      this.dispatchEvent(Object.assign(new Event('icecandidate'), { candidate }));
    if (this.world.hasNetwork) found({ candidate: 'candidate:1 1 udp 1 10.0.0.1 5000 typ host' });
    setImmediate(() => found(null));
    this.#connect();
  }

  async setRemoteDescription(/** @type {Description} */ description) {
    this.remoteDescription = description;
    this.#connect();
  }

  async addIceCandidate(/** @type {{candidate: string}} */ { candidate }) {
    this.iceCandidates.push(candidate);
  }

  async getStats() {
    const certificate = this.world.verified && [
      { id: 'T', type: 'transport', selectedCandidatePairId: 'P', remoteCertificateId: 'C' },
      { id: 'C', type: 'certificate', fingerprintAlgorithm: 'sha-256', fingerprint: this.world.verified },
    ];
    return new Map(
      [
        ...(certificate || []),
        {
          id: 'P',
          type: 'candidate-pair',
          nominated: true,
          state: 'succeeded',
          localCandidateId: 'L',
          remoteCandidateId: 'R',
        },
        {
          id: 'L',
          type: 'local-candidate',
          candidateType: 'host',
          address: '10.0.0.1',
          port: 1,
          protocol: 'udp',
        },
        {
          id: 'R',
          type: 'remote-candidate',
          candidateType: 'host',
          address: '10.0.0.2',
          port: 2,
          protocol: 'udp',
        },
      ].map((stat) => [stat.id, stat]),
    );
  }

  close() {
    this.connectionState = 'closed';
    this.world.connections.delete(this.fingerprint);
    for (const channel of this.channels.values()) channel.shut();
  }

  #sdp() {
    return [
      'v=0',
      'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
      'a=mid:0',
      'a=ice-ufrag:fake',
      'a=ice-pwd:fakefakefakefakefakefake',
      'a=setup:actpass',
      `a=fingerprint:sha-256 ${this.fingerprint}`,
      '',
    ].join('\r\n');
  }

  /** If both sides have each other's real certificate, the channels open. Otherwise DTLS fails. */
  #connect() {
    if (!this.localDescription || !this.remoteDescription || !this.world.hasNetwork) return;
    const theirs = this.world.connections.get(FINGERPRINT.exec(this.remoteDescription.sdp)?.[1] ?? '');
    if (!theirs?.remoteDescription || !theirs.localDescription) return;
    const mutual = FINGERPRINT.exec(theirs.remoteDescription.sdp)?.[1] === this.fingerprint;
    if (!mutual || this.doomed || theirs.doomed) {
      if (this.doomed || theirs.doomed) this.world.broken -= 1;
      setImmediate(() => [this, theirs].forEach((each) => each.#fail()));
      return;
    }
    for (const [id, channel] of this.channels) channel.join(theirs.channel(id));
  }

  #fail() {
    if (this.connectionState === 'closed') return;
    this.connectionState = 'failed';
    this.dispatchEvent(new Event('connectionstatechange'));
  }
}

class FakeChannel extends EventTarget {
  readyState = 'connecting';
  bufferedAmount = 0;
  bufferedAmountLowThreshold = 0;
  binaryType = 'arraybuffer';
  /** @type {FakeChannel | null} */
  other = null;

  /**
   * @param {string} label
   * @param {{id: number}} init
   */
  constructor(label, init) {
    super();
    this.label = label;
    this.id = init.id;
  }

  join(/** @type {FakeChannel} */ other) {
    this.other = other;
    other.other = this;
    for (const channel of [this, other]) {
      setImmediate(() => {
        channel.readyState = 'open';
        channel.dispatchEvent(new Event('open'));
      });
    }
  }

  send(/** @type {string | Uint8Array} */ data) {
    if (this.readyState !== 'open') throw new DOMException('closed', 'InvalidStateError');
    const sent = typeof data === 'string' ? data : data.slice().buffer;
    const size = typeof data === 'string' ? data.length : data.byteLength;
    this.bufferedAmount += size;
    setImmediate(() => {
      this.bufferedAmount -= size;
      if (this.bufferedAmount <= this.bufferedAmountLowThreshold)
        this.dispatchEvent(new Event('bufferedamountlow'));
      if (this.other?.readyState === 'open')
        this.other.dispatchEvent(new MessageEvent('message', { data: sent }));
    });
  }

  close() {
    this.shut();
  }

  shut() {
    if (this.readyState === 'closed') return;
    this.readyState = 'closed';
    setImmediate(() => this.dispatchEvent(new Event('close')));
    const other = this.other;
    setImmediate(() => setImmediate(() => other?.shut()));
  }
}

/**
 * The next event of a type.
 *
 * @param {{addEventListener: (type: any, listener: (event: any) => void, options: {once: true}) => void}} target
 * @param {string} type
 * @returns {Promise<any>} its detail
 */
export function once(target, type) {
  return new Promise((resolve) => {
    target.addEventListener(type, (event) => resolve(/** @type {any} */ (event).detail), {
      once: true,
    });
  });
}
