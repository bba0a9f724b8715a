/**
 * Traces of a process: the OpenTelemetry SDK with one OTLP/gRPC exporter, configured by the standard OTEL_* variables
 * (endpoint, headers, sampler, batch sizes, resource attributes). Off unless an endpoint is set, and then nothing of the
 * SDK is even loaded, because loading it takes a quarter of a second. Libraries import @opentelemetry/api only.
 */
import { diag, DiagLogLevel } from '@opentelemetry/api';
import type { DiagLogger } from '@opentelemetry/api';
import { TELEMETRY_FLUSH_MS_MAX } from '@partita/domain';
import type { Environment } from './config-sources.ts';
import type { Logger } from './logger.ts';
import { environmentSampler, OperationSampler } from './operation-sampler.ts';
import { recordSampler } from './record-sampler.ts';
import { createRepeatedLog } from './repeated-log.ts';
import { systemClock } from './system-ports.ts';

export interface TelemetryOptions {
  /** Short name; traces show `partita-<service>` unless OTEL_SERVICE_NAME says otherwise. */
  readonly service: string;
  readonly version: string;
  readonly instance: string;
  /** The process's environment. The SDK reads its other OTEL_* variables from `process.env` itself. */
  readonly env: Environment;
  /**
   * Set = records are traced though the environment names no endpoint: spans go to this one, and follow their parents.
   * `roots`: those without a parent begin traces.
   */
  readonly records?: { readonly endpoint: string; readonly roots: boolean };
  /** Where the SDK's own warnings go (a collector that is down), rate-limited. */
  readonly logger: Logger;
}

export interface Telemetry {
  /** Whether the process traces (`@partita/rpc` says what that means), and whether it begins traces by itself. */
  readonly tracing: 'off' | 'follow' | 'roots';
  /** Exports what is left, for TELEMETRY_FLUSH_MS_MAX at most. Never rejects: a collector that is down stops nobody. */
  shutdown(): Promise<void>;
}

/** Where the environment sends spans; undefined = it asks for none. */
export function tracesEndpoint(env: Environment): string | undefined {
  return env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] || env['OTEL_EXPORTER_OTLP_ENDPOINT'] || undefined;
}

/** Starts tracing when the environment asks for it. Call it before the first client or server is made. */
export async function startTelemetry(options: TelemetryOptions): Promise<Telemetry> {
  const { env, records } = options;
  const endpoint = records?.endpoint ?? tracesEndpoint(env);
  const tracing = endpoint === undefined ? 'off' : tracingOf(options);
  if (endpoint === undefined || tracing === 'off') return { tracing: 'off', shutdown: () => Promise.resolve() };
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
  // After the constructor, which may have set a logger that writes plain text to stdout (OTEL_LOG_LEVEL).
  diag.setLogger(diagnostics(options.logger), { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  sdk.start();
  return { tracing, shutdown: () => flush(sdk, options.logger) };
}

/** What the sampler that the environment names can ever record. */
function tracingOf({ env, records }: TelemetryOptions): Telemetry['tracing'] {
  if (env['OTEL_SDK_DISABLED']?.trim().toLowerCase() === 'true') return 'off';
  if (records !== undefined) return records.roots ? 'roots' : 'follow';
  switch (env['OTEL_TRACES_SAMPLER']?.trim()) {
    case 'always_off':
      return 'off';
    case 'parentbased_always_off':
      return 'follow';
    default:
      return 'roots';
  }
}

/** Own attributes, above them OTEL_RESOURCE_ATTRIBUTES (`key=value,...`, percent-encoded), above them OTEL_SERVICE_NAME. */
function resourceAttributes(options: TelemetryOptions): Record<string, string> {
  const attributes: Record<string, string> = {
    'service.name': `partita-${options.service}`,
    'service.version': options.version,
    'service.instance.id': options.instance,
  };
  for (const pair of (options.env['OTEL_RESOURCE_ATTRIBUTES'] ?? '').split(',')) {
    const equals = pair.indexOf('=');
    if (equals <= 0) continue;
    const value = pair.slice(equals + 1).trim();
    try {
      attributes[pair.slice(0, equals).trim()] = decodeURIComponent(value);
    } catch {
      options.logger.warn(
        { attribute: pair },
        'ignoring an attribute of OTEL_RESOURCE_ATTRIBUTES that is not percent-encoded',
      );
    }
  }
  const serviceName = options.env['OTEL_SERVICE_NAME'];
  if (serviceName) attributes['service.name'] = serviceName;
  return attributes;
}

/** The SDK's warnings and errors as our log lines: an exporter without its collector fails every few seconds. */
function diagnostics(logger: Logger): DiagLogger {
  const repeated = createRepeatedLog(logger, systemClock);
  const nothing = () => undefined;
  const warn = (message: string, ...details: unknown[]) =>
    repeated.warn('telemetry', { details: details.map(String) }, `traces: ${message}`);
  return { error: warn, warn, info: nothing, debug: nothing, verbose: nothing };
}

async function flush(sdk: { shutdown(): Promise<void> }, logger: Logger): Promise<void> {
  let timeout: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timeout = setTimeout(() => resolve('late'), TELEMETRY_FLUSH_MS_MAX);
  });
  try {
    const outcome = await Promise.race([sdk.shutdown(), late]);
    if (outcome === 'late') logger.warn(`the last traces were not exported within ${TELEMETRY_FLUSH_MS_MAX} ms`);
  } catch (error) {
    logger.warn({ err: error }, 'the last traces were not exported');
  } finally {
    clearTimeout(timeout);
  }
}
