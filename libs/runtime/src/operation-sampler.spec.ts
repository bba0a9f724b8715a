import { ROOT_CONTEXT, SpanKind, trace, TraceFlags } from '@opentelemetry/api';
import * as sdk from '@opentelemetry/sdk-trace';
import { OPERATION_TRACES_PER_MINUTE_COUNT_MAX } from '@partita/domain';
import { describe, expect, it } from 'vitest';
import { createLogger } from './logger.ts';
import { environmentSampler, OperationSampler } from './operation-sampler.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const OPERATION = { 'partita.operation': 'elect' };
const lines: string[] = [];
const logger = createLogger({
  ...{ service: 'test', instance: '1', pretty: false },
  output: { write: (line) => void lines.push(line) },
});
const below = (traceFlags: TraceFlags) =>
  trace.setSpanContext(ROOT_CONTEXT, { traceId: TRACE, spanId: '00f067aa0ba902b7', traceFlags });

function sampler(name: string | undefined, argument?: string) {
  const clock = { nowMs: 0, monotonicMs: () => clock.nowMs };
  const env = { OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: argument };
  const made = new OperationSampler(environmentSampler(env, sdk, logger), clock);
  const samples = (context = ROOT_CONTEXT, attributes = {}, traceId = TRACE) =>
    made.shouldSample(context, traceId, 'x', SpanKind.INTERNAL, attributes, []).decision === 2;
  return { clock, samples };
}

describe('the sampler of a service', () => {
  it('records an operation, and what belongs to it, though calls begin no traces', () => {
    const { samples } = sampler('parentbased_always_off');
    expect([samples(), samples(ROOT_CONTEXT, OPERATION)]).toEqual([false, true]);
    expect([samples(below(TraceFlags.SAMPLED), OPERATION), samples(below(TraceFlags.NONE), OPERATION)]).toEqual([
      true,
      false,
    ]);
  });

  it('records so many operations a minute and no more', () => {
    const { samples, clock } = sampler('parentbased_always_off');
    const count = () => Array.from({ length: 500 }, () => samples(ROOT_CONTEXT, OPERATION)).filter(Boolean).length;
    expect(count()).toBe(OPERATION_TRACES_PER_MINUTE_COUNT_MAX);
    clock.nowMs = 59_999;
    expect(count()).toBe(0);
    clock.nowMs = 60_000;
    expect(count()).toBe(OPERATION_TRACES_PER_MINUTE_COUNT_MAX);
    // Those that go on are not counted.
    expect(samples(below(TraceFlags.SAMPLED), OPERATION)).toBe(true);
  });

  it.each([
    [undefined, undefined, true, true, false],
    ['', undefined, true, true, false],
    ['parentbased_always_on', undefined, true, true, false],
    ['parentbased_always_off', undefined, false, true, false],
    ['always_on', undefined, true, true, true],
    ['always_off', undefined, false, false, false],
    ['traceidratio', '0', false, false, false],
    ['traceidratio', '1', true, true, true],
    ['parentbased_traceidratio', '0', false, true, false],
    ['parentbased_traceidratio', '2', true, true, false],
    ['loud', undefined, true, true, false],
  ])('samples calls as OTEL_TRACES_SAMPLER=%s says, argument %s', (name, argument, root, sampled, unsampled) => {
    const { samples } = sampler(name, argument);
    expect([samples(), samples(below(TraceFlags.SAMPLED)), samples(below(TraceFlags.NONE))]).toEqual([
      root,
      sampled,
      unsampled,
    ]);
  });

  it('says what of the environment it does not understand', () => {
    sampler('loud');
    sampler('traceidratio', 'half');
    expect(lines.join('')).toMatch(/"sampler":"loud"[\s\S]*"ratio":"half"/);
  });
});
