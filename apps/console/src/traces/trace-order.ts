/** Orders of a list of traces, each total, so that a page begins behind the last entry of the one before. */
import { PartitaError } from '@partita/domain';
import { TraceOrder } from '@partita/protocol';
import type { TraceHead } from './trace-store.ts';

/** What an order looks at, of an entry or of a page token. */
export interface TracePlace {
  /** Start or duration, nanoseconds. */
  readonly key: bigint;
  readonly traceId: string;
}

/** `key-trace id` of the last entry of a page. */
const PAGE_TOKEN = /^(\d{1,20})-([0-9a-f]{32})$/;

/** Where a trace stands in the order. */
export function placeOf({ startNanos, endNanos, traceId }: TraceHead, order: TraceOrder): TracePlace {
  return { key: order === TraceOrder.TRACE_ORDER_SLOWEST ? endNanos - startNanos : startNanos, traceId };
}

/** Greater keys first, of equal ones greater ids. */
export function comparePlaces(left: TracePlace, right: TracePlace): number {
  if (left.key !== right.key) return left.key < right.key ? 1 : -1;
  if (left.traceId === right.traceId) return 0;
  return left.traceId < right.traceId ? 1 : -1;
}

export function pageTokenOf({ key, traceId }: TracePlace): string {
  return `${key}-${traceId}`;
}

/** Throws INVALID_PAGE_TOKEN. */
export function placeOfToken(token: string): TracePlace {
  const [, key, traceId] = PAGE_TOKEN.exec(token) ?? [];
  if (key === undefined || traceId === undefined)
    throw new PartitaError('INVALID_PAGE_TOKEN', 'the page token is none of this list: begin without one');
  return { key: BigInt(key), traceId };
}
