/**
 * Which spans a service records: those of operations (an election, a rebalance, a recovery) always, so many a minute, and any
 * other as OTEL_TRACES_SAMPLER says. Operations are few and are looked for when something has happened, so that it is too
 * late then to ask for their traces.
 */
import { trace, TraceFlags } from '@opentelemetry/api';
import type { Sampler, SamplingResult } from '@opentelemetry/sdk-trace';
import { OPERATION_TRACES_PER_MINUTE_COUNT_MAX } from '@partita/domain';
import type { Clock } from '@partita/domain';
import type { Environment } from './config-sources.ts';
import type { Logger } from './logger.ts';

/** Spans with this attribute belong to an operation; its value is the operation's kind. */
const OPERATION_ATTRIBUTE = 'partita.operation';
/** SamplingDecision of the SDK, which must not be loaded here: that takes a quarter of a second. */
const DECISIONS = { notRecord: 0, recordAndSampled: 2 } as const;
const WINDOW_MS = 60_000;

type Sdk = Pick<
  typeof import('@opentelemetry/sdk-trace'),
  'AlwaysOffSampler' | 'AlwaysOnSampler' | 'ParentBasedSampler' | 'TraceIdRatioBasedSampler'
>;

/** The sampler of a service. `base` decides about all that belongs to no operation. */
export class OperationSampler implements Sampler {
  readonly #base: Sampler;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  #windowStartMs = -Infinity;
  #countInWindow = 0;

  constructor(base: Sampler, clock: Pick<Clock, 'monotonicMs'>) {
    this.#base = base;
    this.#clock = clock;
  }

  shouldSample(...asked: Parameters<Sampler['shouldSample']>): SamplingResult {
    const [context, , , , attributes] = asked;
    if (!Object.hasOwn(attributes, OPERATION_ATTRIBUTE)) return this.#base.shouldSample(...asked);
    const parent = trace.getSpanContext(context);
    const isSampled = parent === undefined ? this.#takeOne() : (parent.traceFlags & TraceFlags.SAMPLED) !== 0;
    return { decision: isSampled ? DECISIONS.recordAndSampled : DECISIONS.notRecord };
  }

  toString(): string {
    return `OperationSampler{${this.#base.toString()}}`;
  }

  #takeOne(): boolean {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#windowStartMs >= WINDOW_MS) {
      this.#windowStartMs = nowMs;
      this.#countInWindow = 0;
    }
    this.#countInWindow += 1;
    return this.#countInWindow <= OPERATION_TRACES_PER_MINUTE_COUNT_MAX;
  }
}

/** What OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG name; as OpenTelemetry says, parentbased_always_on by default. */
export function environmentSampler(env: Environment, sdk: Sdk, logger: Logger): Sampler {
  const name = env['OTEL_TRACES_SAMPLER']?.trim() ?? '';
  const always = new sdk.AlwaysOnSampler();
  const never = new sdk.AlwaysOffSampler();
  const below = (root: Sampler): Sampler => new sdk.ParentBasedSampler({ root });
  switch (name) {
    case 'always_on':
      return always;
    case 'always_off':
      return never;
    case 'parentbased_always_off':
      return below(never);
    case 'traceidratio':
      return new sdk.TraceIdRatioBasedSampler(ratioOf(env, logger));
    case 'parentbased_traceidratio':
      return below(new sdk.TraceIdRatioBasedSampler(ratioOf(env, logger)));
    default:
      if (name !== '' && name !== 'parentbased_always_on')
        logger.warn({ sampler: name }, 'OTEL_TRACES_SAMPLER names no sampler: every call is a trace');
      return below(always);
  }
}

function ratioOf(env: Environment, logger: Logger): number {
  const text = env['OTEL_TRACES_SAMPLER_ARG']?.trim() ?? '';
  const ratio = text === '' ? 1 : Number(text);
  if (ratio >= 0 && ratio <= 1) return ratio;
  logger.warn({ ratio: text }, 'OTEL_TRACES_SAMPLER_ARG is no number from 0 to 1: every call is a trace');
  return 1;
}
