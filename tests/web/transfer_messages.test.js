import assert from 'node:assert/strict';
import { test } from 'node:test';

import { BadMessage, parseObject } from '../../web/client/server/messages.js';
import {
  MAX_CONTROL_MESSAGE,
  offerMessages,
  parseTransferMessage,
} from '../../web/client/transfer/protocol/messages.js';
import { vectors } from './support/vectors.js';

const golden = vectors('transfer');

for (const text of golden.messages) {
  test(`a message of the vectors is read: ${text.slice(0, 60)}`, () => {
    const written = JSON.parse(text);
    const message = parseTransferMessage(parseObject(text, MAX_CONTROL_MESSAGE));
    assert.ok(message);
    assert.equal(message.t, written.t);
    assert.equal(message.transfer, written.transfer);
    if (written.entries) assert.deepEqual('entries' in message && message.entries, written.entries);
    if (written.have) {
      assert.ok('have' in message);
      const have = Object.fromEntries(
        [...message.have].map(([file, ranges]) => [String(file), ranges]),
      );
      assert.deepEqual(have, written.have);
    }
    if (written.segments) assert.deepEqual('segments' in message && message.segments, written.segments);
    if (written.digest) assert.equal('digest' in message && message.digest, written.digest);
  });
}

for (const text of golden.bad_messages) {
  test(`a message out of its bounds is refused: ${text.slice(0, 80)}`, () => {
    assert.throws(() => parseTransferMessage(parseObject(text, MAX_CONTROL_MESSAGE)), BadMessage);
  });
}

for (const text of golden.ignored_messages) {
  test(`a message of another type belongs to no transfer: ${text.slice(0, 60)}`, () => {
    assert.equal(parseTransferMessage(parseObject(text, MAX_CONTROL_MESSAGE)), null);
  });
}

for (const text of golden.not_messages) {
  test(`what is no message does no harm: ${JSON.stringify(text)}`, () => {
    let message = null;
    try {
      message = parseTransferMessage(parseObject(text, MAX_CONTROL_MESSAGE));
    } catch (error) {
      assert.ok(error instanceof BadMessage);
    }
    assert.equal(message, null);
  });
}

test('a message that is too long is not even looked at', () => {
  assert.throws(
    () => parseObject('x'.repeat(MAX_CONTROL_MESSAGE + 1), MAX_CONTROL_MESSAGE),
    BadMessage,
  );
});

test('an offer of many files is cut in pages that each fit into a message', () => {
  const entries = Array.from({ length: 3000 }, (_, i) => ({
    path: `folder/☃-file-${i}.txt`,
    kind: /** @type {const} */ ('file'),
    size: i,
  }));
  const pages = [...offerMessages(4, entries)];
  assert.ok(pages.length > 1);
  for (const page of pages) {
    assert.ok(Buffer.byteLength(JSON.stringify(page)) <= MAX_CONTROL_MESSAGE);
    assert.equal(page.transfer, 4);
  }
  assert.deepEqual(
    pages.map((page) => page.t),
    ['offer', ...Array(pages.length - 1).fill('offer_more')],
  );
  assert.deepEqual(
    pages.map((page) => page.more === true),
    [...Array(pages.length - 1).fill(true), false],
  );
  assert.deepEqual(
    pages.flatMap((page) => page.entries),
    entries,
  );
  assert.equal(pages[0].files, 3000);
  assert.equal(pages[0].bytes, (2999 * 3000) / 2);
});
