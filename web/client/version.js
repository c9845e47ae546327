// @ts-check
// The version of the page; a test compares it with that of the Python package.

export const VERSION = '0.2.0';
