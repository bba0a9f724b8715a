/**
 * A collection as OpenTelemetry's exporters take it. Loads the SDK: import it only where something is exported.
 */
import { ValueType } from '@opentelemetry/api';
import type { HrTime } from '@opentelemetry/api';
import { AggregationTemporality, DataPointType } from '@opentelemetry/sdk-metrics';
import type { DataPoint, MetricData, ScopeMetrics } from '@opentelemetry/sdk-metrics';
import type { Collected } from '@partita/telemetry';

/** The name under which all of it is reported. */
const SCOPE = { name: 'partita' };

/** When the numbers began to count, and when they were read; milliseconds since 1970. */
export interface Period {
  readonly fromMs: number;
  readonly toMs: number;
}

export function scopeMetrics(collected: readonly Collected[], period: Period): ScopeMetrics {
  const startTime = hrTime(period.fromMs);
  const endTime = hrTime(period.toMs);
  const metrics = collected
    .filter(({ numbers, buckets }) => numbers.length + buckets.length > 0)
    .map((one) => metricData(one, startTime, endTime));
  return { scope: SCOPE, metrics };
}

function metricData({ name, row, numbers, buckets }: Collected, startTime: HrTime, endTime: HrTime): MetricData {
  const { description, unit, kind } = row;
  const base = {
    descriptor: { name, description, unit, valueType: ValueType.DOUBLE },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
  };
  if (kind === 'histogram') {
    const dataPoints = buckets.map(({ labels: attributes, bounds, counts, count, sum }) => {
      const value = { buckets: { boundaries: [...bounds], counts: [...counts] }, count, sum };
      return { startTime, endTime, attributes, value };
    });
    return { ...base, dataPointType: DataPointType.HISTOGRAM, dataPoints };
  }
  const dataPoints: DataPoint<number>[] = numbers.map(({ labels: attributes, value }) => {
    return { startTime, endTime, attributes, value };
  });
  if (kind === 'gauge') return { ...base, dataPointType: DataPointType.GAUGE, dataPoints };
  return { ...base, dataPointType: DataPointType.SUM, isMonotonic: true, dataPoints };
}

function hrTime(ms: number): HrTime {
  return [Math.floor(ms / 1000), Math.round((ms % 1000) * 1_000_000)];
}
