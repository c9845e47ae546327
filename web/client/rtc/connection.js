// @ts-check
// One WebRTC connection: its channels, descriptions, candidates and path.

import {
  DescriptionError,
  MAX_NAMES,
  cleanCandidate,
  cleanDescription,
  fingerprintOf,
  isNamed,
  verifiedFingerprint,
} from './description.js';
import { problem } from '../problems.js';

/** @typedef {import('../server/messages.js').IceOffer} IceOffer */
/** @typedef {import('./description.js').Stats} Stats */
/**
 * @template {object} Events
 * @typedef {import('../events.js').TypedEventTarget<Events>} TypedEventTarget
 */
/** @typedef {'control' | 'chat' | 'blocks'} ChannelName */

/**
 * @typedef {object} Place one end of a path
 * @property {string} type the ICE candidate type: `host`, `srflx`, `prflx` or `relay`
 * @property {string | null} address
 * @property {number | null} port
 * @property {string} protocol
 */
/**
 * @typedef {object} NetworkPath how the bytes travel
 * @property {'direct' | 'relayed'} kind
 * @property {Place} local
 * @property {Place} remote
 * @property {number | null} roundTrip in seconds, as last measured by the browser
 */

/** Negotiated channels: both sides open them under fixed ids (RFC 8832, 3). */
const CHANNELS = Object.freeze(
  /** @type {[ChannelName, RTCDataChannelInit][]} */ ([
    ['control', { id: 0, ordered: true, protocol: 'peerline.control.1' }],
    ['chat', { id: 1, ordered: true, protocol: 'peerline.chat.1' }],
    ['blocks', { id: 2, ordered: false, protocol: 'peerline.blocks.1' }],
  ]),
);

/**
 * Buffered bytes above which `sendPaced` waits. Chromium refuses to buffer more than 16 MiB, and pings
 * wait behind the rest of `control`.
 */
const HIGH_WATER = Object.freeze({ control: 256 * 1024, blocks: 4 * 1024 * 1024 });
/** Buffered bytes at which `sendPaced` goes on, and up to which a channel has room for answers. */
const LOW_WATER = Object.freeze({ control: 64 * 1024, chat: 64 * 1024, blocks: 1024 * 1024 });
/** Maximum of buffered bytes of messages: a peer with more of them does not read. */
const MAX_BUFFER = Object.freeze({ control: 8 * 1024 * 1024, chat: 1024 * 1024 });
/** Maximum number of the peer's candidates, before and after its description. */
const MAX_REMOTE_CANDIDATES = 128;

/**
 * @typedef {object} RtcEvents by type, what `detail` holds
 * @property {string | null} candidate one of ours, or null: there are no more
 * @property {null} open all channels are open
 * @property {unknown} control the data of a message on this channel
 * @property {unknown} chat the same
 * @property {unknown} blocks the same
 * @property {ChannelName} room a channel has space for answers again
 * @property {null} failed there is no path, or the path is lost
 * @property {null} closed the peer closed the connection
 */

/** A connection under a link. Its events are `RtcEvents`, all of them `CustomEvent`s. */
export class RtcConnection extends /** @type {new () => TypedEventTarget<RtcEvents>} */ (EventTarget) {
  #pc;
  /** @type {Record<ChannelName, RTCDataChannel>} */
  #channels;
  /** Candidates that came before the description. @type {string[] | null} */
  #early = [];
  /** The peer's description, as it is given to the browser. */
  #remoteSdp = '';
  #remoteCandidates = 0;
  /** Candidates with an mDNS name among them. */
  #remoteNames = 0;
  #localCandidates = 0;
  #opened = false;
  #over = false;
  #relayOnly;
  /** Resolvers of calls that wait for space in a channel. @type {(() => void)[]} */
  #waiting = [];
  #onPageHide = () => this.close();

  /**
   * @param {IceOffer} ice
   * @throws {Error} the browser has no WebRTC
   */
  constructor(ice) {
    super();
    this.#relayOnly = ice.policy === 'relay';
    this.#pc = makePeerConnection(ice);
    this.#pc.addEventListener('icecandidate', ({ candidate }) => this.#candidate(candidate));
    this.#pc.addEventListener('connectionstatechange', () => {
      if (this.#pc.connectionState === 'failed') this.#end('failed');
    });
    // The library does not expose further channels yet, so it closes those that the peer opens.
    this.#pc.addEventListener('datachannel', ({ channel }) => channel.close());
    this.#channels = /** @type {Record<ChannelName, RTCDataChannel>} */ (
      Object.fromEntries(CHANNELS.map(([name, init]) => [name, this.#openChannel(name, init)]))
    );
    for (const [name] of CHANNELS) {
      this.#channels[name].bufferedAmountLowThreshold = LOW_WATER[name];
      this.#channels[name].addEventListener('bufferedamountlow', () => {
        this.#emit('room', name);
        this.#wake();
      });
    }
    globalThis.addEventListener?.('pagehide', this.#onPageHide);
  }

  /** Makes the offer. @returns {Promise<string>} its SDP; candidates follow as events */
  async offer() {
    const { sdp = '' } = await this.#pc.createOffer();
    await this.#pc.setLocalDescription({ type: 'offer', sdp });
    return sdp;
  }

  /**
   * Takes the peer's offer and makes the answer.
   *
   * @param {string} offer
   * @returns {Promise<string>}
   * @throws {DescriptionError} it does not offer a data connection
   */
  async answer(offer) {
    await this.#setRemote('offer', offer);
    const { sdp = '' } = await this.#pc.createAnswer();
    await this.#pc.setLocalDescription({ type: 'answer', sdp });
    return sdp;
  }

  /**
   * Takes the peer's answer.
   *
   * @param {string} answer
   * @throws {DescriptionError}
   */
  async accept(answer) {
    await this.#setRemote('answer', answer);
  }

  /**
   * Takes a candidate of the peer; a malformed one is dropped.
   *
   * @param {string} candidate
   */
  addCandidate(candidate) {
    const cleaned = cleanCandidate(candidate);
    if (cleaned === null || this.#remoteCandidates >= MAX_REMOTE_CANDIDATES) return;
    if (isNamed(cleaned) && (this.#remoteNames += 1) > MAX_NAMES) return;
    this.#remoteCandidates += 1;
    if (this.#early !== null) this.#early.push(cleaned);
    else void this.#add(cleaned);
  }

  /**
   * The SHA-256 fingerprints of both certificates, once connected. The peer's is the one that DTLS
   * verified, if the browser reports it, else the one that the browser was given to verify.
   *
   * @returns {Promise<{local: Uint8Array<ArrayBuffer>, remote: Uint8Array<ArrayBuffer>}>}
   * @throws {import('../problems.js').Problem} `verification_failed`: DTLS verified another
   *   certificate than the description named
   */
  async fingerprints() {
    const local = fingerprintOf(this.#pc.localDescription?.sdp ?? '');
    const remote = fingerprintOf(this.#remoteSdp);
    const verified = (await verifiedFingerprint(this.#pc)) ?? remote;
    if (!verified.every((byte, index) => byte === remote[index]))
      throw problem('verification_failed');
    return { local, remote };
  }

  /**
   * Whether this device has no candidate. Chromium without a route reports neither a candidate nor
   * the end of gathering, so the answer is meaningful only after some seconds.
   */
  get isUnreachable() {
    return this.#localCandidates === 0;
  }

  /** Whether neither side has a candidate, so that there is no pair to check. */
  get isHopeless() {
    return this.isUnreachable && this.#remoteCandidates === 0;
  }

  /** Whether the connection is closed, or its path is lost. */
  get isOver() {
    return this.#over;
  }

  /** Whether only relays are allowed. */
  get relayOnly() {
    return this.#relayOnly;
  }

  /**
   * Sends a message at once.
   *
   * @param {'control' | 'chat'} name
   * @param {string} text
   * @returns {boolean} whether the message was sent
   */
  send(name, text) {
    const channel = this.#channels[name];
    if (this.#over || channel.readyState !== 'open' || channel.bufferedAmount > MAX_BUFFER[name])
      return false;
    try {
      channel.send(text);
      return true;
    } catch {
      return false;
    }
  }

  /**
   * Sends a message or a frame once there is space for it.
   *
   * @param {'control' | 'blocks'} name
   * @param {string | Uint8Array<ArrayBuffer>} data
   * @param {() => boolean} [isWanted] checked just before sending; if false, nothing is sent
   * @throws {Error} the connection is over
   */
  async sendPaced(name, data, isWanted = () => true) {
    const channel = this.#channels[name];
    for (;;) {
      if (this.#over || channel.readyState !== 'open') throw new Error('the connection is over');
      if (channel.bufferedAmount + data.length <= HIGH_WATER[name]) {
        if (!isWanted()) return;
        try {
          // Each kind of data has its own call: `send` has a signature for each.
          if (typeof data === 'string') channel.send(data);
          else channel.send(data);
          return;
        } catch (error) {
          // The browser's queue can be full although `bufferedAmount` is low: wait as well.
          if (!(error instanceof DOMException) || error.name !== 'OperationError') throw error;
        }
      }
      await new Promise((resolve) => this.#waiting.push(() => resolve(undefined)));
    }
  }

  /**
   * Buffered bytes of a channel.
   *
   * @param {ChannelName} name
   */
  waiting(name) {
    return this.#channels[name].bufferedAmount;
  }

  /**
   * Whether a channel has space for answers: a peer that asks and does not read gets no more.
   *
   * @param {ChannelName} name
   */
  hasRoom(name) {
    return this.waiting(name) <= LOW_WATER[name];
  }

  /** Maximum length of a message that both sides can handle, in bytes. */
  get maxMessageSize() {
    return this.#pc.sctp?.maxMessageSize ?? 65536;
  }

  /**
   * The network path in use, null before one is selected.
   *
   * @returns {Promise<NetworkPath | null>}
   */
  async path() {
    if (this.#over) return null;
    return pathOf(await this.#pc.getStats());
  }

  /** Waits, half a second at most, until the browser has sent the messages on `control`. */
  async drain() {
    const channel = this.#channels.control;
    for (let waited = 0; channel.bufferedAmount > 0 && waited < 500 && !this.#over; waited += 10) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** Closes the connection from this side; no event follows. */
  close() {
    if (!this.#over) this.#shut();
  }

  /**
   * @param {ChannelName} name
   * @param {RTCDataChannelInit} init
   */
  #openChannel(name, init) {
    const channel = this.#pc.createDataChannel(name, { ...init, negotiated: true });
    channel.binaryType = 'arraybuffer';
    channel.addEventListener('open', () => this.#channelOpened());
    channel.addEventListener('message', ({ data }) => this.#emit(name, data));
    channel.addEventListener('close', () => this.#end('closed'));
    return channel;
  }

  #channelOpened() {
    if (this.#opened || this.#over) return;
    if (Object.values(this.#channels).some(({ readyState }) => readyState !== 'open')) return;
    this.#opened = true;
    this.#emit('open', null);
  }

  /** @param {RTCIceCandidate | null} candidate */
  #candidate(candidate) {
    if (this.#over) return;
    if (candidate === null) {
      this.#emit('candidate', null);
    } else if (candidate.candidate !== '') {
      this.#localCandidates += 1;
      this.#emit('candidate', candidate.candidate);
    }
  }

  /**
   * @param {'offer' | 'answer'} type
   * @param {string} sdp
   */
  async #setRemote(type, sdp) {
    const cleaned = cleanDescription(sdp);
    // On a busy machine the first message can arrive before the browser sets `remoteDescription`.
    this.#remoteSdp = cleaned.sdp;
    try {
      await this.#pc.setRemoteDescription({ type, sdp: cleaned.sdp });
    } catch (error) {
      throw new DescriptionError(`the browser refuses the ${type}: ${String(error)}`);
    }
    this.#remoteCandidates += cleaned.candidates;
    this.#remoteNames += cleaned.names;
    const early = this.#early ?? [];
    this.#early = null;
    for (const candidate of early) void this.#add(candidate);
  }

  /** @param {string} candidate */
  async #add(candidate) {
    try {
      await this.#pc.addIceCandidate({ candidate, sdpMLineIndex: 0 });
    } catch {
      // This browser does not know the type of candidate: another candidate may work.
    }
  }

  #wake() {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** @param {'failed' | 'closed'} how */
  #end(how) {
    if (this.#over) return;
    this.#shut();
    this.#emit(how, null);
  }

  #shut() {
    this.#over = true;
    globalThis.removeEventListener?.('pagehide', this.#onPageHide);
    this.#pc.close();
    this.#wake();
  }

  /**
   * @template {keyof RtcEvents} Type
   * @param {Type} type
   * @param {RtcEvents[Type]} detail
   */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/**
 * @param {IceOffer} ice
 * @returns {RTCPeerConnection}
 */
function makePeerConnection({ servers, policy }) {
  /** @param {RTCIceServer[]} iceServers */
  const make = (iceServers) => new RTCPeerConnection({ iceServers, iceTransportPolicy: policy });
  try {
    return make(servers);
  } catch {
    // An ICE server that this browser rejects must not disable the others.
    const understood = servers.filter((server) => {
      try {
        make([server]).close();
        return true;
      } catch {
        return false;
      }
    });
    return make(understood);
  }
}

/**
 * Reads the path in use from a connection's statistics.
 *
 * @param {ReadonlyMap<string, Stats> | RTCStatsReport} report
 * @returns {NetworkPath | null}
 */
export function pathOf(report) {
  const all = [.../** @type {ReadonlyMap<string, Stats>} */ (report).values()];
  const transport = all.find(
    ({ type, selectedCandidatePairId }) => type === 'transport' && selectedCandidatePairId,
  );
  const pairs = all.filter(({ type }) => type === 'candidate-pair');
  const pair =
    pairs.find(({ id }) => id === transport?.selectedCandidatePairId) ??
    pairs.find(({ selected }) => selected) ?? // Firefox
    pairs.find(({ nominated, state }) => nominated && state === 'succeeded');
  if (!pair) return null;
  const local = all.find(({ id }) => id === pair.localCandidateId);
  const remote = all.find(({ id }) => id === pair.remoteCandidateId);
  if (!local || !remote) return null;
  const relayed = local.candidateType === 'relay' || remote.candidateType === 'relay';
  return {
    kind: relayed ? 'relayed' : 'direct',
    local: describe(local),
    remote: describe(remote),
    roundTrip: typeof pair.currentRoundTripTime === 'number' ? pair.currentRoundTripTime : null,
  };
}

/**
 * @param {Stats} candidate
 * @returns {Place}
 */
function describe({ candidateType, address, ip, port, protocol, relayProtocol }) {
  return {
    type: candidateType ?? '',
    address: address || ip || null,
    port: typeof port === 'number' ? port : null,
    protocol: relayProtocol ?? protocol ?? '',
  };
}
