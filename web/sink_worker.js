// @ts-check
// The worker that writes received files: verifies a piece, then writes it at its offset, through
// a sync access handle of the origin private file system. See sink.js for who asks.

import { crc32 } from './transfer/crc32.js';

/**
 * The part of the browser's handle that is used here.
 *
 * @typedef {object} AccessHandle
 * @property {(data: Uint8Array, options: {at: number}) => number} write
 * @property {() => void} flush
 * @property {() => void} close
 */
/**
 * @typedef {{id: number, op: 'directory', path: string[]}
 *   | {id: number, op: 'write', name: string, at: number, data: Uint8Array<ArrayBuffer>,
 *      digest: Uint8Array | null, checksum: boolean}
 *   | {id: number, op: 'close', name: string}
 *   | {id: number, op: 'abandon'}} Request
 * @typedef {{id: number, damaged?: boolean, crc?: number, error?: string}} Answer
 */

/** @type {FileSystemDirectoryHandle | null} */
let directory = null;
/** @type {Map<string, Promise<AccessHandle>>} */
const handles = new Map();

/**
 * @param {string} name
 * @returns {Promise<AccessHandle>}
 */
function open(name) {
  let handle = handles.get(name);
  if (handle === undefined) {
    if (directory === null) throw new TypeError('no directory yet');
    handle = directory
      .getFileHandle(name, { create: true })
      .then((/** @type {any} */ file) => file.createSyncAccessHandle()); // workers only
    handles.set(name, handle);
  }
  return handle;
}

/**
 * @param {Uint8Array<ArrayBuffer>} data
 * @param {Uint8Array} digest
 */
async function matches(data, digest) {
  const actual = new Uint8Array(await crypto.subtle.digest('SHA-256', data));
  return actual.every((byte, index) => byte === digest[index]);
}

/**
 * @param {Request} request
 * @returns {Promise<Omit<Answer, 'id'>>}
 */
async function handle(request) {
  switch (request.op) {
    case 'directory': {
      let folder = await navigator.storage.getDirectory();
      for (const part of request.path)
        folder = await folder.getDirectoryHandle(part, { create: true });
      directory = folder;
      return {};
    }
    case 'write': {
      const { name, at, data, digest, checksum } = request;
      if (digest !== null && !(await matches(data, digest))) return { damaged: true };
      const file = await open(name);
      let written = 0;
      while (written < data.length) {
        const some = file.write(data.subarray(written), { at: at + written });
        if (some === 0) throw new DOMException('nothing was written', 'QuotaExceededError');
        written += some;
      }
      return checksum ? { crc: crc32(data) } : {};
    }
    case 'close': {
      const file = await open(request.name);
      handles.delete(request.name);
      file.flush();
      file.close();
      return {};
    }
    case 'abandon': {
      for (const file of await Promise.allSettled(handles.values())) {
        if (file.status === 'fulfilled') file.value.close();
      }
      handles.clear();
      return {};
    }
  }
}

self.addEventListener('message', async (/** @type {MessageEvent<Request>} */ event) => {
  const { id } = event.data;
  /** @type {Answer} */
  let answer;
  try {
    answer = { id, ...(await handle(event.data)) };
  } catch (error) {
    answer = { id, error: error instanceof Error ? error.name : 'Error' };
  }
  self.postMessage(answer);
});
