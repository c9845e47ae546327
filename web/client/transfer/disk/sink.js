// @ts-check
// The destination of received files: the origin private file system, which a worker writes, if the
// browser has one; otherwise memory, with a low limit and a notice to the person.

import { problem } from '../../problems.js';
import { DiskStore, MemoryStore } from './stores.js';
import { joinCrc32 } from './crc32.js';
import { titleOf } from './manifest.js';
import { segmentCount, totals } from '../protocol/messages.js';
import { ZipLayout } from './zip.js';

/** @typedef {import('../protocol/messages.js').Entry} Entry */
/** @typedef {import('./stores.js').Store} Store */
/** @typedef {{name: string, file: File}} Saved a complete file and its name */
/** @typedef {'files' | 'zip'} Form */

/** Maximum number of bytes in memory, without a disk; Blobs of 512 MiB fail to download. */
export const MEMORY_LIMIT = 256 * 1024 * 1024;
/** Bytes that stay free on the disk. */
const SPARE = 16 * 1024 * 1024;
/** Maximum number of files that are saved one by one; more become one archive. */
const MAX_SINGLE_FILES = 10;

const MEMORY_NOTICE =
  'This browser window cannot keep files on disk, so they stay in memory until you save them.';

/**
 * Whether these entries are saved one by one or as one archive.
 *
 * @param {readonly Entry[]} entries
 * @returns {Form}
 */
export function formOf(entries) {
  const nested = entries.some((entry) => entry.kind === 'dir' || entry.path.includes('/'));
  return nested || totals(entries).files > MAX_SINGLE_FILES ? 'zip' : 'files';
}

/** @type {Promise<boolean> | null} */
let diskAnswer = null;

/**
 * Whether files can be stored on disk: tested once, by writing one.
 *
 * @returns {Promise<boolean>}
 */
export function canUseDisk() {
  diskAnswer ??= tryDisk();
  return diskAnswer;
}

async function tryDisk() {
  let store;
  try {
    store = await DiskStore.create();
    await store.write('try', 0, new Uint8Array(1), null, false);
    await store.close('try');
    return true;
  } catch {
    return false;
  } finally {
    await store?.discard();
  }
}

/** A notice to show before files are accepted, or null. @returns {Promise<string | null>} */
export async function storageNotice() {
  return (await canUseDisk()) ? null : MEMORY_NOTICE;
}

/**
 * Makes a place for the files of a transfer.
 *
 * @param {readonly Entry[]} entries with names that were checked
 * @returns {Promise<Sink>}
 * @throws {Problem} `no_space`, `too_large`, `disk`
 */
export async function openSink(entries) {
  const form = formOf(entries);
  const layout = form === 'zip' ? new ZipLayout(entries) : null;
  const bytes = layout?.size ?? totals(entries).bytes;
  if (await canUseDisk()) {
    await checkSpace(bytes);
    try {
      return new Sink(entries, layout, await DiskStore.create());
    } catch {
      throw problem('disk');
    }
  }
  if (bytes > MEMORY_LIMIT) {
    throw problem('too_large', {
      sentence: `This browser window cannot keep files on disk, and ${megabytes(bytes)} are too much for its memory; use a normal (not private) window of a current browser.`,
    });
  }
  return new Sink(entries, layout, new MemoryStore(bytes));
}

/** @param {number} bytes */
async function checkSpace(bytes) {
  const { quota, usage } = await navigator.storage.estimate();
  if (quota === undefined) return;
  const free = quota - (usage ?? 0);
  if (bytes + SPARE <= free) return;
  throw problem('no_space', {
    sentence: `These files need ${megabytes(bytes)}, and this browser has ${megabytes(Math.max(0, free))} of space for them.`,
  });
}

/** @param {number} bytes */
function megabytes(bytes) {
  return bytes < 1e9 ? `${Math.ceil(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

/** The files of one transfer: takes segments, returns `File`s. */
export class Sink {
  #entries;
  #layout;
  #store;
  /** By file: the checksum of each of its segments (archives only). @type {Map<number, Uint32Array>} */
  #checksums = new Map();
  #title;

  /**
   * @param {readonly Entry[]} entries
   * @param {ZipLayout | null} layout of the one archive, or null: each file for itself
   * @param {Store} store
   */
  constructor(entries, layout, store) {
    this.#entries = entries;
    this.#layout = layout;
    this.#store = store;
    this.#title = titleOf(entries);
  }

  /**
   * Verifies and writes one segment.
   *
   * @param {{file: number, segment: number, offset: number, digest: Uint8Array<ArrayBuffer>,
   *   data: Uint8Array<ArrayBuffer>}} piece
   * @returns {Promise<boolean>} false when it does not match its digest
   * @throws {Problem} `no_space`, `disk`
   */
  async write({ file, segment, offset, digest, data }) {
    const layout = this.#layout;
    if (layout === null) {
      const { damaged } = await this.#store.write(`${file}`, offset, data, digest, false);
      return !damaged;
    }
    const at = layout.dataAt(file) + offset;
    const { damaged, crc = 0 } = await this.#store.write('archive', at, data, digest, true);
    if (damaged) return false;
    let checksums = this.#checksums.get(file);
    if (checksums === undefined) {
      checksums = new Uint32Array(segmentCount(this.#entries[file].size ?? 0));
      this.#checksums.set(file, checksums);
    }
    checksums[segment] = crc;
    return true;
  }

  /**
   * Finishes a file, whose segments are all written.
   *
   * @param {number} file
   * @returns {Promise<Saved | null>} null in an archive
   */
  async finishFile(file) {
    const entry = this.#entries[file];
    if (this.#layout === null)
      return { name: entry.path, file: await this.#store.close(`${file}`) };
    const checksums = this.#checksums.get(file) ?? [];
    this.#checksums.delete(file);
    const size = entry.size ?? 0;
    let crc = 0;
    checksums.forEach((piece, segment) => {
      crc = joinCrc32(crc, piece, Math.min(1048576, size - segment * 1048576));
    });
    const { at, bytes } = this.#layout.header(file, crc);
    await this.#store.write('archive', at, bytes, null, false);
    return null;
  }

  /**
   * Leaves out a file, which the sender does not send.
   *
   * @param {number} file
   */
  skip(file) {
    this.#layout?.skip(file);
  }

  /**
   * Finishes the transfer, whose files are all finished.
   *
   * @returns {Promise<Saved | null>} the archive, if there is one
   */
  async finish() {
    if (this.#layout === null) {
      this.#store.rest();
      return null;
    }
    for (const { at, bytes } of this.#layout.finish())
      await this.#store.write('archive', at, bytes, null, false);
    const roots = new Set(this.#entries.map((entry) => entry.path.split('/')[0]));
    const name = roots.size === 1 ? [...roots][0] : `Peerline, ${this.#title}`;
    const file = await this.#store.close('archive');
    this.#store.rest();
    return { name: `${name}.zip`, file };
  }

  /** Frees the storage; the `File`s are unusable afterwards. */
  async discard() {
    await this.#store.discard();
  }
}
