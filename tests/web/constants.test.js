// @ts-check
// The constants that both languages share, and the module of each.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { vectors } from './support/vectors.js';

for (const [name, { value, javascript }] of Object.entries(vectors('constants').constants)) {
  test(`${name}: ${value}`, async () => {
    const [file, path] = javascript.split(':');
    /** @type {any} */
    let found = await import(`../../web/client/${file}`);
    for (const part of path.split('.')) found = found[part];
    assert.equal(found, value, javascript);
  });
}
