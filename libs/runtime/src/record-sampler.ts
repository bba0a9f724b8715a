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

/** `roots`: whether spans without a parent begin traces; those with one follow it. */
export function recordSampler(roots: boolean): RecordSampler {
  return {
    shouldSample(context, _traceId, _name, _kind, attributes) {
      const parent = trace.getSpanContext(context);
      const wanted = parent === undefined ? roots : (parent.traceFlags & 1) === 1;
      const sampled = wanted && !Object.hasOwn(attributes, CALL_ATTRIBUTE);
      return { decision: sampled ? DECISIONS.recordAndSampled : DECISIONS.notRecord };
    },
    toString: () => `RecordSampler{roots=${roots}}`,
  };
}
