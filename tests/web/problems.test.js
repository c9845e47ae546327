// @ts-check
// Problems and Python's errors have the codes of one table.

import assert from 'node:assert/strict';
import test from 'node:test';

import { KNOWN_CODES, Problem, asProblem, problem } from '../../web/client/problems.js';
import { vectors } from './support/vectors.js';

/** @type {{code: string, retryable: boolean, javascript: boolean}[]} */
const TABLE = vectors('errors').errors;

test('the codes are those of the shared table', () => {
  const listed = TABLE.filter((entry) => entry.javascript).map((entry) => entry.code);
  assert.deepEqual([...KNOWN_CODES].sort(), listed);
});

for (const { code, retryable } of TABLE.filter((entry) => entry.javascript)) {
  test(`${code} is ${retryable ? '' : 'not '}retryable`, () => {
    const made = problem(code);
    assert.equal(made.code, code);
    assert.equal(made.retryable, retryable);
    assert.match(made.sentence, /\.$/);
    assert.equal(made.message, made.sentence);
  });
}

test('an unknown code, and anything else that is thrown, is unexpected', () => {
  assert.equal(problem('toString').code, 'unexpected');
  assert.equal(asProblem(new TypeError('x')).code, 'unexpected');
  const known = new Problem('lost', 'Gone.', 'Start again', true);
  assert.equal(asProblem(known), known);
});
