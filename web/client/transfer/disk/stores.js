// @ts-check
// The two stores of received bytes: memory, and the origin private file system, which a worker
// writes.

import { problem } from '../../problems.js';
import { copyTime } from './shelf.js';
import { crc32 } from './crc32.js';

/** @typedef {import('../../problems.js').Problem} Problem */
/** @typedef {import('./sink_worker.js').Answer} Answer */

/** Peerline's folder in the origin private file system. */
const FOLDER = 'peerline';

/**
 * A store of named files, which are written in segments and read as a whole.
 *
 * @typedef {object} Store
 * @property {(name: string, at: number, data: Uint8Array<ArrayBuffer>, digest: Uint8Array | null,
 *   checksum: boolean) => Promise<{damaged?: boolean, crc?: number}>} write writes data at an offset,
 *   unless its SHA-256 differs from `digest`; the call detaches the data's buffer
 * @property {(name: string) => Promise<File>} close
 * @property {() => void} rest refuses further writes; closed files stay
 * @property {() => Promise<void>} discard frees everything
 */

/** Keeps everything in memory. @implements {Store} */
export class MemoryStore {
  #limit;
  /** @type {Map<string, {bytes: Uint8Array<ArrayBuffer>, end: number}>} */
  #files = new Map();

  /** @param {number} limit bytes of the largest file */
  constructor(limit) {
    this.#limit = limit;
  }

  /** @type {Store['write']} */
  async write(name, at, data, digest, checksum) {
    if (digest !== null) {
      const actual = new Uint8Array(await crypto.subtle.digest('SHA-256', data));
      if (!actual.every((byte, index) => byte === digest[index])) return { damaged: true };
    }
    let file = this.#files.get(name);
    if (file === undefined) {
      file = { bytes: new Uint8Array(0), end: 0 };
      this.#files.set(name, file);
    }
    const end = at + data.length;
    if (end > this.#limit) throw problem('too_large');
    if (end > file.bytes.length) {
      const larger = new Uint8Array(Math.min(this.#limit, Math.max(end, file.bytes.length * 2)));
      larger.set(file.bytes);
      file.bytes = larger;
    }
    file.bytes.set(data, at);
    file.end = Math.max(file.end, end);
    return checksum ? { crc: crc32(data) } : {};
  }

  /** @type {Store['close']} */
  async close(name) {
    const file = this.#files.get(name);
    this.#files.delete(name);
    return new File(file ? [file.bytes.subarray(0, file.end)] : [], name);
  }

  rest() {}

  async discard() {
    this.#files.clear();
  }
}

/** Sends requests to the worker, which writes for all stores of this page. */
class Writer {
  #worker;
  /** @type {Map<number, {resolve: (answer: Answer) => void, reject: (reason: Problem) => void}>} */
  #waiting = new Map();
  #next = 0;
  /** Whether the worker failed, or could not be loaded. */
  failed = false;

  constructor() {
    this.#worker = new Worker(new URL('./sink_worker.js', import.meta.url), { type: 'module' });
    this.#worker.addEventListener('message', (/** @type {MessageEvent<Answer>} */ { data }) => {
      const waiting = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if (data.error === undefined) waiting?.resolve(data);
      else waiting?.reject(problem(data.error === 'QuotaExceededError' ? 'no_space' : 'disk'));
    });
    this.#worker.addEventListener('error', () => {
      this.failed = true;
      this.#worker.terminate();
      for (const { reject } of this.#waiting.values()) reject(problem('disk'));
      this.#waiting.clear();
    });
  }

  /**
   * @param {object} request
   * @param {Transferable[]} transfer
   * @returns {Promise<Answer>}
   */
  ask(request, transfer) {
    return new Promise((resolve, reject) => {
      if (this.failed) {
        reject(problem('disk'));
        return;
      }
      const id = this.#next;
      this.#next += 1;
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ ...request, id }, transfer);
    });
  }
}

/**
 * The only worker, kept once loaded: the server may be unreachable when files arrive.
 *
 * @type {Writer | null}
 */
let writer = null;

function theWriter() {
  if (writer === null || writer.failed) writer = new Writer();
  return writer;
}

/** Keeps everything on disk, through a worker. @implements {Store} */
export class DiskStore {
  #name;
  #writer = theWriter();
  #over = false;
  /** @type {() => void} */
  #release = () => {};

  /** @param {string} name of its folder */
  constructor(name) {
    this.#name = name;
  }

  /** @returns {Promise<DiskStore>} */
  static async create() {
    const random = crypto.getRandomValues(new Uint32Array(2));
    const name = `${Date.now()}-${random[0].toString(36)}${random[1].toString(36)}`;
    const store = new DiskStore(name);
    try {
      // The lock tells other pages of this origin that the folder is in use.
      await store.#lock();
      await store.#ask({ op: 'directory', path: [FOLDER, name] });
    } catch (error) {
      await store.discard();
      throw error;
    }
    return store;
  }

  /** @type {Store['write']} */
  async write(name, at, data, digest, checksum) {
    return this.#ask({ op: 'write', name, at, data, digest, checksum }, [data.buffer]);
  }

  /** @type {Store['close']} */
  async close(name) {
    await this.#ask({ op: 'close', name });
    const root = await navigator.storage.getDirectory();
    const folder = await (await root.getDirectoryHandle(FOLDER)).getDirectoryHandle(this.#name);
    return (await folder.getFileHandle(name)).getFile();
  }

  rest() {
    void this.#abandon();
  }

  async discard() {
    await this.#abandon();
    await removeFolder(this.#name);
    this.#release();
  }

  #lock() {
    return new Promise((resolve) => {
      void navigator.locks.request(lockName(this.#name), async () => {
        resolve(undefined);
        await new Promise((release) => (this.#release = () => release(undefined)));
      });
    });
  }

  /**
   * @param {object} request
   * @param {Transferable[]} [transfer]
   * @returns {Promise<Answer>}
   */
  async #ask(request, transfer = []) {
    if (this.#over) throw problem('disk');
    return this.#writer.ask({ ...request, store: this.#name }, transfer);
  }

  /** Closes the open files and refuses further writes. */
  async #abandon() {
    if (this.#over) return;
    const closed = this.#ask({ op: 'abandon' });
    this.#over = true;
    try {
      await closed;
    } catch {
      // The worker has ended together with its handles, or never had any.
    }
  }
}

/** @param {string} folder */
function lockName(folder) {
  return `peerline:${folder}`;
}

/** @param {string} name */
async function removeFolder(name) {
  try {
    const root = await navigator.storage.getDirectory();
    await (await root.getDirectoryHandle(FOLDER)).removeEntry(name, { recursive: true });
  } catch {
    // The folder is missing, or a download still reads it: the next visit tries again.
  }
}

/**
 * Removes the files of earlier visits that no open page uses. A download of an earlier page may
 * still read one: such a file is removed later.
 *
 * @returns {Promise<void>}
 */
export async function removeOldFiles() {
  let wait = 0;
  try {
    const root = await navigator.storage.getDirectory();
    const folder = await root.getDirectoryHandle(FOLDER);
    const names = [];
    for await (const name of folder.keys()) names.push(name);
    // The order matters: a page locks a folder before it makes it, and unlocks it after its
    // removal.
    const { held = [] } = await navigator.locks.query();
    const inUse = new Set(held.map((lock) => lock.name));
    for (const name of names) {
      if (inUse.has(lockName(name))) continue;
      const copying = await copiedAfter(await folder.getDirectoryHandle(name));
      if (copying > 0) wait = Math.max(wait, copying);
      else await removeFolder(name);
    }
  } catch {
    // The folder or the file system is missing: nothing to remove.
  }
  if (wait > 0) setTimeout(() => void removeOldFiles(), wait);
}

/**
 * The time in ms after which a browser has certainly copied the files of a folder to its downloads.
 *
 * @param {FileSystemDirectoryHandle} folder
 */
async function copiedAfter(folder) {
  let last = 0;
  for await (const handle of folder.values()) {
    const { lastModified, size } = await /** @type {FileSystemFileHandle} */ (handle).getFile();
    if (size > 0) last = Math.max(last, lastModified + copyTime(size));
  }
  // A clock that was set back must not keep the files for long.
  return Math.min(last - Date.now(), 10 * 60 * 1000);
}
