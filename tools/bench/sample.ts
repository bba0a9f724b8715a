import type { ConsumeWork } from './consume/work.ts';
import type { SpreadWork } from './partitions/spread-work.ts';
import type { ProduceWork } from './produce/settings.ts';
import type { TelemetryWork } from './telemetry/rows.ts';

/** What one run of a load measured. Plain data: it crosses from the load's process to the orchestrator. */
export interface Sample {
  readonly recordCount: number;
  readonly bytes: number;
  readonly durationMs: number;
  /** Latencies of the calls in microseconds, an HDR histogram as compressed base64; absent where none are taken. */
  readonly latencies?: string;
}

/** One run to do. */
export interface Job {
  /** Name of the load; the process knows what it means. */
  readonly load: string;
  /** Topic, for loads of ours. */
  readonly topic: string;
  readonly seconds: number;
  /** What loads of the consume bench do. */
  readonly consume?: ConsumeWork;
  /** What the load of the produce bench does. */
  readonly produce?: ProduceWork;
  /** What the load of the partitions bench does. */
  readonly spread?: SpreadWork;
  /** What the loads of the telemetry bench do. */
  readonly telemetry?: TelemetryWork;
}

export function bytesPerSecond(sample: Sample): number {
  return (sample.bytes * 1000) / Math.max(sample.durationMs, 1);
}

export function recordsPerSecond(sample: Sample): number {
  return (sample.recordCount * 1000) / Math.max(sample.durationMs, 1);
}
