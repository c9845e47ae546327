// @ts-check
// The frames of the signaling protocol, which the Python tests read as well.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { BadMessage, parseServer } from '../../web/client/server/messages.js';
import { vectors } from './support/vectors.js';

const golden = vectors('signaling');
/** Fields that the page reads unchanged. */
const READ = ['t', 'peer', 'room', 'session', 'event', 'from', 'link', 'gen', 'kind', 'data', 'code', 'retryable', 'id'];

for (const { text, fields } of golden.server) {
  test(`a frame that is right: ${fields.t} ${fields.kind ?? fields.event ?? fields.code ?? ''}`, () => {
    const message = /** @type {Record<string, unknown>} */ ({ ...parseServer(text) });
    for (const key of READ)
      if (key in message && (fields[key] ?? null) !== null) assert.equal(message[key], fields[key], key);
  });
}

test('frames that are wrong are refused', () => {
  for (const text of golden.bad_server) assert.throws(() => parseServer(text), BadMessage, text);
});
