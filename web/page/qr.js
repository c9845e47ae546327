// @ts-check
/**
 * QR codes for links, after ISO/IEC 18004: byte mode, versions 1 to 10, levels L and M.
 *
 * A link of this page is short, so larger versions are not needed; a text that does not fit throws
 * `RangeError`, and the page then shows the link alone.
 *
 * @typedef {'L' | 'M'} Level How much may be unreadable: L about 7 %, M about 15 %.
 * @typedef {object} QrCode
 * @property {number} version 1 to 10
 * @property {Level} level
 * @property {number} mask 0 to 7
 * @property {number} size modules on a side, `17 + 4 * version`
 * @property {Uint8Array[]} rows an array of 0 and 1 (dark) for each row
 */

const MAX_VERSION = 10;

/**
 * Number of error correction codewords per block, by level, from version 1 (ISO/IEC 18004, table
 * 9).
 */
const CORRECTION = {
  L: [7, 10, 15, 20, 26, 18, 20, 24, 30, 18],
  M: [10, 16, 26, 18, 24, 16, 18, 22, 22, 26],
};

/** Number of blocks, by level, from version 1 (ISO/IEC 18004, table 9). */
const BLOCKS = {
  L: [1, 1, 1, 1, 1, 2, 2, 2, 2, 4],
  M: [1, 1, 1, 2, 2, 4, 4, 4, 5, 5],
};

/** The level's two bits in the format information. */
const LEVEL_BITS = { L: 1, M: 0 };

/** Centres of the alignment patterns, from version 1 (ISO/IEC 18004, annex E). */
const ALIGNMENT = [
  [],
  [6, 18],
  [6, 22],
  [6, 26],
  [6, 30],
  [6, 34],
  [6, 22, 38],
  [6, 24, 42],
  [6, 26, 46],
  [6, 28, 50],
];

/** The eight masks: a module is inverted where the function is true. */
const MASKS = [
  (/** @type {number} */ y, /** @type {number} */ x) => (y + x) % 2 === 0,
  (/** @type {number} */ y) => y % 2 === 0,
  (/** @type {number} */ _y, /** @type {number} */ x) => x % 3 === 0,
  (/** @type {number} */ y, /** @type {number} */ x) => (y + x) % 3 === 0,
  (/** @type {number} */ y, /** @type {number} */ x) => (Math.floor(y / 2) + Math.floor(x / 3)) % 2 === 0,
  (/** @type {number} */ y, /** @type {number} */ x) => ((y * x) % 2) + ((y * x) % 3) === 0,
  (/** @type {number} */ y, /** @type {number} */ x) => (((y * x) % 2) + ((y * x) % 3)) % 2 === 0,
  (/** @type {number} */ y, /** @type {number} */ x) => (((y + x) % 2) + ((y * x) % 3)) % 2 === 0,
];

/**
 * Encodes a text.
 *
 * @param {string} text encoded as UTF-8
 * @param {{level?: Level, mask?: number}} [options] the mask is chosen by its penalty if not given
 * @returns {QrCode}
 * @throws {RangeError} the text needs a version above 10
 */
export function encode(text, { level = 'M', mask } = {}) {
  const data = new TextEncoder().encode(text);
  const version = smallestVersion(data.length, level);
  const codewords = interleave(dataCodewords(data, version, level), version, level);
  const { rows, fixed } = functionPatterns(version);
  place(codewords, rows, fixed);
  const chosen = mask ?? bestMask(rows, fixed, level);
  return { version, level, mask: chosen, size: rows.length, rows: masked(rows, fixed, level, chosen) };
}

/**
 * The dark modules as the `d` of one SVG path, one unit per module.
 *
 * @param {QrCode} code
 * @param {number} [quiet] width of the light border, in modules; readers want 4
 * @returns {string}
 */
export function svgPath(code, quiet = 4) {
  let path = '';
  code.rows.forEach((row, y) => {
    for (let x = 0; x < code.size; x++) {
      if (!row[x]) continue;
      const start = x;
      while (x < code.size && row[x]) x++;
      path += `M${start + quiet} ${y + quiet}h${x - start}v1h${start - x}z`;
    }
  });
  return path;
}

/**
 * @param {number} version
 * @param {Level} level
 * @returns {number} number of codewords for data, with mode and length
 */
function dataCapacity(version, level) {
  return totalCodewords(version) - CORRECTION[level][version - 1] * BLOCKS[level][version - 1];
}

/**
 * @param {number} version
 * @returns {number} number of codewords of data and error correction together
 */
function totalCodewords(version) {
  const side = 17 + 4 * version;
  const centres = ALIGNMENT[version - 1].length;
  let modules = side * side - 3 * 64 - 2 * (side - 16) - 31;
  if (centres) modules -= (centres * centres - 3) * 25 - 2 * (centres - 2) * 5;
  if (version >= 7) modules -= 36;
  return Math.floor(modules / 8);
}

/** @param {number} version */
const lengthBits = (version) => (version < 10 ? 8 : 16);

/**
 * @param {number} length
 * @param {Level} level
 */
function smallestVersion(length, level) {
  for (let version = 1; version <= MAX_VERSION; version++) {
    const bits = 4 + lengthBits(version) + 8 * length;
    if (bits <= 8 * dataCapacity(version, level)) return version;
  }
  throw new RangeError(`${length} bytes do not fit in a QR code of version ${MAX_VERSION}`);
}

/**
 * Mode, length, data, terminator and padding.
 *
 * @param {Uint8Array} data
 * @param {number} version
 * @param {Level} level
 */
function dataCodewords(data, version, level) {
  const capacity = dataCapacity(version, level);
  /** @type {number[]} */
  const bits = [];
  const push = (/** @type {number} */ value, /** @type {number} */ count) => {
    for (let i = count - 1; i >= 0; i--) bits.push((value >>> i) & 1);
  };
  push(0b0100, 4);
  push(data.length, lengthBits(version));
  for (const byte of data) push(byte, 8);
  push(0, Math.min(4, 8 * capacity - bits.length));
  push(0, (8 - (bits.length % 8)) % 8);
  for (let pad = 0xec; bits.length < 8 * capacity; pad ^= 0xec ^ 0x11) push(pad, 8);
  const codewords = new Uint8Array(capacity);
  bits.forEach((bit, i) => (codewords[i >> 3] |= bit << (7 - (i & 7))));
  return codewords;
}

/**
 * Divides the data into blocks, adds error correction to each, and interleaves their codewords.
 *
 * @param {Uint8Array} data
 * @param {number} version
 * @param {Level} level
 */
function interleave(data, version, level) {
  const count = BLOCKS[level][version - 1];
  const correction = CORRECTION[level][version - 1];
  const short = Math.floor(data.length / count);
  const firstLong = count - (data.length % count);
  const divisor = reedSolomonDivisor(correction);
  const blocks = [];
  for (let i = 0, offset = 0; i < count; i++) {
    const length = short + (i >= firstLong ? 1 : 0);
    const block = data.subarray(offset, offset + length);
    blocks.push({ data: block, correction: reedSolomonRemainder(block, divisor) });
    offset += length;
  }
  const out = [];
  for (let i = 0; i <= short; i++) {
    for (const block of blocks) if (i < block.data.length) out.push(block.data[i]);
  }
  for (let i = 0; i < correction; i++) for (const block of blocks) out.push(block.correction[i]);
  return Uint8Array.from(out);
}

/**
 * Product in GF(2^8) modulo x^8 + x^4 + x^3 + x^2 + 1.
 *
 * @param {number} a
 * @param {number} b
 */
function multiply(a, b) {
  let product = 0;
  for (let i = 7; i >= 0; i--) {
    product = (product << 1) ^ ((product >>> 7) * 0x11d);
    product ^= ((b >>> i) & 1) * a;
  }
  return product;
}

/** @param {number} degree */
function reedSolomonDivisor(degree) {
  const result = new Uint8Array(degree);
  result[degree - 1] = 1;
  for (let i = 0, root = 1; i < degree; i++, root = multiply(root, 2)) {
    for (let j = 0; j < degree; j++) {
      result[j] = multiply(result[j], root);
      if (j + 1 < degree) result[j] ^= result[j + 1];
    }
  }
  return result;
}

/**
 * @param {Uint8Array} data
 * @param {Uint8Array} divisor
 */
function reedSolomonRemainder(data, divisor) {
  const result = new Uint8Array(divisor.length);
  for (const byte of data) {
    const factor = byte ^ result[0];
    result.copyWithin(0, 1);
    result[result.length - 1] = 0;
    divisor.forEach((coefficient, i) => (result[i] ^= multiply(coefficient, factor)));
  }
  return result;
}

/**
 * The function patterns; `fixed` marks their modules, and those of the format information.
 *
 * @param {number} version
 */
function functionPatterns(version) {
  const size = 17 + 4 * version;
  const rows = Array.from({ length: size }, () => new Uint8Array(size));
  const fixed = Array.from({ length: size }, () => new Uint8Array(size));
  const set = (/** @type {number} */ y, /** @type {number} */ x, /** @type {boolean} */ dark) => {
    rows[y][x] = dark ? 1 : 0;
    fixed[y][x] = 1;
  };
  for (let i = 0; i < size; i++) {
    set(6, i, i % 2 === 0);
    set(i, 6, i % 2 === 0);
  }
  for (const [cy, cx] of [[3, 3], [3, size - 4], [size - 4, 3]]) {
    for (let dy = -4; dy <= 4; dy++) {
      for (let dx = -4; dx <= 4; dx++) {
        const ring = Math.max(Math.abs(dy), Math.abs(dx));
        const [y, x] = [cy + dy, cx + dx];
        if (y >= 0 && y < size && x >= 0 && x < size) set(y, x, ring !== 2 && ring !== 4);
      }
    }
  }
  const centres = ALIGNMENT[version - 1];
  const last = centres.length - 1;
  centres.forEach((cy, i) =>
    centres.forEach((cx, j) => {
      if ((i === 0 && j === 0) || (i === 0 && j === last) || (i === last && j === 0)) return;
      for (let dy = -2; dy <= 2; dy++) {
        for (let dx = -2; dx <= 2; dx++) {
          set(cy + dy, cx + dx, Math.max(Math.abs(dy), Math.abs(dx)) !== 1);
        }
      }
    }),
  );
  if (version >= 7) {
    const bits = (version << 12) | polynomialRemainder(version, 12, 0x1f25);
    for (let i = 0; i < 18; i++) {
      const dark = ((bits >>> i) & 1) === 1;
      const [a, b] = [size - 11 + (i % 3), Math.floor(i / 3)];
      set(a, b, dark);
      set(b, a, dark);
    }
  }
  formatInformation(0, size, set);
  return { rows, fixed };
}

/**
 * The remainder of `value * 2^bits`, as polynomials over GF(2).
 *
 * @param {number} value
 * @param {number} bits
 * @param {number} generator
 */
function polynomialRemainder(value, bits, generator) {
  let remainder = value;
  for (let i = 0; i < bits; i++) remainder = (remainder << 1) ^ ((remainder >>> (bits - 1)) * generator);
  return remainder;
}

/**
 * Writes level and mask, twice, and the module that is always dark (ISO/IEC 18004, 7.9).
 *
 * @param {number} value the level's two bits and the mask's three
 * @param {number} size
 * @param {(y: number, x: number, dark: boolean) => void} set
 */
function formatInformation(value, size, set) {
  const bits = ((value << 10) | polynomialRemainder(value, 10, 0x537)) ^ 0x5412;
  const bit = (/** @type {number} */ i) => ((bits >>> i) & 1) === 1;
  for (let i = 0; i < 15; i++) {
    // Beside the top left finder, without the timing patterns.
    if (i < 8) set(i < 6 ? i : i + 1, 8, bit(i));
    else set(8, i === 8 ? 7 : 14 - i, bit(i));
    // Below the top right finder and beside the bottom left one.
    if (i < 8) set(8, size - 1 - i, bit(i));
    else set(size - 15 + i, 8, bit(i));
  }
  set(size - 8, 8, true);
}

/**
 * Writes the codewords in columns of two, from the bottom right, up and down in turn.
 *
 * @param {Uint8Array} codewords
 * @param {Uint8Array[]} rows
 * @param {Uint8Array[]} fixed
 */
function place(codewords, rows, fixed) {
  const size = rows.length;
  let i = 0;
  for (let right = size - 1; right >= 1; right -= 2) {
    if (right === 6) right = 5;
    const up = ((right + 1) & 2) === 0;
    for (let step = 0; step < size; step++) {
      const y = up ? size - 1 - step : step;
      for (const x of [right, right - 1]) {
        if (fixed[y][x] || i >= codewords.length * 8) continue;
        rows[y][x] = (codewords[i >> 3] >>> (7 - (i & 7))) & 1;
        i++;
      }
    }
  }
}

/**
 * @param {Uint8Array[]} rows
 * @param {Uint8Array[]} fixed
 * @param {Level} level
 * @param {number} mask
 */
function masked(rows, fixed, level, mask) {
  const out = rows.map((row, y) =>
    row.map((dark, x) => (!fixed[y][x] && MASKS[mask](y, x) ? dark ^ 1 : dark)),
  );
  formatInformation((LEVEL_BITS[level] << 3) | mask, rows.length, (y, x, dark) => {
    out[y][x] = dark ? 1 : 0;
  });
  return out;
}

/**
 * @param {Uint8Array[]} rows
 * @param {Uint8Array[]} fixed
 * @param {Level} level
 */
function bestMask(rows, fixed, level) {
  const scores = MASKS.map((_, mask) => penalty(masked(rows, fixed, level, mask)));
  return scores.indexOf(Math.min(...scores));
}

/**
 * The penalty of a symbol for features that are hard to read (ISO/IEC 18004, 7.8.3).
 *
 * @param {Uint8Array[]} rows
 */
function penalty(rows) {
  const size = rows.length;
  const columns = rows.map((_, x) => Uint8Array.from(rows, (row) => row[x]));
  let score = 0;
  let dark = 0;
  for (const line of [...rows, ...columns]) {
    const text = line.join('');
    for (const run of text.match(/0{5,}|1{5,}/g) ?? []) score += run.length - 2;
    score += 40 * finderLike(text);
  }
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      dark += rows[y][x];
      if (y + 1 === size || x + 1 === size) continue;
      const sum = rows[y][x] + rows[y][x + 1] + rows[y + 1][x] + rows[y + 1][x + 1];
      if (sum === 0 || sum === 4) score += 3;
    }
  }
  return score + 10 * Math.floor(Math.abs((dark * 100) / (size * size) - 50) / 5);
}

/**
 * Counts patterns that resemble a finder: 1011101 with four light modules on one side.
 *
 * @param {string} line
 */
function finderLike(line) {
  const padded = `0000${line}0000`;
  let count = 0;
  for (let i = padded.indexOf('1011101'); i >= 0; i = padded.indexOf('1011101', i + 1)) {
    if (padded.slice(i - 4, i) === '0000' || padded.slice(i + 7, i + 11) === '0000') count++;
  }
  return count;
}
