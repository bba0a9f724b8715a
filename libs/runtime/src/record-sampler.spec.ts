import { ROOT_CONTEXT, SpanKind, trace, TraceFlags } from '@opentelemetry/api';
import { describe, expect, it } from 'vitest';
import { recordSampler } from './record-sampler.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const below = (traceFlags: TraceFlags) =>
  trace.setSpanContext(ROOT_CONTEXT, { traceId: TRACE, spanId: '00f067aa0ba902b7', traceFlags });
const sampled = (roots: boolean, context = ROOT_CONTEXT, attributes = {}) =>
  recordSampler(roots).shouldSample(context, TRACE, 'x', SpanKind.CLIENT, attributes).decision === 2;

describe('the sampler of records', () => {
  it('begins traces only where it may', () => {
    expect([sampled(true), sampled(false)]).toEqual([true, false]);
  });

  it('begins one trace in so many when it is told a number, the first among them', () => {
    const sampler = recordSampler(3);
    const decide = (context = ROOT_CONTEXT, attributes = {}) =>
      sampler.shouldSample(context, TRACE, 'x', SpanKind.CLIENT, attributes).decision === 2;
    expect(Array.from({ length: 7 }, () => decide())).toEqual([true, false, false, true, false, false, true]);
    // What is no beginning does not count.
    expect([decide(below(TraceFlags.SAMPLED)), decide(below(TraceFlags.NONE))]).toEqual([true, false]);
    expect(decide(ROOT_CONTEXT, { 'rpc.system': 'grpc' })).toBe(false);
    expect([decide(), decide(), decide()]).toEqual([false, false, true]);
  });

  it('follows a parent, whether it may begin traces or not', () => {
    for (const roots of [true, false]) {
      expect(sampled(roots, below(TraceFlags.SAMPLED))).toBe(true);
      expect(sampled(roots, below(TraceFlags.NONE))).toBe(false);
    }
  });

  it('records no calls, which outlive the trace', () => {
    const call = { 'rpc.system': 'grpc' };
    expect([sampled(true, ROOT_CONTEXT, call), sampled(true, below(TraceFlags.SAMPLED), call)]).toEqual([false, false]);
  });
});
