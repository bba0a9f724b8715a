/** A trace as `partita trace show --json` prints it: what the tour looks at, and what it claims of it. Pure. */
import { check } from './checks.ts';
import type { Check } from './checks.ts';

interface ShownSpan {
  readonly spanId: string;
  readonly name: string;
  readonly service: string;
  readonly durationMs: number;
  readonly ownMs: number;
}

/** A part of the critical path. */
interface PathPart {
  readonly spanId: string;
  readonly kind: 'own' | 'before';
  readonly ms: number;
}

export interface ShownTrace {
  readonly traceId: string;
  readonly durationMs: number;
  readonly slowest?: { readonly spanId: string; readonly text: string; readonly ms: number; readonly pathMs: number };
  readonly path: readonly PathPart[];
  readonly spans: readonly ShownSpan[];
}

/** Of one line of JSON. Throws an Error for anything else. */
export function parseShownTrace(json: string): ShownTrace {
  const value: unknown = JSON.parse(json);
  if (typeof value === 'object' && value !== null && 'traceId' in value && 'spans' in value && 'path' in value)
    return value as ShownTrace;
  throw new Error(`no trace: ${json.slice(0, 200)}`);
}

/** Times are decimal fractions of whole nanoseconds. */
const ROUNDING_MS = 0.001;

/**
 * The sentence names a span of the trace, no other span has more time of its own on the path, none has more there than it
 * took, and all of the path is no longer than the trace.
 */
export function namesTheSlowPart({ durationMs, slowest, path, spans }: ShownTrace): Check {
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  const own = path.filter(({ kind }) => kind === 'own');
  const longer = own.filter(({ ms }) => ms > (slowest?.ms ?? 0) + ROUNDING_MS);
  const impossible = own.filter(({ spanId, ms }) => ms > (byId.get(spanId)?.durationMs ?? 0) + ROUNDING_MS);
  const sumMs = path.reduce((sum, { ms }) => sum + ms, 0);
  const named = byId.get(slowest?.spanId ?? '');
  const faults = [
    ...(named === undefined || slowest?.text.startsWith(named.name) !== true ? ['it names no span of the trace'] : []),
    ...longer.map(({ spanId, ms }) => `${byId.get(spanId)?.name ?? spanId} took ${ms.toFixed(1)} ms`),
    ...impossible.map(({ spanId }) => `${byId.get(spanId)?.name ?? spanId} is on the path for longer than it took`),
    ...(sumMs > durationMs + ROUNDING_MS ? [`the path takes ${sumMs.toFixed(1)} ms of ${durationMs.toFixed(1)}`] : []),
  ];
  return check("the slowest record's trace names the span that took longest", faults.length === 0, {
    yes: `${slowest?.text ?? ''}; ${spans.length} spans`,
    no: faults.join('; '),
  });
}
