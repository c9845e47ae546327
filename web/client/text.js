// @ts-check
// Sanitises names and texts of other people for display. It mirrors peer/text.py, which documents
// the rules; tests/vectors/text.json checks both.

/** Maximum length of a name, in code points: the limit of servers. */
export const MAX_NAME = 64;
/** Maximum number of combining marks in a row. */
export const MAX_MARKS = 4;

const CONTROLS = String.raw`\u{0}-\u{1f}\u{7f}-\u{9f}\u{d800}-\u{dfff}`;
/** All controls but line feed and tab. */
const CONTROLS_OF_TEXT = String.raw`\u{0}-\u{8}\u{b}-\u{1f}\u{7f}-\u{9f}\u{d800}-\u{dfff}`;
const BIDI = String.raw`\u{61c}\u{202a}-\u{202e}\u{2066}-\u{206f}`;
const HIDDEN =
  CONTROLS +
  BIDI +
  String.raw`\u{ad}\u{34f}\u{115f}\u{1160}\u{17b4}\u{17b5}\u{180b}-\u{180f}\u{200b}\u{200e}\u{200f}` +
  String.raw`\u{2028}\u{2029}\u{2060}-\u{2065}\u{2800}\u{3164}\u{feff}\u{ffa0}\u{fff0}-\u{fffb}` +
  String.raw`\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}` +
  // Invisible in most fonts: blanks, placeholders and noncharacters.
  String.raw`\u{fffc}\u{fffe}\u{ffff}\u{13430}-\u{13442}\u{16fe4}\u{1d159}`;
const SPACE = String.raw`\u{9}-\u{d}\u{20}\u{85}\u{a0}\u{1680}\u{2000}-\u{200a}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}`;
/** Characters with an emoji form, and their neighbours in their blocks. */
const EMOJI =
  String.raw`\u{a9}\u{ae}\u{203c}\u{2049}\u{2122}\u{2139}\u{2190}-\u{21ff}\u{2300}-\u{23ff}\u{24c2}` +
  String.raw`\u{25a0}-\u{27bf}\u{2900}-\u{297f}\u{2b00}-\u{2bff}\u{3030}\u{303d}\u{3297}\u{3299}` +
  String.raw`\u{1f000}-\u{1faff}`;
/**
 * Scripts whose spelling needs joiners: Arabic and related ones, those of India, Myanmar, Khmer.
 */
const JOINED =
  String.raw`\u{600}-\u{6ff}\u{700}-\u{77f}\u{7c0}-\u{7ff}\u{840}-\u{85f}\u{860}-\u{8ff}\u{900}-\u{dff}` +
  String.raw`\u{1000}-\u{109f}\u{1780}-\u{17ff}\u{1800}-\u{180a}\u{1810}-\u{18af}\u{a8e0}-\u{a8ff}` +
  String.raw`\u{fb50}-\u{fdff}\u{fe70}-\u{fefe}`;
const MARKS =
  String.raw`\u{300}-\u{36f}\u{483}-\u{489}\u{591}-\u{5bd}\u{5bf}\u{5c1}\u{5c2}\u{5c4}\u{5c5}` +
  String.raw`\u{5c7}\u{610}-\u{61a}\u{64b}-\u{65f}\u{670}\u{6d6}-\u{6dc}\u{6df}-\u{6e4}\u{6e7}` +
  String.raw`\u{6e8}\u{6ea}-\u{6ed}\u{711}\u{730}-\u{74a}\u{7eb}-\u{7f3}\u{7fd}\u{816}-\u{819}` +
  String.raw`\u{81b}-\u{823}\u{825}-\u{827}\u{829}-\u{82d}\u{859}-\u{85b}\u{898}-\u{89f}` +
  String.raw`\u{8ca}-\u{8e1}\u{8e3}-\u{8ff}\u{951}-\u{954}\u{e31}\u{e34}-\u{e3a}\u{e47}-\u{e4e}` +
  String.raw`\u{eb1}\u{eb4}-\u{ebc}\u{ec8}-\u{ecd}\u{f18}\u{f19}\u{f35}\u{f37}\u{f39}` +
  String.raw`\u{f71}-\u{f7e}\u{f80}-\u{f84}\u{f86}\u{f87}\u{fc6}\u{135d}-\u{135f}\u{1a75}-\u{1a7f}` +
  String.raw`\u{1ab0}-\u{1aff}\u{1b6b}-\u{1b73}\u{1cd0}-\u{1cd2}\u{1cd4}-\u{1ce8}\u{1ced}\u{1cf4}` +
  String.raw`\u{1cf8}\u{1cf9}\u{1dc0}-\u{1dff}\u{20d0}-\u{20f0}\u{2cef}-\u{2cf1}\u{2de0}-\u{2dff}` +
  String.raw`\u{302a}-\u{302f}\u{3099}\u{309a}\u{a66f}-\u{a672}\u{a674}-\u{a67d}\u{a69e}\u{a69f}` +
  String.raw`\u{a6f0}\u{a6f1}\u{a8e0}-\u{a8f1}\u{a92b}-\u{a92d}\u{aab0}\u{aab2}-\u{aab4}\u{aab7}` +
  String.raw`\u{aab8}\u{aabe}\u{aabf}\u{aac1}\u{fb1e}\u{fe20}-\u{fe2f}\u{101fd}\u{102e0}` +
  String.raw`\u{10376}-\u{1037a}\u{10a0d}-\u{10a0f}\u{10a38}-\u{10a3f}\u{10f46}-\u{10f50}` +
  String.raw`\u{11366}-\u{11374}\u{16af0}-\u{16af4}\u{1d165}-\u{1d169}\u{1d17b}-\u{1d182}` +
  String.raw`\u{1d185}-\u{1d18b}\u{1d1aa}-\u{1d1ad}\u{1d242}-\u{1d244}\u{1e000}-\u{1e02a}` +
  String.raw`\u{1e130}-\u{1e136}\u{1e8d0}-\u{1e8d6}` +
  // Joiners and selectors are drawn with the marks around them, and do not split a stack.
  String.raw`\u{34f}\u{200c}\u{200d}\u{fe00}-\u{fe0f}\u{e0100}-\u{e01ef}`;

/** @param {string} pattern */
const every = (pattern) => new RegExp(pattern, 'gu');

// eslint-disable-next-line no-misleading-character-class -- the marks are meant one by one
const ONE_HIDDEN = new RegExp(`^[${HIDDEN}]`, 'u');
const ALL_HIDDEN = every(`[${HIDDEN}]+`);
const SPACES = every(`[${SPACE}]+`);
const MISPLACED = every(
  [
    // A joiner is valid within an emoji ...
    String.raw`(?<![${EMOJI}\ufe0f${JOINED}])[\u200c\u200d]`,
    String.raw`(?<=[${EMOJI}\ufe0f])(?:\u200c|\u200d(?![${EMOJI}]))`,
    // ... or between two letters of a script that needs it.
    String.raw`(?<=[${JOINED}])[\u200c\u200d](?![${JOINED}])`,
    // A variation selector follows a character with another form: also the digits of keycaps.
    String.raw`(?<![${EMOJI}0-9#*])[\ufe0e\ufe0f]`,
    String.raw`(?<=[0-9#*])[\ufe0e\ufe0f](?!\u20e3)`,
    String.raw`[\ufe00-\ufe0d]`,
  ].join('|'),
);
const PILED = every(`([${MARKS}]{${MAX_MARKS}})[${MARKS}]+`);
// eslint-disable-next-line no-misleading-character-class -- the marks are meant one by one
const LEADING = new RegExp(`^[${MARKS} ]+`, 'u');
const LINE_END = /\r\n|[\r\u0085\u2028\u2029]/g;
const NOT_IN_TEXT = every(
  String.raw`[${CONTROLS_OF_TEXT}${BIDI}\u{fff0}-\u{fffb}\u{e0000}-\u{e00ff}\u{e01f0}-\u{e0fff}]+`,
);

/**
 * Whether a character is invisible, or changes its surroundings.
 *
 * @param {string} character
 */
export function isHidden(character) {
  return ONE_HIDDEN.test(character);
}

/**
 * Cleans the name of a person or a program: one short line of visible characters.
 *
 * @param {unknown} name hostile
 * @returns {string} empty when nothing remains
 */
export function fitName(name) {
  if (typeof name !== 'string') return '';
  const visible = name.replace(SPACES, ' ').replace(ALL_HIDDEN, '').trim();
  let fitting = cut(visible, MAX_NAME);
  // The removal of one may misplace another: `x` + joiner + selector.
  for (let before = ''; before !== fitting; ) {
    before = fitting;
    fitting = fitting.replace(LEADING, '').replace(MISPLACED, '').replace(PILED, '$1');
  }
  return fitting.replace(/ +/g, ' ').trim();
}

/**
 * The peer's code for programs, or `fallback` if it is malformed.
 *
 * @param {string} code hostile
 * @param {string} fallback
 */
export function fitCode(code, fallback) {
  return /^[a-z][a-z0-9_]{0,63}$/.test(code) ? code : fallback;
}

/**
 * Cleans a text of several lines: no controls, no reordering, no stacks of marks. All line ends
 * become line feeds; tabs remain.
 *
 * @param {string} text hostile
 */
export function fitText(text) {
  return text.replace(LINE_END, '\n').replace(NOT_IN_TEXT, '').replace(PILED, '$1');
}

/**
 * Makes a file's name or path visible: hidden characters become escapes, and the middle of a long
 * text is left out.
 *
 * @param {string} text hostile
 * @param {number} limit characters to show
 */
export function showName(text, limit = 200) {
  let characters = [...text];
  if (characters.length > limit) {
    const tail = characters.length - Math.floor(limit / 3);
    const head = limit - (characters.length - tail) - 1;
    characters = [...characters.slice(0, head), '…', ...characters.slice(tail)];
  }
  return characters.map((each) => (isHidden(each) ? escape(each) : each)).join('');
}

/**
 * Whether a text is longer than a number of bytes of UTF-8.
 *
 * @param {string} text
 * @param {number} limit
 */
export function exceeds(text, limit) {
  if (text.length > limit) return true;
  return text.length * 3 > limit && new TextEncoder().encode(text).length > limit;
}

/** @param {string} character */
function escape(character) {
  const short = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }[character];
  if (short !== undefined) return short;
  const value = character.codePointAt(0) ?? 0;
  const digits = value.toString(16);
  if (value < 0x100) return `\\x${digits.padStart(2, '0')}`;
  return value < 0x10000 ? `\\u${digits.padStart(4, '0')}` : `\\U${digits.padStart(8, '0')}`;
}

/**
 * @param {string} text
 * @param {number} most code points
 */
function cut(text, most) {
  return text.length <= most ? text : [...text].slice(0, most).join('');
}
