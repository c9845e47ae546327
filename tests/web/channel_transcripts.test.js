// @ts-check
// The golden transcripts of the control and the chat channel; they drive the Python machines, too.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Chat } from '../../web/client/channel/chat.js';
import { Control } from '../../web/client/link/control.js';
import { transcripts } from './support/vectors.js';

const encoder = new TextEncoder();

/** @param {any} step */
function* texts(step) {
  const [before, repeated, times, after] = [step.text].flat();
  const text = times === undefined ? before : before + repeated.repeat(times) + after;
  if (step.ids === undefined) yield text;
  else
    for (let id = step.ids[0]; id <= step.ids[1]; id += 1) yield text.replaceAll('%', String(id));
}

/** @param {string} text */
function short(text) {
  const characters = [...text];
  if (characters.length <= 100) return text;
  return `${characters.slice(0, 10).join('')}\u2026${encoder.encode(text).length}`;
}

/** @param {any[]} things */
const few = (things) => (things.length <= 8 ? things : { count: things.length, last: things.at(-1) });

/** @param {any} event */
function eventOf({ type, message, ...rest }) {
  const said = { event: type, ...rest };
  if (type === 'bye') said.message = message;
  for (const [key, value] of Object.entries(said))
    if (key !== 'event' && typeof value === 'string') said[key] = short(value);
  // Names are short anyway.
  return type === 'hello' ? { event: type, ...rest } : said;
}

/** @param {Control | Chat} machine */
function eventsOf(machine) {
  const events = [];
  for (let event = machine.nextEvent(); event; event = machine.nextEvent()) events.push(eventOf(event));
  return few(events);
}

/**
 * @param {Control} control
 * @param {any} step
 */
function controlStep(control, step) {
  const { now } = step;
  if (step.do === 'hello') control.hello(step.name, step.agent, step.reveal);
  else if (step.do === 'bye') control.bye(step.code, step.message);
  else if (step.do === 'heard') control.heard(now);
  else if (step.do === 'doubt') control.doubt(now);
  else if (step.do === 'timer') control.handleTimer(now);
  else if (step.do === 'message') for (const text of texts(step)) control.receiveMessage(text, now);
  const send = few(control.messagesToSend({ replies: step.room ?? true }).map(short));
  const events = eventsOf(control);
  return { send, events, deadline: control.deadline, round_trip: control.roundTrip };
}

/**
 * @param {Chat} chat
 * @param {any} step
 */
function chatStep(chat, step) {
  let outcome = {};
  for (const text of texts(step)) {
    if (step.do === 'message') {
      chat.receiveMessage(text);
      continue;
    }
    try {
      outcome = { id: chat.send(text, step.at, { limit: step.limit }) };
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      outcome = { error: true };
    }
  }
  const events = eventsOf(chat);
  return { ...outcome, send: few(chat.messagesToSend({ confirmations: step.room ?? true }).map(short)), events };
}

for (const { name, steps } of transcripts('control')) {
  test(`control: ${name}`, () => {
    const control = new Control(0);
    for (const [number, step] of steps.entries())
      assert.deepEqual(controlStep(control, step), step.then, `step ${number}`);
  });
}

for (const { name, steps } of transcripts('chat')) {
  test(`chat: ${name}`, () => {
    const chat = new Chat();
    for (const [number, step] of steps.entries())
      assert.deepEqual(chatStep(chat, step), step.then, `step ${number}`);
  });
}
