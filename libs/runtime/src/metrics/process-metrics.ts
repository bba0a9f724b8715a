/**
 * The metrics of a process: off, or a registry that Prometheus may ask and that is pushed over OTLP, as the configuration
 * and the environment say. The SDK is loaded when there is something to export; what is counted before is not lost.
 */
import { asPartitaError } from '@partita/domain';
import { MetricRegistry, NO_METRICS } from '@partita/telemetry';
import type { Metrics } from '@partita/telemetry';
import type { Environment } from '../config-sources.ts';
import { EXIT_CODES, ExitError } from '../exit-codes.ts';
import type { LogFields, ProcessLogger } from '../logger.ts';
import { systemClock } from '../system-ports.ts';
import { resourceAttributes } from '../telemetry-resource.ts';
import type { ProcessIdentity } from '../telemetry-resource.ts';
import type { MetricsConfig } from './metrics-config.ts';
import { MetricsEndpoint } from './metrics-endpoint.ts';
import { MetricsSource } from './metrics-source.ts';
import { measureRunTime } from './run-time-metrics.ts';

export interface ProcessMetrics {
  readonly metrics: Metrics;
  /** True = they are sent somewhere over OTLP. */
  readonly isPushed: boolean;
  /** Listens, if told to. What the ready message says of it. Rejects with an ExitError when it cannot. */
  open(): Promise<LogFields>;
  /** The process serves: what a collection needs is loaded now, so that the first one does not stop calls for it. */
  onServing(): void;
  /** Pushes once more and listens no longer. */
  shutdown(): Promise<void>;
}

/** Nothing is recorded, and nothing of the SDK loaded. */
export const NO_PROCESS_METRICS: ProcessMetrics = {
  metrics: NO_METRICS,
  isPushed: false,
  open: () => Promise.resolve({}),
  onServing: () => undefined,
  shutdown: () => Promise.resolve(),
};

export async function startMetrics(identity: ProcessIdentity & MetricsOptions): Promise<ProcessMetrics> {
  const { config, env, logger } = identity;
  const endpoint = pushEndpoint(env);
  if (config.metricsListen === undefined && endpoint === undefined) return NO_PROCESS_METRICS;
  const metrics = new MetricRegistry();
  const source = new MetricsSource(metrics, resourceAttributes(identity), () => systemClock.wallMs());
  const stopMeasuring = measureRunTime(metrics);
  const { service, version } = identity;
  metrics.gauge('partita.build.info').of({ service, version }).set(1);
  observeLog(metrics, logger);
  const push =
    endpoint === undefined ? undefined : (await import('./metrics-push.ts')).startPush(endpoint, source, env);
  const listener = config.metricsListen === undefined ? undefined : prometheusEndpoint(config, source, logger);
  return {
    metrics,
    isPushed: push !== undefined,
    async open() {
      if (listener === undefined) return {};
      try {
        const address = await listener.start();
        logger.info({ address }, `metrics are at http://${address}/metrics`);
        return { metricsAddress: address };
      } catch (error) {
        throw new ExitError(EXIT_CODES.configuration, asPartitaError(error).message, { cause: error });
      }
    },
    onServing: () => {
      if (listener !== undefined) loadSerializer().catch((error: unknown) => logger.error({ err: error }, LOAD_FAILED));
    },
    async shutdown() {
      stopMeasuring();
      await Promise.all([listener?.close(), push?.shutdown()]);
    },
  };
}

export interface MetricsOptions {
  readonly config: MetricsConfig;
  readonly logger: ProcessLogger;
}

const LOAD_FAILED = 'what writes metrics for Prometheus cannot be loaded';

/** Takes some 60 ms, once. */
function loadSerializer() {
  return import('./prometheus-text.ts');
}

function prometheusEndpoint(config: MetricsConfig, source: MetricsSource, logger: ProcessLogger): MetricsEndpoint {
  return new MetricsEndpoint({
    listen: config.metricsListen ?? { host: '127.0.0.1', port: 0 },
    hosts: config.metricsHosts,
    render: async () => {
      const { prometheusText } = await loadSerializer();
      const { collected, period } = source.collect();
      return prometheusText(collected, period, source.resource);
    },
    onError: (error) => logger.error({ err: error }, 'collecting metrics failed'),
  });
}

function observeLog(metrics: Metrics, logger: ProcessLogger): void {
  metrics.observe('partita.log.errors', (report) => {
    for (const level of ['warn', 'error', 'fatal'] as const) report(logger.lineCount(level), { level });
  });
}

/** Where the environment sends metrics; undefined = it asks for none. */
function pushEndpoint(env: Environment): string | undefined {
  const isOff = env['OTEL_SDK_DISABLED']?.trim().toLowerCase() === 'true' || env['OTEL_METRICS_EXPORTER'] === 'none';
  if (isOff) return undefined;
  return env['OTEL_EXPORTER_OTLP_METRICS_ENDPOINT'] || env['OTEL_EXPORTER_OTLP_ENDPOINT'] || undefined;
}
