/**
 * Which spans a process records that traces on its user's word: the way of its records, and none of the calls beside it,
 * which look up addresses and routes for all records together.
 */
import { trace } from '@opentelemetry/api';
import type { Attributes, Context, SpanKind } from '@opentelemetry/api';

const CALL_ATTRIBUTE = 'rpc.system';
/** SamplingDecision of the SDK, which must not be loaded here: that takes a quarter of a second. */
const DECISIONS = { notRecord: 0, recordAndSampled: 2 } as const;

/** As the SDK wants it; only what the decision needs is read. */
export interface RecordSampler {
  shouldSample(
    context: Context,
    traceId: string,
    name: string,
    kind: SpanKind,
    attributes: Attributes,
  ): { readonly decision: (typeof DECISIONS)[keyof typeof DECISIONS] };
  toString(): string;
}

/**
 * `roots`: whether spans without a parent begin traces, and with a number one in so many of them, the first among them;
 * those with a parent follow it.
 */
export function recordSampler(roots: boolean | number): RecordSampler {
  let rootCount = 0;
  const begins = (): boolean => {
    if (typeof roots === 'boolean') return roots;
    rootCount += 1;
    return (rootCount - 1) % roots === 0;
  };
  return {
    shouldSample(context, _traceId, _name, _kind, attributes) {
      const parent = trace.getSpanContext(context);
      const isRecord = !Object.hasOwn(attributes, CALL_ATTRIBUTE);
      const sampled = isRecord && (parent === undefined ? begins() : (parent.traceFlags & 1) === 1);
      return { decision: sampled ? DECISIONS.recordAndSampled : DECISIONS.notRecord };
    },
    toString: () => `RecordSampler{roots=${roots}}`,
  };
}
