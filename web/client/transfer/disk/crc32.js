// @ts-check
// CRC-32 (ISO-HDLC, as in zip) of pieces, which are computed separately and then combined.

/** Reversed polynomial. */
const POLYNOMIAL = 0xedb88320;

/** Eight tables of 256 entries: eight bytes are processed at a time. */
const TABLES = makeTables();

function makeTables() {
  const tables = new Uint32Array(8 * 256);
  for (let byte = 0; byte < 256; byte += 1) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    tables[byte] = crc;
  }
  for (let index = 256; index < tables.length; index += 1) {
    const before = tables[index - 256];
    tables[index] = (before >>> 8) ^ tables[before & 0xff];
  }
  return tables;
}

/**
 * @param {Uint8Array} bytes
 * @returns {number} 0..2^32-1
 */
export function crc32(bytes) {
  const t = TABLES;
  let crc = 0xffffffff;
  let at = 0;
  const last = bytes.length - 7;
  while (at < last) {
    crc ^= bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
    crc =
      t[1792 + (crc & 0xff)] ^
      t[1536 + ((crc >>> 8) & 0xff)] ^
      t[1280 + ((crc >>> 16) & 0xff)] ^
      t[1024 + (crc >>> 24)] ^
      t[768 + bytes[at + 4]] ^
      t[512 + bytes[at + 5]] ^
      t[256 + bytes[at + 6]] ^
      t[bytes[at + 7]];
    at += 8;
  }
  for (; at < bytes.length; at += 1) crc = t[(crc ^ bytes[at]) & 0xff] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/**
 * Multiplies two polynomials modulo the CRC's, bits reversed.
 *
 * @param {number} a
 * @param {number} b
 */
function multiply(a, b) {
  let product = 0;
  for (let bit = 0x80000000; bit !== 0; bit >>>= 1) {
    if (a & bit) product ^= b;
    b = b & 1 ? (b >>> 1) ^ POLYNOMIAL : b >>> 1;
  }
  return product >>> 0;
}

/**
 * The checksum of two consecutive pieces, from the checksum of each.
 *
 * @param {number} first
 * @param {number} second
 * @param {number} length bytes of the second piece
 * @returns {number}
 */
export function joinCrc32(first, second, length) {
  // x^(8 * length): the effect of `length` zero bytes on a checksum, by repeated squaring.
  let power = 0x00800000; // x^8
  let shift = 0x80000000; // x^0
  for (let left = length; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) shift = multiply(shift, power);
    power = multiply(power, power);
  }
  return (multiply(shift, first) ^ second) >>> 0;
}
