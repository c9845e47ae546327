// The small machines: the meter, and the readers of statistics.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Problem, asProblem, problem } from '../../web/client/problems.js';
import { pathOf } from '../../web/client/rtc/connection.js';
import { Meter } from '../../web/client/transfer/engine/meter.js';

// The meter

test('a steady rate is measured, and a stall shows', () => {
  const meter = new Meter();
  for (let tenth = 0; tenth <= 50; tenth += 1) meter.add(tenth / 10, tenth * 100);
  assert.ok(Math.abs(meter.rate(5) - 1000) < 50);
  assert.ok(meter.rate(15) < 400);
});

test('nothing is claimed before there is anything to measure', () => {
  const meter = new Meter();
  assert.equal(meter.rate(1), 0);
  meter.add(1, 500);
  assert.equal(meter.rate(1.1), 0);
});

// Statistics

const report = (
  /** @type {object} */ pair,
  /** @type {string} */ localType,
  /** @type {string} */ remoteType,
  transport = false,
) =>
  new Map(
    [
      ...(transport ? [{ id: 'T', type: 'transport', selectedCandidatePairId: 'P' }] : []),
      {
        id: 'X',
        type: 'candidate-pair',
        state: 'failed',
        localCandidateId: 'L',
        remoteCandidateId: 'R',
      },
      { id: 'P', type: 'candidate-pair', localCandidateId: 'L', remoteCandidateId: 'R', ...pair },
      {
        id: 'L',
        type: 'local-candidate',
        candidateType: localType,
        address: '10.0.0.1',
        port: 5,
        protocol: 'udp',
      },
      {
        id: 'R',
        type: 'remote-candidate',
        candidateType: remoteType,
        ip: 'fd00::1',
        port: 6,
        protocol: 'udp',
      },
    ].map((stat) => [stat.id, stat]),
  );

test('the path is direct or relayed, as the pair in use says', () => {
  const chromium = pathOf(report({ currentRoundTripTime: 0.02 }, 'host', 'prflx', true));
  assert.deepEqual(chromium, {
    kind: 'direct',
    local: { type: 'host', address: '10.0.0.1', port: 5, protocol: 'udp' },
    remote: { type: 'prflx', address: 'fd00::1', port: 6, protocol: 'udp' },
    roundTrip: 0.02,
  });
  assert.equal(pathOf(report({ selected: true }, 'relay', 'host'))?.kind, 'relayed');
  assert.equal(
    pathOf(report({ nominated: true, state: 'succeeded' }, 'host', 'relay'))?.kind,
    'relayed',
  );
  assert.equal(pathOf(new Map()), null);
});

// Problems

test('every problem is a code, a sentence and a button', () => {
  const known = problem('no_path');
  assert.ok(known instanceof Problem && known.sentence.endsWith('.') && known.action !== '');
  assert.equal(problem('toString').code, 'unexpected');
  assert.equal(asProblem(known), known);
  assert.equal(asProblem(new Error('x'), 'disk').code, 'disk');
});
