// @ts-check
// The layout of the stored (not compressed) zip archive for a received folder. A machine.
//
// All sizes are known before the first byte arrives, so every file's offset in the archive is, too:
// data is written at its offset, in any order. A local header is written when its file's checksum
// is known, the directory at the end. Zip64 is used where the numbers require it. (APPNOTE.TXT
// 6.3.10 by PKWARE.)

/** @typedef {import('../protocol/messages.js').Entry} Entry */

const MAX_U32 = 0xffffffff;
const MAX_U16 = 0xffff;
const encoder = new TextEncoder();

/**
 * @typedef {object} Member an entry's place in the archive
 * @property {Uint8Array} name with a `/` at the end for a folder
 * @property {number} size
 * @property {number} crc 0 until it is known
 * @property {boolean} isFolder
 * @property {number} mode unix mode, with the type
 * @property {number} time in DOS form
 * @property {number} date in DOS form
 * @property {number | null} mtime unix time in seconds, where it fits in 32 bits
 * @property {number} headerAt
 * @property {number} dataAt
 */

/** The offsets of all parts of an archive of these entries. Links are left out. */
export class ZipLayout {
  /** By the index of the entry; null for one that is left out. @type {(Member | null)[]} */
  #members;
  /** Offset of the directory. */
  #directoryAt = 0;
  /** Bytes of the whole archive. */
  size = 0;

  /** @param {readonly Entry[]} entries with names that were checked */
  constructor(entries) {
    let at = 0;
    let directory = 0;
    this.#members = entries.map((entry) => {
      if (entry.kind === 'link') return null;
      const member = describe(entry, at);
      at = member.dataAt + member.size;
      directory += centralHeader(member).length;
      return member;
    });
    this.#directoryAt = at;
    this.size = at + directory + endRecords(this.#list(), at, directory).length;
  }

  /**
   * The offset of a file's bytes in the archive.
   *
   * @param {number} index of its entry
   */
  dataAt(index) {
    return this.#member(index).dataAt;
  }

  /**
   * The header before a file's bytes; its checksum must be known.
   *
   * @param {number} index of its entry
   * @param {number} crc CRC-32 of its bytes
   * @returns {{at: number, bytes: Uint8Array<ArrayBuffer>}}
   */
  header(index, crc) {
    const member = this.#member(index);
    member.crc = crc;
    return { at: member.headerAt, bytes: localHeader(member) };
  }

  /**
   * Leaves a file out: its bytes stay zero, and the directory does not list it.
   *
   * @param {number} index of its entry
   */
  skip(index) {
    this.#members[index] = null;
  }

  /**
   * The last parts to write: the folders' headers and the directory at the end.
   *
   * @returns {{at: number, bytes: Uint8Array<ArrayBuffer>}[]}
   */
  finish() {
    const members = this.#list();
    const writes = members
      .filter((member) => member.isFolder)
      .map((member) => ({ at: member.headerAt, bytes: localHeader(member) }));
    const directory = concat(members.map(centralHeader));
    const end = endRecords(members, this.#directoryAt, directory.length);
    writes.push({ at: this.#directoryAt, bytes: concat([directory, end]) });
    return writes;
  }

  #list() {
    return this.#members.filter((member) => member !== null);
  }

  /** @param {number} index */
  #member(index) {
    const member = this.#members[index];
    if (!member) throw new RangeError(`entry ${index} is not in the archive`);
    return member;
  }
}

/**
 * @param {Entry} entry
 * @param {number} at
 * @returns {Member}
 */
function describe(entry, at) {
  const isFolder = entry.kind === 'dir';
  const name = encoder.encode(isFolder ? `${entry.path}/` : entry.path);
  const size = entry.size ?? 0;
  const permissions = (entry.mode ?? (isFolder ? 0o755 : 0o644)) & 0o777;
  const mode = (isFolder ? 0o040000 : 0o100000) | permissions;
  const seconds = entry.mtime === undefined ? null : Math.floor(entry.mtime / 1000);
  const member = {
    name,
    size,
    crc: 0,
    isFolder,
    mode,
    ...dosTime(entry.mtime ?? Date.UTC(1980, 0, 1, 12)),
    mtime: seconds !== null && seconds >= -0x80000000 && seconds <= 0x7fffffff ? seconds : null,
    headerAt: at,
    dataAt: 0,
  };
  member.dataAt = at + localHeader(member).length;
  return member;
}

/** @param {number} mtime unix time in ms */
function dosTime(mtime) {
  const date = new Date(Math.min(Math.max(mtime, Date.UTC(1980, 0, 2)), Date.UTC(2107, 11, 30)));
  return {
    time: (date.getHours() << 11) | (date.getMinutes() << 5) | (date.getSeconds() >> 1),
    date: ((date.getFullYear() - 1980) << 9) | ((date.getMonth() + 1) << 5) | date.getDate(),
  };
}

/**
 * The local header; a file that may need Zip64 has both sizes in its field.
 *
 * @param {Member} member
 */
function localHeader(member) {
  const wide = member.size >= MAX_U32;
  const extra = concat([wide ? zip64Extra([member.size, member.size]) : EMPTY, timeExtra(member)]);
  const writer = new Writer(30 + member.name.length + extra.length);
  writer.u32(0x04034b50).u16(wide ? 45 : 20);
  common(writer, member);
  writer.u32(wide ? MAX_U32 : member.size).u32(wide ? MAX_U32 : member.size);
  writer.u16(member.name.length).u16(extra.length);
  return writer.put(member.name).put(extra).bytes;
}

/** @param {Member} member */
function centralHeader(member) {
  /** @type {number[]} */
  const wide = [];
  if (member.size >= MAX_U32) wide.push(member.size, member.size);
  if (member.headerAt >= MAX_U32) wide.push(member.headerAt);
  const extra = concat([wide.length > 0 ? zip64Extra(wide) : EMPTY, timeExtra(member)]);
  const size = Math.min(member.size, MAX_U32);
  const writer = new Writer(46 + member.name.length + extra.length);
  // "Made by" names Unix, so that the upper half of the attributes is a Unix mode.
  writer
    .u32(0x02014b50)
    .u16((3 << 8) | 45)
    .u16(wide.length > 0 ? 45 : 20);
  common(writer, member);
  writer.u32(size).u32(size);
  writer.u16(member.name.length).u16(extra.length).u16(0).u16(0).u16(0);
  writer.u32(((member.mode << 16) | (member.isFolder ? 0x10 : 0)) >>> 0);
  writer.u32(Math.min(member.headerAt, MAX_U32));
  return writer.put(member.name).put(extra).bytes;
}

/**
 * Flags (names are UTF-8), method (stored), time, date and checksum: the same in both headers.
 *
 * @param {Writer} writer
 * @param {Member} member
 */
function common(writer, member) {
  writer.u16(0x0800).u16(0).u16(member.time).u16(member.date).u32(member.crc);
}

/**
 * @param {readonly Member[]} members
 * @param {number} at offset of the directory
 * @param {number} size of the directory
 */
function endRecords(members, at, size) {
  const count = members.length;
  const wide = count >= MAX_U16 || at >= MAX_U32 || size >= MAX_U32;
  const writer = new Writer((wide ? 76 : 0) + 22);
  if (wide) {
    writer
      .u32(0x06064b50)
      .u64(44)
      .u16((3 << 8) | 45)
      .u16(45)
      .u32(0)
      .u32(0);
    writer.u64(count).u64(count).u64(size).u64(at);
    writer
      .u32(0x07064b50)
      .u32(0)
      .u64(at + size)
      .u32(1);
  }
  const few = Math.min(count, MAX_U16);
  writer.u32(0x06054b50).u16(0).u16(0).u16(few).u16(few);
  return writer.u32(Math.min(size, MAX_U32)).u32(Math.min(at, MAX_U32)).u16(0).bytes;
}

/** @param {readonly number[]} values */
function zip64Extra(values) {
  const writer = new Writer(4 + 8 * values.length);
  writer.u16(0x0001).u16(8 * values.length);
  for (const value of values) writer.u64(value);
  return writer.bytes;
}

/**
 * The exact modification time, which the DOS form lacks.
 *
 * @param {Member} member
 */
function timeExtra({ mtime }) {
  if (mtime === null) return EMPTY;
  return new Writer(9)
    .u16(0x5455)
    .u16(5)
    .u8(1)
    .u32(mtime >>> 0).bytes;
}

const EMPTY = new Uint8Array(0);

/** @param {readonly Uint8Array[]} parts */
function concat(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Writes little-endian numbers one after the other. */
class Writer {
  #at = 0;
  #view;

  /** @param {number} size */
  constructor(size) {
    this.bytes = new Uint8Array(size);
    this.#view = new DataView(this.bytes.buffer);
  }

  /** @param {number} value */
  u8(value) {
    this.#view.setUint8(this.#at, value);
    this.#at += 1;
    return this;
  }

  /** @param {number} value */
  u16(value) {
    this.#view.setUint16(this.#at, value, true);
    this.#at += 2;
    return this;
  }

  /** @param {number} value */
  u32(value) {
    this.#view.setUint32(this.#at, value, true);
    this.#at += 4;
    return this;
  }

  /** @param {number} value */
  u64(value) {
    this.#view.setBigUint64(this.#at, BigInt(value), true);
    this.#at += 8;
    return this;
  }

  /** @param {Uint8Array} bytes */
  put(bytes) {
    this.bytes.set(bytes, this.#at);
    this.#at += bytes.length;
    return this;
  }
}
