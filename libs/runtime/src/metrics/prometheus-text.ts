/**
 * A collection in Prometheus' text format, by the serializer of OpenTelemetry's exporter. That knows counters' `_total` and
 * the escaping; it appends no units, so names are made here. Loads the SDK: import it only where something is exported.
 */
import { PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import { resourceFromAttributes } from '@opentelemetry/resources';
import type { MetricData } from '@opentelemetry/sdk-metrics';
import { INSTRUMENTS, prometheusName } from '@partita/telemetry';
import type { Collected, InstrumentName } from '@partita/telemetry';
import { scopeMetrics } from './metric-data.ts';
import type { Period } from './metric-data.ts';

/** `resource` becomes the labels of `target_info`. */
export function prometheusText(
  collected: readonly Collected[],
  period: Period,
  resource: Readonly<Record<string, string>>,
): string {
  const { scope, metrics } = scopeMetrics(collected, period);
  const serializer = new PrometheusSerializer(undefined, false, undefined, false, true);
  return serializer.serialize({
    resource: resourceFromAttributes(resource),
    scopeMetrics: [{ scope, metrics: metrics.map(renamed) }],
  });
}

function renamed(metric: MetricData): MetricData {
  const name = prometheusName(metric.descriptor.name, INSTRUMENTS[metric.descriptor.name as InstrumentName]);
  // The text format has no lines for units.
  return { ...metric, descriptor: { ...metric.descriptor, name, unit: '' } };
}
