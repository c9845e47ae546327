// @ts-check
// Makes the manifest of the files from an <input type=file>, a chosen folder or a drop.

import { MAX_SENT, totals } from '../protocol/messages.js';
import { MAX_PATH, freeName } from '../protocol/names.js';
import { showName } from '../../text.js';
import { problem } from '../../problems.js';

/** @typedef {import('../protocol/messages.js').Entry} Entry */

/** A file or an empty folder, before it is in the manifest, and the parts of its path. */
/** @typedef {{parts: string[], file: File | null}} Found */

/** The entries of a transfer, and the `File` behind each entry that is a file. */
export class Manifest {
  /**
   * Changed names: duplicate ones, and those that cannot be sent unchanged.
   * @type {{from: string, to: string}[]}
   */
  renamed = [];

  /**
   * @param {readonly Entry[]} entries
   * @param {readonly (File | null)[]} files
   */
  constructor(entries, files) {
    this.entries = entries;
    this.sources = files;
    const { files: count, bytes } = totals(entries);
    this.files = count;
    this.bytes = bytes;
  }

  /** The title of the transfer. */
  get title() {
    return titleOf(this.entries);
  }
}

/**
 * The title of a set of entries: the name of the only file or folder, or their number.
 *
 * @param {readonly Entry[]} entries
 * @returns {string}
 */
export function titleOf(entries) {
  const roots = new Set(entries.map((entry) => entry.path.split('/')[0]));
  if (roots.size === 1) return showName([...roots][0]);
  const { files } = totals(entries);
  const folders = entries.length > 0 && files === 0;
  return folders ? `${roots.size} folders` : `${files} ${files === 1 ? 'file' : 'files'}`;
}

/**
 * Makes the manifest of the chosen or dropped files.
 *
 * A `DataTransfer` must be passed within its drop handler: the browser empties it when the handler
 * returns. This function reads all of it before its first `await`.
 *
 * @param {FileList | readonly File[] | DataTransfer} items
 * @returns {Promise<Manifest>}
 * @throws {import('../../problems.js').Problem} `nothing_to_send`, `too_many`, `disk`
 */
export async function manifestFrom(items) {
  const isDrop = 'items' in items && !Array.isArray(items);
  const found = isDrop
    ? await walkDrop(/** @type {DataTransfer} */ (items))
    : [.../** @type {FileList} */ (items)].map(ofFile);
  if (found.length === 0) throw problem('nothing_to_send');
  if (found.length > MAX_SENT) throw problem('too_many');
  return build(found);
}

/**
 * @param {File} file
 * @returns {Found}
 */
function ofFile(file) {
  const path = file.webkitRelativePath || file.name;
  return { parts: path.split('/').filter((part) => part !== ''), file };
}

/**
 * @param {DataTransfer} drop
 * @returns {Promise<Found[]>}
 */
async function walkDrop(drop) {
  /** @type {FileSystemEntry[]} */
  const entries = [];
  /** @type {Found[]} */
  const found = [];
  for (const item of drop.items) {
    if (item.kind !== 'file') continue;
    const entry = item.webkitGetAsEntry?.();
    if (entry) {
      entries.push(entry);
    } else {
      const file = item.getAsFile();
      if (file) found.push(ofFile(file));
    }
  }
  for (const entry of entries) await walk(entry, [entry.name], found);
  return found;
}

/**
 * @param {FileSystemEntry} entry
 * @param {string[]} parts
 * @param {Found[]} found
 */
async function walk(entry, parts, found) {
  if (found.length > MAX_SENT || parts.length > MAX_PATH / 2) throw problem('too_many');
  if (entry.isFile) {
    /** @type {Promise<File>} */
    const opened = new Promise((resolve, reject) => {
      /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject);
    });
    const file = await opened.catch(() => {
      throw problem('disk', { sentence: `${showName(parts.join('/'))} cannot be read.` });
    });
    found.push({ parts, file });
    return;
  }
  const children = await listFolder(/** @type {FileSystemDirectoryEntry} */ (entry), parts);
  if (children.length === 0) found.push({ parts, file: null });
  for (const child of children) await walk(child, [...parts, child.name], found);
}

/**
 * @param {FileSystemDirectoryEntry} folder
 * @param {readonly string[]} parts
 * @returns {Promise<FileSystemEntry[]>}
 */
async function listFolder(folder, parts) {
  const reader = folder.createReader();
  /** @type {FileSystemEntry[]} */
  const children = [];
  // A reader returns some entries at a time (Chromium: 100), and an empty list at the end.
  for (;;) {
    /** @type {Promise<FileSystemEntry[]>} */
    const read = new Promise((resolve, reject) => {
      reader.readEntries(resolve, reject);
    });
    const some = await read.catch(() => {
      throw problem('disk', {
        sentence: `The folder ${showName(parts.join('/'))} cannot be read.`,
      });
    });
    if (some.length === 0) return children;
    children.push(...some);
    if (children.length > MAX_SENT) throw problem('too_many');
  }
}

/**
 * Gives every entry a unique path. Names do not change otherwise: each receiver replaces the names
 * that its file system cannot hold.
 *
 * @param {readonly Found[]} found
 * @returns {Manifest}
 */
function build(found) {
  /** @type {Entry[]} */
  const entries = [];
  /** @type {(File | null)[]} */
  const files = [];
  /** @type {{from: string, to: string}[]} */
  const renamed = [];
  const root = new Folder();
  for (const { parts, file } of found) {
    const path = root.place(parts, file === null);
    const from = parts.join('/');
    if (from !== path) renamed.push({ from, to: path });
    /** @type {Entry} */
    const entry = { path, kind: file === null ? 'dir' : 'file' };
    if (file !== null) {
      entry.size = file.size;
      if (Number.isSafeInteger(file.lastModified)) entry.mtime = file.lastModified;
    }
    entries.push(entry);
    files.push(file);
  }
  const manifest = new Manifest(entries, files);
  manifest.renamed = renamed;
  return manifest;
}

/** The used names of a folder of the manifest. */
class Folder {
  /** The used names, and the subfolders by their original names. */
  /** @type {Set<string>} */
  #taken = new Set();
  /** @type {Map<string, {name: string, folder: Folder}>} */
  #folders = new Map();

  /**
   * @param {readonly string[]} parts
   * @param {boolean} isFolder whether the last part is a folder
   * @returns {string} the path to use
   */
  place(parts, isFolder) {
    const [first, ...rest] = parts;
    if (rest.length === 0 && !isFolder) return this.#claim(first);
    let known = this.#folders.get(first);
    if (known === undefined) {
      known = { name: this.#claim(first), folder: new Folder() };
      this.#folders.set(first, known);
    }
    return rest.length === 0 ? known.name : `${known.name}/${known.folder.place(rest, isFolder)}`;
  }

  /** @param {string} part */
  #claim(part) {
    const name = freeName(sendable(part), (other) => this.#taken.has(other));
    this.#taken.add(name);
    return name;
  }
}

/**
 * A name that is valid as a part of a path.
 *
 * @param {string} part
 */
function sendable(part) {
  const name = part.toWellFormed().replaceAll('/', '_');
  return name === '' || name === '.' || name === '..' ? '_' : name;
}
