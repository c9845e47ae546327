// @ts-check
// The worker that writes received files: verifies a segment, then writes it at its offset, through
// a sync access handle of the origin private file system. One worker serves all stores of a page
// (stores.js).

import { crc32 } from './crc32.js';

/**
 * The used part of the browser's handle.
 *
 * @typedef {object} AccessHandle
 * @property {(data: Uint8Array, options: {at: number}) => number} write
 * @property {() => void} flush
 * @property {() => void} close
 */
/** @typedef {FileSystemFileHandle & {createSyncAccessHandle: () => Promise<AccessHandle>}} WorkersHandle */
/**
 * @typedef {{id: number, store: string} & (
 *   {op: 'directory', path: string[]}
 *   | {op: 'write', name: string, at: number, data: Uint8Array<ArrayBuffer>,
 *      digest: Uint8Array | null, checksum: boolean}
 *   | {op: 'close', name: string}
 *   | {op: 'abandon'})} Request
 * @typedef {{id: number, damaged?: boolean, crc?: number, error?: string}} Answer
 */

/**
 * By store, until it is abandoned: its folder and its open files.
 *
 * @type {Map<string, {directory: FileSystemDirectoryHandle, handles: Map<string, Promise<AccessHandle>>}>}
 */
const stores = new Map();

/** @param {string} store */
function find(store) {
  const found = stores.get(store);
  if (found === undefined) throw new TypeError('no such store');
  return found;
}

/**
 * @param {string} store
 * @param {string} name
 * @returns {Promise<AccessHandle>}
 */
function open(store, name) {
  const { directory, handles } = find(store);
  let handle = handles.get(name);
  if (handle === undefined) {
    handle = directory
      .getFileHandle(name, { create: true })
      .then((file) => /** @type {WorkersHandle} */ (file).createSyncAccessHandle());
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
      stores.set(request.store, { directory: folder, handles: new Map() });
      return {};
    }
    case 'write': {
      const { store, name, at, data, digest, checksum } = request;
      if (digest !== null && !(await matches(data, digest))) return { damaged: true };
      const file = await open(store, name);
      let written = 0;
      while (written < data.length) {
        const some = file.write(data.subarray(written), { at: at + written });
        if (some === 0) throw new DOMException('nothing was written', 'QuotaExceededError');
        written += some;
      }
      return checksum ? { crc: crc32(data) } : {};
    }
    case 'close': {
      const file = await open(request.store, request.name);
      find(request.store).handles.delete(request.name);
      file.flush();
      file.close();
      return {};
    }
    case 'abandon': {
      const { handles } = find(request.store);
      stores.delete(request.store); // a segment under verification is then not written
      for (const file of await Promise.allSettled(handles.values())) {
        if (file.status === 'fulfilled') file.value.close();
      }
      return {};
    }
  }
}

/** @param {Request} request */
async function answerTo(request) {
  const { id } = request;
  /** @type {Answer} */
  let answer;
  try {
    answer = { id, ...(await handle(request)) };
  } catch (error) {
    answer = { id, error: error instanceof Error ? error.name : 'Error' };
  }
  self.postMessage(answer);
}

self.addEventListener('message', (/** @type {MessageEvent<Request>} */ event) => {
  void answerTo(event.data);
});
