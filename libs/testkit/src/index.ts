/** Stand-ins for the outside world, for tests only: they pass the conformance suites of the ports they replace. */
export { MemoryDisk, MemoryFile } from './memory-disk.ts';
export type { MemoryDiskOperation } from './memory-disk.ts';
export { FaultyDisk } from './faulty-disk/faulty-disk.ts';
export type { DiskCall, FaultyDiskOptions } from './faulty-disk/faulty-disk.ts';
export type { DiskCallKind, DiskErrorCode, FaultRates } from './faulty-disk/disk-faults.ts';
export type { DiskLife, FaultyFile } from './faulty-disk/disk-life.ts';
export { SeededRandom } from './seeded-random.ts';
export { OtlpSink } from './otlp-sink.ts';
export type { ReceivedSpan } from './otlp-decode.ts';
export { metricValue } from './metric-value.ts';
export type { ReadableMetrics } from './metric-value.ts';
export { SpanRecorder } from './span-recorder.ts';
export type { RecordedSpan } from './span-recorder.ts';
