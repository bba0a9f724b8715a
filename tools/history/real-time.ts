/**
 * What was known when an operation began holds for it: a send gets an offset above all that anyone knew, unless it repeats
 * a request, and a high watermark is above every one told before and above everything acknowledged (by acks=all) or read.
 */
import type { Evidence } from './evidence.ts';
import { offsetsOf, recordsOf } from './history.ts';
import type { PollEvent, SendEvent } from './history.ts';
import { entryOf, Rising } from './rising.ts';

interface Known {
  /** Highest offset that anyone was told of. */
  readonly offset: Rising;
  readonly highWatermark: Rising;
}

/** Finds offset-regress and hw-regress. */
export function findRealTime(evidence: Evidence): void {
  const keys = new Map<string, Known>();
  const knownOf = (key: string): Known =>
    entryOf(keys, key, () => ({ offset: new Rising(), highWatermark: new Rising() }));
  const firstOps = firstOpOfRequests(evidence);
  for (const [index, event] of evidence.history.entries()) {
    if (event.type === 'invoke') continue;
    const span = { index, invokedAt: evidence.invokedAt[index] ?? index };
    if (event.f === 'send' && event.type === 'ok' && event.key !== undefined)
      send(
        evidence,
        event,
        { ...span, mayBeOld: (firstOps.get(event.requestId ?? '') ?? event.op) !== event.op },
        knownOf,
      );
    else if (event.f === 'poll') poll(evidence, event, span, knownOf);
  }
}

interface Span {
  readonly index: number;
  readonly invokedAt: number;
}

function firstOpOfRequests({ history }: Evidence): Map<string, number> {
  const firstOps = new Map<string, number>();
  for (const event of history) {
    if (event.f !== 'send' || event.requestId === undefined || firstOps.has(event.requestId)) continue;
    firstOps.set(event.requestId, event.op);
  }
  return firstOps;
}

function send(
  { findings }: Evidence,
  event: SendEvent,
  { index, invokedAt, mayBeOld }: Span & { readonly mayBeOld: boolean },
  knownOf: (key: string) => Known,
): void {
  const known = knownOf(event.key ?? '');
  const before = known.offset.before(invokedAt) ?? -1;
  for (const offset of offsetsOf(event)) {
    if (offset <= before && !mayBeOld)
      findings.add(
        'offset-regress',
        `send ${event.op} to ${event.key ?? ''} got ${offset}, ${before} was known before it`,
      );
    known.offset.raise(index, offset);
  }
}

function poll({ findings }: Evidence, event: PollEvent, span: Span, knownOf: (key: string) => Known): void {
  for (const [key, records] of recordsOf(event)) {
    const known = knownOf(key);
    for (const [offset] of records) known.offset.raise(span.index, offset);
  }
  if (event.type !== 'ok') return;
  for (const [key, highWatermark] of Object.entries(event.highWatermarks ?? {})) {
    const known = knownOf(key);
    const told = known.highWatermark.before(span.invokedAt) ?? 0;
    const end = (known.offset.before(span.invokedAt) ?? -1) + 1;
    if (highWatermark < Math.max(told, end))
      findings.add(
        'hw-regress',
        `poll ${event.op}: ${key} ends at ${highWatermark}, it had ended at ${Math.max(told, end)}`,
      );
    known.highWatermark.raise(span.index, highWatermark);
  }
}
