/** Stand-ins for the outside world, for tests only: they pass the conformance suites of the ports they replace. */
export { MemoryDisk, MemoryFile } from './memory-disk.ts';
export type { MemoryDiskOperation } from './memory-disk.ts';
export { OtlpSink } from './otlp-sink.ts';
export type { ReceivedSpan } from './otlp-decode.ts';
