import { isUuid, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN } from '@partita/domain';
import { defineConfig, LOG_LEVELS, METRICS_OPTIONS, metricsListenFault, plaintextListenFault } from '@partita/runtime';
import type { ConfigOf } from '@partita/runtime';

/** Options of the broker. */
export const BROKER_CONFIG = defineConfig({
  id: {
    kind: 'integer',
    min: 1,
    max: 2 ** 31 - 1,
    help: 'number of this broker; each broker of a cluster has its own',
  },
  'data-dir': { kind: 'text', help: 'directory for the logs, made if missing; one broker per directory' },
  'cluster-id': { kind: 'text', help: 'id of the cluster, a lower-case UUID; the data directory is bound to it' },
  listen: { kind: 'address', default: '127.0.0.1:0', help: 'address for clients' },
  'peer-listen': { kind: 'address', default: '127.0.0.1:0', help: 'address for coordinators and other brokers' },
  advertise: { kind: 'address', optional: true, help: 'address that clients are told; default: the one listened on' },
  'peer-advertise': {
    kind: 'address',
    optional: true,
    help: 'address that peers are told; default: the one listened on',
  },
  coordinators: { kind: 'list', items: 'address', default: '', help: 'peer addresses of all coordinators' },
  rack: { kind: 'text', optional: true, help: 'rack or zone; replicas of a partition are spread over racks' },
  insecure: { kind: 'flag', help: 'allows plaintext on an address that is not loopback' },
  'segment-bytes': {
    kind: 'bytes',
    default: '128MiB',
    min: SEGMENT_BYTES_MIN,
    max: SEGMENT_BYTES_MAX,
    help: 'size at which a log file is closed, on topics that do not say otherwise',
  },
  'open-files': { kind: 'integer', default: 1000, min: 16, max: 1_000_000, help: 'idle log files kept open at most' },
  'retention-interval': {
    kind: 'duration',
    default: '30s',
    min: 100,
    max: 24 * 60 * 60 * 1000,
    help: 'time between two looks for segments to close, delete or compact',
  },
  'compaction-bytes-per-second': {
    kind: 'bytes',
    default: '32MiB',
    min: 64 * 1024,
    max: 64 * 1024 ** 3,
    help: 'most that compaction reads and writes in a second',
  },
  'scrub-interval': {
    kind: 'duration',
    default: '7d',
    min: 0,
    max: 24 * 24 * 60 * 60 * 1000,
    help: 'time in which all logs are read through once and checked; 0s = never',
  },
  ...METRICS_OPTIONS,
  'metrics-partitions': { kind: 'flag', help: 'metrics by partition too: some six series for each replica' },
  'log-level': { kind: 'choice', choices: LOG_LEVELS, default: 'info', help: 'level of the log' },
});

export type BrokerConfig = ConfigOf<typeof BROKER_CONFIG>;

/** What is wrong between options, or undefined. */
export function brokerConfigFault(config: BrokerConfig): string | undefined {
  if (!isUuid(config.clusterId)) return `--cluster-id "${config.clusterId}" is no lower-case UUID`;
  return (
    plaintextListenFault('listen', config.listen, config.insecure) ??
    plaintextListenFault('peer-listen', config.peerListen, config.insecure) ??
    metricsListenFault(config, config.insecure)
  );
}
