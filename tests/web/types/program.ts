// The library from the view of a TypeScript user: checked by `make lint`, never run. Each line
// below `@ts-expect-error` must be an error, so a type that became `any` fails the check.

import { Code, Link, Problem, Room, manifestFrom } from '../../../build/types/client/index.js';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** Compiles only if the type of `value` is exactly `Expected`: no wider, no narrower, not `any`. */
function is<Expected>() {
  return <Actual>(value: Actual, same: Same<Actual, Expected>): void => void [value, same];
}

export async function talk(file: File): Promise<void> {
  const room = await Room.host({ server: 'https://example.org/', name: 'Anna' });
  is<Code | null>()(room.code, true);

  room.addEventListener('connecting', ({ detail }) => is<Link>()(detail, true));
  room.addEventListener('link', ({ detail: link }) => listen(link), { once: true });
  room.addEventListener('error', ({ detail }) => is<Problem>()(detail, true));
  room.addEventListener('closed', ({ detail }) => is<Problem | null>()(detail, true));
  room.addEventListener('state', ({ detail }) => {
    if (detail === 'waiting') return;
    // @ts-expect-error there is no such state
    if (detail === 'pairing') return;
  });
  // @ts-expect-error there is no such event
  room.addEventListener('links', () => {});
  // @ts-expect-error a problem has no `text`
  room.addEventListener('error', ({ detail }) => void detail.text);

  const manifest = await manifestFrom([file]);
  is<number>()(manifest.bytes, true);
  // @ts-expect-error `server` is an address as text
  await Room.join({ server: 5, code: '7-guitar-ocean' });
}

function listen(link: Link): void {
  link.addEventListener('state', ({ detail }) => {
    is<'pairing' | 'connecting' | 'connected' | 'closed'>()(detail, true);
  });
  link.addEventListener('path', ({ detail }) => {
    is<'direct' | 'relayed'>()(detail.kind, true);
    is<number | null>()(detail.roundTrip, true);
  });
  link.addEventListener('chat', ({ detail }) => {
    is<{ id: number; text: string; at: Date }>()(detail, true);
    // @ts-expect-error a line of chat has a number, and no name
    void detail.name;
  });
  link.addEventListener('delivered', ({ detail }) => is<{ id: number }>()(detail, true));
  link.addEventListener('offer', ({ detail: offer }) => {
    is<'in'>()(offer.direction, true);
    void offer.accept();
    // @ts-expect-error an offer is accepted as a whole
    void offer.accept(1);
  });
  link.addEventListener('progress', ({ detail: transfer }) => {
    is<number>()(transfer.bytesDone, true);
    is<number | null>()(transfer.secondsLeft, true);
    // @ts-expect-error only what is received is saved
    void transfer.saved;
    if (transfer.direction === 'in') is<File | undefined>()(transfer.saved[0]?.file, true);
  });
  link.addEventListener('saved', ({ detail }) => {
    is<File>()(detail.file, true);
    is<string>()(detail.name, true);
  });
  for (const type of ['transferdone', 'transferfailed'] as const) {
    link.addEventListener(type, ({ detail }) => is<Problem | null>()(detail.problem, true));
  }
  const closed = ({ detail }: CustomEvent<Problem>): void => is<string>()(detail.code, true);
  link.addEventListener('closed', closed);
  link.removeEventListener('closed', closed);
  // @ts-expect-error this listener is one of another event
  link.addEventListener('chat', closed);
  // @ts-expect-error there is no such event
  link.addEventListener('message', () => {});
  is<number>()(link.sendChat('hello'), true);
}
