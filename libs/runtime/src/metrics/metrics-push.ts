/** Pushes metrics over OTLP/gRPC again and again. Loads the SDK: import it only where something is exported. */
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-grpc';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import type { MetricProducer } from '@opentelemetry/sdk-metrics';
import type { Environment } from '../config-sources.ts';
import { scopeMetrics } from './metric-data.ts';
import type { MetricsSource } from './metrics-source.ts';

/** What OpenTelemetry's specification says where the environment says nothing. */
const INTERVAL_MS_DEFAULT = 60_000;
const TIMEOUT_MS_DEFAULT = 30_000;

/** Begins to push; OTEL_METRIC_EXPORT_INTERVAL and _TIMEOUT are honoured. `shutdown` pushes once more. */
export function startPush(endpoint: string, source: MetricsSource, env: Environment): { shutdown(): Promise<void> } {
  const resource = resourceFromAttributes(source.resource);
  const producer: MetricProducer = {
    collect: () => {
      const { collected, period } = source.collect();
      const resourceMetrics = { resource, scopeMetrics: [scopeMetrics(collected, period)] };
      return Promise.resolve({ resourceMetrics, errors: [] });
    },
  };
  const intervalMs = positive(env['OTEL_METRIC_EXPORT_INTERVAL']) ?? INTERVAL_MS_DEFAULT;
  const timeoutMs = positive(env['OTEL_METRIC_EXPORT_TIMEOUT']) ?? TIMEOUT_MS_DEFAULT;
  const reader = new PeriodicExportingMetricReader({
    exporter: new OTLPMetricExporter({ url: endpoint }),
    exportIntervalMillis: intervalMs,
    exportTimeoutMillis: Math.min(timeoutMs, intervalMs),
    metricProducers: [producer],
  });
  // A reader asks the producers only when it belongs to a provider; that one has no instruments.
  return new MeterProvider({ resource, readers: [reader] });
}

function positive(text: string | undefined): number | undefined {
  const value = Number(text);
  return text !== undefined && text.trim() !== '' && Number.isFinite(value) && value > 0 ? value : undefined;
}
