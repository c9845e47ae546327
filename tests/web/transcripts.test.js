// @ts-check
// The golden transcripts: inputs of the machines, and their outputs. The same files drive the
// Python machines.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Negotiation } from '../../web/client/link/negotiation.js';
import { Problem, problem } from '../../web/client/problems.js';
import { passwordBytes } from '../../web/client/security/pake.js';
import { fromHex, transcripts } from './support/vectors.js';

/** @param {any} event */
function eventOf({ type, ...rest }) {
  if (type !== 'failed') return { event: type, ...rest };
  const { code, sentence } = rest.problem;
  const explained = ['no_path', 'wrong_code'].includes(code)
    ? { explained: sentence !== problem(code).sentence }
    : {};
  return { event: type, error: code, stage: rest.stage, ...explained };
}

/**
 * @param {any} side
 * @param {number} now
 */
function negotiationOf({ password, random, ...side }, now) {
  return new Negotiation({
    ...side,
    password: password === null ? null : passwordBytes(password),
    random: fromHex(random),
    now,
  });
}

/**
 * @param {Negotiation} negotiation
 * @param {any} step
 * @param {any[]} wire
 */
async function take(negotiation, step, wire) {
  const { now, gen } = step;
  switch (step.do) {
    case 'begin':
      return negotiation.begin();
    case 'signal':
      return negotiation.receiveSignal(step.signal ?? wire[step.take], now);
    case 'answer_share':
      return negotiation.answerShare(now);
    case 'refuse_share':
      return negotiation.refuseShare();
    case 'described':
      return negotiation.descriptionMade(gen, step.sdp, { random: fromHex(step.random), now });
    case 'candidate':
      return negotiation.candidateFound(gen, step.candidate);
    case 'connection_failed': {
      const { error, conclusive, reason } = step;
      return negotiation.connectionFailed(gen, { problem: problem(error), conclusive, reason }, now);
    }
    case 'established':
      return negotiation.established();
    case 'peer_left':
      return negotiation.peerLeft();
    case 'give_up':
      return negotiation.giveUp(problem(step.error));
    case 'timer':
      return negotiation.handleTimer(now);
    case 'verify':
      try {
        const fingerprints = { local: fromHex(step.local), remote: fromHex(step.remote) };
        const words = await negotiation.verify(step.reveal, fingerprints);
        return { words: [...words], reveal: negotiation.reveal };
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        return { error: error.code };
      }
    default:
      throw new Error(`a step of an unknown kind: ${step.do}`);
  }
}

for (const { name, sides, steps } of transcripts('negotiation')) {
  test(`set-up: ${name}`, async () => {
    /** @type {Map<string, Negotiation>} */
    const machines = new Map();
    const wire = [];
    for (const [number, step] of steps.entries()) {
      const { side } = step;
      if (step.do === 'begin') machines.set(side, negotiationOf(sides[side], step.now));
      const negotiation = /** @type {Negotiation} */ (machines.get(side));
      const told = await take(negotiation, step, wire);
      const send = negotiation.signalsToSend();
      wire.push(...send);
      const events = [];
      for (let event = negotiation.nextEvent(); event; event = negotiation.nextEvent())
        events.push(eventOf(event));
      const { stage, deadline } = negotiation;
      // The file has the plaintext of sealed signals as well, for its readers.
      const sent = step.then.send.map((/** @type {any} */ signal) => ({ ...signal }));
      for (const signal of sent) delete signal.says;
      const expected = { ...step.then, send: sent };
      assert.deepEqual({ ...told, send, events, stage, deadline }, expected, `step ${number}`);
    }
  });
}
