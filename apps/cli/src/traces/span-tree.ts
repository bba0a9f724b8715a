/** The spans of a trace as a tree, with the time that each spent by itself. */
import type { Timestamp, TraceSpan } from '@partita/protocol';

/** Nanoseconds. */
export interface Interval {
  readonly from: number;
  readonly to: number;
}

export interface SpanNode {
  readonly span: TraceSpan;
  readonly depth: number;
  /** Nanoseconds since the trace began. */
  readonly startNanos: number;
  readonly durationNanos: number;
  /** When no child ran: intervals since the trace began, in order. */
  readonly own: readonly Interval[];
  /** Length of those together. */
  readonly ownNanos: number;
  /** True = its parent is not among the spans: of another process that does not trace, or not received yet. */
  readonly orphan: boolean;
}

/** Depth first, siblings by their start. Every span is there once, whatever the parents say. */
export function spanTree(spans: readonly TraceSpan[]): SpanNode[] {
  const base = spans.reduce<bigint | undefined>((first, span) => {
    const start = startOf(span);
    return first === undefined || start < first ? start : first;
  }, undefined);
  const children = new Map<string, TraceSpan[]>(spans.map(({ spanId }) => [spanId, []]));
  const tops: TraceSpan[] = [];
  for (const span of spans) (children.get(span.parentSpanId) ?? tops).push(span);
  const order = (left: TraceSpan, right: TraceSpan): number => Number(startOf(left) - startOf(right));
  const interval = (span: TraceSpan): Interval => {
    const from = Number(startOf(span) - (base ?? 0n));
    return { from, to: from + durationOf(span) };
  };
  const nodes: SpanNode[] = [];
  const seen = new Set<TraceSpan>();
  // Not by recursion: what came over the network decides how deep it is.
  const walk = (roots: readonly TraceSpan[]): void => {
    const waiting = [...roots].sort(order).map((span) => ({ span, depth: 0 }));
    waiting.reverse();
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const { span, depth } = next;
      if (seen.has(span)) continue;
      seen.add(span);
      const below = [...(children.get(span.spanId) ?? [])].sort(order);
      const { from: startNanos, to } = interval(span);
      const own = uncovered({ from: startNanos, to }, below.map(interval));
      const ownNanos = own.reduce((sum, part) => sum + part.to - part.from, 0);
      const orphan = span.parentSpanId !== '' && !children.has(span.parentSpanId);
      nodes.push({ span, depth, startNanos, durationNanos: to - startNanos, own, ownNanos, orphan });
      for (const child of below.reverse()) waiting.push({ span: child, depth: depth + 1 });
    }
  };
  walk(tops);
  // Spans that are each other's parents are reached from nowhere.
  for (const span of spans) if (!seen.has(span)) walk([span]);
  return nodes;
}

/** The parts of `whole` that lie in none of the intervals, which are in the order of their starts. */
function uncovered(whole: Interval, covered: readonly Interval[]): Interval[] {
  const parts: Interval[] = [];
  let at = whole.from;
  for (const { from, to } of covered) {
    if (Math.min(from, whole.to) > at) parts.push({ from: at, to: Math.min(from, whole.to) });
    at = Math.max(at, to);
  }
  if (at < whole.to) parts.push({ from: at, to: whole.to });
  return parts;
}

/** Nanoseconds since 1970; 0 for none. */
export function nanosOf(time: Timestamp | undefined): bigint {
  return time === undefined ? 0n : time.seconds * 1_000_000_000n + BigInt(time.nanos);
}

function startOf({ startTime }: TraceSpan): bigint {
  return nanosOf(startTime);
}

function durationOf({ duration }: TraceSpan): number {
  return duration === undefined ? 0 : Number(duration.seconds) * 1e9 + duration.nanos;
}
