/**
 * Traces and metrics of a process: the OpenTelemetry SDK, configured by the standard OTEL_* variables (endpoint, headers,
 * sampler, batch sizes, intervals, resource attributes). Traces are off unless an endpoint is set, metrics unless one is
 * or there is somewhere to listen; then nothing of the SDK is even loaded, because loading it takes a quarter of a second.
 * Libraries import @opentelemetry/api for spans, and @partita/telemetry for metrics.
 */
import { diag, DiagLogLevel } from '@opentelemetry/api';
import type { DiagLogger } from '@opentelemetry/api';
import { TELEMETRY_FLUSH_MS_MAX } from '@partita/domain';
import type { Metrics } from '@partita/telemetry';
import type { Environment } from './config-sources.ts';
import type { LogFields, Logger, ProcessLogger } from './logger.ts';
import type { MetricsConfig } from './metrics/metrics-config.ts';
import { NO_PROCESS_METRICS, startMetrics } from './metrics/process-metrics.ts';
import { environmentSampler, OperationSampler } from './operation-sampler.ts';
import { recordSampler } from './record-sampler.ts';
import { createRepeatedLog } from './repeated-log.ts';
import { systemClock } from './system-ports.ts';
import { resourceAttributes } from './telemetry-resource.ts';
import type { ProcessIdentity } from './telemetry-resource.ts';

export interface TelemetryOptions extends ProcessIdentity {
  /**
   * Set = records are traced though the environment names no endpoint: spans go to this one, and follow their parents.
   * `roots`: those without a parent begin traces; with a number, one in so many of them.
   */
  readonly records?: { readonly endpoint: string; readonly roots: boolean | number };
  /** False = no spans, whatever the environment says: a process that only receives those of others. */
  readonly traces?: false;
  /** The config of a process that has metrics, by METRICS_OPTIONS. Others have none, whatever the environment says. */
  readonly metrics?: MetricsConfig;
  readonly logger: ProcessLogger;
}

export interface Telemetry {
  /** Whether the process traces (`@partita/rpc` says what that means), and whether it begins traces by itself. */
  readonly tracing: 'off' | 'follow' | 'roots';
  /** NO_METRICS unless somebody asks for them or is sent them. */
  readonly metrics: Metrics;
  /** Listens for Prometheus, if told to; what the ready message says of it. Rejects with an ExitError when it cannot. */
  open(): Promise<LogFields>;
  /** The process serves now. */
  onServing(): void;
  /** Exports what is left, for TELEMETRY_FLUSH_MS_MAX at most. Never rejects: a collector that is down stops nobody. */
  shutdown(): Promise<void>;
}

/** Where the environment sends spans; undefined = it asks for none. */
export function tracesEndpoint(env: Environment): string | undefined {
  return env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] || env['OTEL_EXPORTER_OTLP_ENDPOINT'] || undefined;
}

/** Starts tracing and measuring when the environment asks for it. Call it before the first client or server is made. */
export async function startTelemetry(options: TelemetryOptions): Promise<Telemetry> {
  const { logger, metrics: config } = options;
  const traces = await startTraces(options);
  const metrics = config === undefined ? NO_PROCESS_METRICS : await startMetrics({ ...options, config });
  if (traces !== undefined || metrics.isPushed) {
    // After the SDK, which may have set a logger that writes plain text to stdout (OTEL_LOG_LEVEL).
    diag.setLogger(diagnostics(logger), { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  }
  return {
    tracing: traces?.tracing ?? 'off',
    metrics: metrics.metrics,
    open: () => metrics.open(),
    onServing: () => metrics.onServing(),
    async shutdown() {
      await Promise.all([
        traces === undefined ? undefined : flush('traces', traces, logger),
        flush('metrics', metrics, logger),
      ]);
    },
  };
}

/** Undefined = no spans are exported, and nothing of the SDK is loaded for them. */
async function startTraces(options: TelemetryOptions): Promise<Pick<Telemetry, 'tracing' | 'shutdown'> | undefined> {
  const { env, records } = options;
  const endpoint = records?.endpoint ?? tracesEndpoint(env);
  const tracing = endpoint === undefined ? 'off' : tracingOf(options);
  if (endpoint === undefined || tracing === 'off') return undefined;
  const [{ NodeSDK }, sdkTrace, { OTLPTraceExporter }] = await Promise.all([
    import('@opentelemetry/sdk-node'),
    import('@opentelemetry/sdk-trace'),
    import('@opentelemetry/exporter-trace-otlp-grpc'),
  ]);
  // Given a bare exporter the SDK makes the batch processor from OTEL_BSP_*.
  // The process detector stays out: it would send the command line, which may hold a password.
  const attributes = resourceAttributes(options);
  const sdk = new NodeSDK({
    traceExporter: new OTLPTraceExporter({ url: endpoint }),
    sampler:
      records === undefined
        ? new OperationSampler(environmentSampler(env, sdkTrace, options.logger), systemClock)
        : recordSampler(records.roots),
    metricReaders: [],
    logRecordProcessors: [],
    resourceDetectors: [{ detect: () => ({ attributes }) }],
  });
  sdk.start();
  return { tracing, shutdown: () => sdk.shutdown() };
}

/** What the sampler that the environment names can ever record. */
function tracingOf({ env, records, traces }: TelemetryOptions): Telemetry['tracing'] {
  if (traces === false || env['OTEL_SDK_DISABLED']?.trim().toLowerCase() === 'true') return 'off';
  if (records !== undefined) return records.roots === false ? 'follow' : 'roots';
  switch (env['OTEL_TRACES_SAMPLER']?.trim()) {
    case 'always_off':
      return 'off';
    case 'parentbased_always_off':
      return 'follow';
    default:
      return 'roots';
  }
}

/** The SDK's warnings and errors as our log lines: an exporter without its collector fails every few seconds. */
function diagnostics(logger: Logger): DiagLogger {
  const repeated = createRepeatedLog(logger, systemClock);
  const nothing = () => undefined;
  const warn = (message: string, ...details: unknown[]) =>
    repeated.warn('telemetry', { details: details.map(String) }, `telemetry: ${message}`);
  return { error: warn, warn, info: nothing, debug: nothing, verbose: nothing };
}

async function flush(what: string, sdk: { shutdown(): Promise<void> }, logger: Logger): Promise<void> {
  let timeout: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timeout = setTimeout(() => resolve('late'), TELEMETRY_FLUSH_MS_MAX);
  });
  try {
    const outcome = await Promise.race([sdk.shutdown(), late]);
    if (outcome === 'late') logger.warn(`the last ${what} were not exported within ${TELEMETRY_FLUSH_MS_MAX} ms`);
  } catch (error) {
    logger.warn({ err: error }, `the last ${what} were not exported`);
  } finally {
    clearTimeout(timeout);
  }
}
