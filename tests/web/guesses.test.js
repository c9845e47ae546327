// The count of guesses, by the sequences that check peer/security/guesses.py as well.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Guesses } from '../../web/client/security/guesses.js';
import { vectors } from './support/vectors.js';

for (const { name, limit, window, steps } of vectors('guesses')) {
  test(name, () => {
    const guesses = new Guesses(limit, window);
    for (const { at, do: what, run, decided, count, spent } of steps) {
      const verb = /** @type {'look' | 'ask' | 'proved' | 'over'} */ (what);
      const made = verb === 'look' ? [] : guesses[verb](run, at);
      assert.deepEqual(made, decided, `at ${at}`);
      assert.deepEqual([guesses.count(at), guesses.isSpent(at)], [count, spent], `at ${at}`);
    }
  });
}
