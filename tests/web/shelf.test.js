// The time at which received files leave the browser's storage.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { KEPT_FOR, Shelf, copyTime } from '../../web/client/transfer/disk/shelf.js';

function setUp() {
  let now = 0;
  /** @type {string[]} */
  const freed = [];
  /** @type {Set<{step: () => void, at: number}>} */
  const timers = new Set();
  const later = (/** @type {() => void} */ step, /** @type {number} */ time) => {
    const timer = { step, at: now + time };
    timers.add(timer);
    return () => timers.delete(timer);
  };
  const shelf = new Shelf({ now: () => now, later });
  const kept = (/** @type {string} */ name) => ({ discard: async () => void freed.push(name) });
  const pass = (/** @type {number} */ time) => {
    now += time;
    for (const timer of [...timers].filter(({ at }) => at <= now)) {
      timers.delete(timer);
      timer.step();
    }
  };
  return { shelf, kept, freed, pass };
}

test('a file that was handed over can be saved again for a while, and is freed then', () => {
  const { shelf, kept, freed, pass } = setUp();
  shelf.handed(kept('a'), 20_000_000);
  pass(KEPT_FOR);
  assert.deepEqual(freed, []);
  pass(copyTime(20_000_000) + 1);
  assert.deepEqual(freed, ['a']);
});

test('files that are released are freed at once, unless a download may still read them', () => {
  const { shelf, kept, freed, pass } = setUp();
  shelf.handed(kept('old'), 1000);
  pass(5000);
  shelf.handed(kept('new'), 100_000_000);
  shelf.clear();
  assert.deepEqual(freed, ['old']);
  pass(copyTime(100_000_000) + 1);
  assert.deepEqual(freed, ['old', 'new']);
});

test('several files of one transfer are freed together, after the last', () => {
  const { shelf, kept, freed, pass } = setUp();
  const both = kept('both');
  shelf.handed(both, 20_000_000);
  shelf.handed(both, 20_000_000);
  shelf.release(both);
  pass(copyTime(20_000_000) + 1);
  assert.deepEqual(freed, []);
  pass(copyTime(20_000_000));
  assert.deepEqual(freed, ['both']);
});

test('files that were never downloaded are freed when they are released', () => {
  const { shelf, kept, freed } = setUp();
  shelf.release(kept('x'));
  assert.deepEqual(freed, ['x']);
});
