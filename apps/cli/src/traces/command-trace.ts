/**
 * `--trace` of a command: the spans of its records go to the console that keeps traces, or where OTEL_EXPORTER_OTLP_ENDPOINT
 * says, and its trace ids to stderr, when all has been sent.
 */
import { context, SpanStatusCode, trace } from '@opentelemetry/api';
import { sampledParent } from '@partita/client';
import { createLogger, PRODUCT_VERSION, startTelemetry, tracesEndpoint } from '@partita/runtime';
import { UsageError } from '../exit-code.ts';
import type { Terminal } from '../terminal.ts';
import { findTraces } from './find-traces.ts';
import type { TraceOptions } from './find-traces.ts';

export interface TracedOptions extends TraceOptions {
  readonly trace?: boolean | undefined;
}

/** Ids remembered and printed by a consumer, which may run for days. */
const SHOWN_ID_COUNT_MAX = 10;

/** Runs work below a new root span and prints the id of its trace. Without `--trace` it only runs work. */
export async function inNewTrace<Result>(
  name: string,
  options: TracedOptions,
  terminal: Terminal,
  work: () => Promise<Result>,
): Promise<Result> {
  if (options.trace !== true) return work();
  const telemetry = await startTracing(options, terminal, true);
  const span = trace.getTracer('partita').startSpan(name);
  try {
    return await context.with(trace.setSpan(context.active(), span), work);
  } catch (error) {
    span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.message : String(error) });
    throw error;
  } finally {
    const recorded = span.isRecording();
    span.end();
    await telemetry.shutdown();
    if (recorded) terminal.note(`trace ${span.spanContext().traceId}`);
    else terminal.note('not traced: OTEL_TRACES_SAMPLER left it out');
  }
}

/** Runs work so that its records' spans join their traces, and prints the ids of those that `seen` was told of. */
export async function inRecordTraces<Result>(
  options: TracedOptions,
  terminal: Terminal,
  work: (seen: (traceparent: string) => void) => Promise<Result>,
): Promise<Result> {
  if (options.trace !== true) return work(() => undefined);
  const telemetry = await startTracing(options, terminal, false);
  const ids = new Set<string>();
  try {
    return await work((traceparent) => {
      const id = sampledParent(traceparent)?.traceId;
      // One more than is shown: so it is known that there are more.
      if (id !== undefined && ids.size <= SHOWN_ID_COUNT_MAX) ids.add(id);
    });
  } finally {
    await telemetry.shutdown();
    for (const id of [...ids].slice(0, SHOWN_ID_COUNT_MAX)) terminal.note(`trace ${id}`);
    if (ids.size > SHOWN_ID_COUNT_MAX) terminal.note('and more traces: see partita trace list');
    if (ids.size === 0) terminal.note('none of the records was traced; produce with --trace');
  }
}

/** Nothing to stop when the process traces already, as its environment says. */
async function startTracing(options: TraceOptions, terminal: Terminal, roots: boolean) {
  const { env } = terminal;
  if (env['OTEL_SDK_DISABLED']?.trim().toLowerCase() === 'true')
    throw new UsageError('--trace does nothing while OTEL_SDK_DISABLED is true: unset it');
  if (tracesEndpoint(env) !== undefined) return { shutdown: () => Promise.resolve() };
  const instance = String(process.pid);
  return startTelemetry({
    ...{ service: 'cli', version: PRODUCT_VERSION, instance, env },
    records: { endpoint: `http://${findTraces(options, env)}`, roots },
    logger: createLogger({ service: 'cli', instance, level: 'warn', output: { write: (line) => terminal.note(line) } }),
  });
}
