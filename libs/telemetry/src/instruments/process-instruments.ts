/** Instruments of every service: its calls, its log, its run time. The run time's names are OpenTelemetry's own where it has one. */
import { METRIC_METHOD_COUNT_MAX } from '@partita/domain';
import { DURATION_BUCKETS } from '../buckets.ts';
import { instruments } from '../instrument.ts';

/** Names of gRPC's status codes; a test of libs/rpc holds them against its own. */
export const STATUS_CODES = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const;

export const PROCESS_INSTRUMENTS = instruments({
  'partita.build.info': {
    kind: 'gauge',
    unit: '',
    description: 'Always 1; the labels say what runs.',
    labels: { service: 1, version: 1 },
  },
  'partita.rpc.server.duration': {
    kind: 'histogram',
    unit: 's',
    description: 'Unary calls of the server, from their arrival to their status.',
    labels: { method: METRIC_METHOD_COUNT_MAX, code: STATUS_CODES },
    buckets: DURATION_BUCKETS,
  },
  'partita.rpc.server.calls': { kind: 'gauge', unit: '{call}', description: 'Unary calls under way.' },
  'partita.rpc.server.streams': {
    kind: 'gauge',
    unit: '{stream}',
    description: 'Streams that are open.',
    labels: { method: METRIC_METHOD_COUNT_MAX },
  },
  'partita.log.errors': {
    kind: 'counter',
    unit: '{line}',
    description: 'Lines that were logged at these levels.',
    labels: { level: ['warn', 'error', 'fatal'] },
  },
  'nodejs.eventloop.delay.p50': {
    kind: 'gauge',
    unit: 's',
    description: 'Delay of the event loop since the last collection: half of its turns came later than this.',
  },
  'nodejs.eventloop.delay.p99': {
    kind: 'gauge',
    unit: 's',
    description: 'Delay of the event loop since the last collection: one turn in a hundred came later than this.',
  },
  'nodejs.eventloop.delay.max': {
    kind: 'gauge',
    unit: 's',
    description: 'Longest delay of the event loop since the last collection.',
  },
  'partita.eventloop.delay': {
    kind: 'histogram',
    unit: 's',
    description: 'How late the event loop came to a timer that is due every 20 ms; sums over time and processes.',
    buckets: DURATION_BUCKETS,
  },
  'nodejs.eventloop.utilization': {
    kind: 'gauge',
    unit: '1',
    description: 'Share of the time since the last collection in which the event loop was busy.',
  },
  'v8js.gc.duration': {
    kind: 'histogram',
    unit: 's',
    description: 'Pauses of garbage collection.',
    labels: { 'v8js.gc.type': ['major', 'minor', 'incremental', 'weakcb'] },
    buckets: DURATION_BUCKETS,
  },
  'v8js.memory.heap.used': { kind: 'gauge', unit: 'By', description: 'Heap in use.' },
  'v8js.memory.heap.limit': { kind: 'gauge', unit: 'By', description: 'Size that the heap cannot exceed.' },
  'process.cpu.time': {
    kind: 'counter',
    unit: 's',
    description: 'CPU time of the process, all threads.',
    labels: { 'cpu.mode': ['user', 'system'] },
  },
  'process.memory.usage': { kind: 'gauge', unit: 'By', description: 'Memory of the process that is resident.' },
  'process.unix.file_descriptor.count': {
    kind: 'gauge',
    unit: '{file_descriptor}',
    description: 'Open file descriptors; Linux only.',
  },
  'process.uptime': { kind: 'gauge', unit: 's', description: 'Time since the process began.' },
});
