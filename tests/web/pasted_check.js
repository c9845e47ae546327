// Reads texts as the page does, for test_pasted_across.py: JSON lists on standard input and output.

import { readFileSync } from 'node:fs';

import { Code } from '../../web/client/security/codes.js';
import { unwrap } from '../../web/client/security/pasted.js';

function read(/** @type {string} */ text) {
  let code;
  try {
    code = String(Code.parse(text));
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    code = error.message;
  }
  return [code, unwrap(text).server];
}

process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0, 'utf8')).map(read)));
