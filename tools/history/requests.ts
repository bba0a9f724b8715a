/**
 * Requests with an id, however often and by whomever they were sent: at most one copy of each is in the log, exactly one where
 * any of its sends was acknowledged, and all acknowledgements name that one.
 */
import type { Evidence } from './evidence.ts';
import { offsetsOf, recordsOf, valuesOf } from './history.ts';
import { entryOf } from './rising.ts';

/** By value: places `<key> <offset>`. */
type Places = Map<string, Set<string>>;

interface Request {
  /** Where its records were acknowledged, and where they were read. */
  readonly acked: Places;
  readonly read: Places;
}

/** Finds request-doubled, request-answers and request-lost. */
export function findRequests(evidence: Evidence): void {
  const requests = new Map<string, Request>();
  const requestOf = new Map<string, Request>();
  for (const event of evidence.history) {
    if (event.f !== 'send' || event.requestId === undefined) continue;
    const request = entryOf(requests, event.requestId, (): Request => ({ acked: new Map(), read: new Map() }));
    const offsets = offsetsOf(event);
    for (const [index, value] of valuesOf(event).entries()) {
      requestOf.set(value, request);
      if (event.type !== 'ok' || event.key === undefined || offsets[index] === undefined) continue;
      note(request.acked, value, `${event.key} ${offsets[index]}`);
    }
  }
  if (requests.size === 0) return;
  for (const event of evidence.history) {
    if (event.f !== 'poll') continue;
    for (const [key, records] of recordsOf(event))
      for (const [offset, value] of records) {
        const request = requestOf.get(value);
        if (request !== undefined) note(request.read, value, `${key} ${offset}`);
      }
  }
  for (const [id, request] of requests) findOne(evidence, id, request);
}

function findOne({ findings }: Evidence, id: string, { acked, read }: Request): void {
  for (const [value, places] of acked) {
    if (places.size > 1)
      findings.add('request-answers', `request ${id}: "${value}" was acknowledged at ${listOf(places)}`);
    if (!read.has(value))
      findings.add(
        'request-lost',
        `request ${id}: "${value}" was acknowledged at ${listOf(places)}, and nobody got it`,
      );
  }
  for (const [value, places] of read)
    if (places.size > 1) findings.add('request-doubled', `request ${id}: "${value}" is at ${listOf(places)}`);
}

function note(places: Places, value: string, place: string): void {
  entryOf(places, value, () => new Set<string>()).add(place);
}

function listOf(places: ReadonlySet<string>): string {
  return [...places].sort().join(' and at ');
}
