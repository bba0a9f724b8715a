/** Instruments of the broker. */
import { ERROR_REASONS, METRIC_PARTITION_COUNT_MAX, METRIC_TOPIC_COUNT_MAX, QUOTA_KINDS } from '@partita/domain';
import { BYTES_BUCKETS, COUNT_BUCKETS, DURATION_BUCKETS } from '../buckets.ts';
import { instruments } from '../instrument.ts';

const TOPIC = { topic: METRIC_TOPIC_COUNT_MAX } as const;
/** Written as text, so that they are labels. */
const PARTITION = { topic: METRIC_TOPIC_COUNT_MAX, partition: METRIC_PARTITION_COUNT_MAX } as const;

export const BROKER_INSTRUMENTS = instruments({
  'partita.broker.append.duration': {
    kind: 'histogram',
    unit: 's',
    description: 'Appends that were acknowledged, from when the batch was taken to its acknowledgement.',
    labels: { acks: ['all', 'leader'] },
    buckets: DURATION_BUCKETS,
  },
  'partita.broker.append.records': {
    kind: 'counter',
    unit: '{record}',
    description: 'Records of batches that were appended, as their headers say.',
    labels: TOPIC,
  },
  'partita.broker.append.bytes': {
    kind: 'counter',
    unit: 'By',
    description: 'Bytes of batches that were appended, as stored.',
    labels: TOPIC,
  },
  'partita.broker.append.batches': {
    kind: 'counter',
    unit: '{batch}',
    description: 'Batches that were appended.',
    labels: TOPIC,
  },
  'partita.broker.append.errors': {
    kind: 'counter',
    unit: '{error}',
    description: 'Appends of a batch that were answered with an error.',
    labels: { reason: ERROR_REASONS },
  },
  'partita.broker.sequence.duplicates': {
    kind: 'counter',
    unit: '{batch}',
    description: 'Batches that came again and were known from before: acknowledged, not stored twice.',
  },
  'partita.broker.fetch.records': {
    kind: 'counter',
    unit: '{record}',
    description: 'Records of batches that readers were given, as their headers say.',
    labels: TOPIC,
  },
  'partita.broker.fetch.bytes': {
    kind: 'counter',
    unit: 'By',
    description: 'Bytes of batches that readers were given, as stored.',
    labels: TOPIC,
  },
  'partita.broker.fetch.batches': {
    kind: 'counter',
    unit: '{batch}',
    description: 'Batches that readers were given.',
    labels: TOPIC,
  },
  'partita.broker.throttle.duration': {
    kind: 'histogram',
    unit: 's',
    description: 'Waits of appends and of readers because of a quota, by whom the quota binds.',
    labels: { use: ['produce', 'consume'], quota: QUOTA_KINDS },
    buckets: DURATION_BUCKETS,
  },
  'partita.broker.throttle.refused': {
    kind: 'counter',
    unit: '{append}',
    description: 'Appends that were refused with QUOTA_EXCEEDED, by whom the quota binds.',
    labels: { quota: QUOTA_KINDS, topic: METRIC_TOPIC_COUNT_MAX },
  },
  'partita.broker.log.write.duration': {
    kind: 'histogram',
    unit: 's',
    description: 'One write to a log; with flush=fsync it ends when the bytes are on the device.',
    labels: { flush: ['fsync', 'os'] },
    buckets: DURATION_BUCKETS,
  },
  'partita.broker.log.write.batches': {
    kind: 'histogram',
    unit: '{batch}',
    description: 'Batches that shared a write to a log.',
    buckets: COUNT_BUCKETS,
  },
  'partita.broker.log.write.bytes': {
    kind: 'histogram',
    unit: 'By',
    description: 'Bytes of one write to a log.',
    buckets: BYTES_BUCKETS,
  },
  'partita.broker.replication.received.bytes': {
    kind: 'counter',
    unit: 'By',
    description: 'Bytes of batches that came from leaders.',
  },
  'partita.broker.replication.sent.bytes': {
    kind: 'counter',
    unit: 'By',
    description: 'Bytes of batches that were sent to followers.',
  },
  'partita.broker.commit.duration': {
    kind: 'histogram',
    unit: 's',
    description: 'Time from when a write was durable on the leader to when the high watermark was above it.',
    buckets: DURATION_BUCKETS,
  },
  'partita.broker.partitions': {
    kind: 'gauge',
    unit: '{partition}',
    description: 'Replicas that this broker has, by what it is to their partition.',
    labels: { role: ['leader', 'follower', 'none'] },
  },
  'partita.broker.partitions.under_replicated': {
    kind: 'gauge',
    unit: '{partition}',
    description: 'Partitions led here whose in-sync set is smaller than their replica set.',
  },
  'partita.broker.partitions.below_min_in_sync': {
    kind: 'gauge',
    unit: '{partition}',
    description: 'Partitions led here that cannot commit: their in-sync set is smaller than min_in_sync_replicas.',
  },
  'partita.broker.partitions.damaged': {
    kind: 'gauge',
    unit: '{partition}',
    description: 'Replicas here that are suspect or withheld because of damage.',
  },
  'partita.broker.queue.bytes': {
    kind: 'gauge',
    unit: 'By',
    description: 'Bytes that wait: for a log, for a follower, for a reader.',
    labels: { queue: ['append', 'replicate', 'fetch'] },
  },
  'partita.broker.leader.changes': {
    kind: 'counter',
    unit: '{change}',
    description: 'Leaderships that this broker began and ended.',
    labels: { change: ['began', 'ended'] },
  },
  'partita.broker.data.free': {
    kind: 'gauge',
    unit: 'By',
    description: 'Free space of the file system of the data directory.',
  },
  'partita.broker.data.used': { kind: 'gauge', unit: 'By', description: 'Bytes of all logs of the data directory.' },
  'partita.broker.coordinator.connected': {
    kind: 'gauge',
    unit: '{coordinator}',
    description: 'Coordinators with which a session is up.',
  },
  'partita.partition.log_start': {
    kind: 'gauge',
    unit: '',
    description: 'Lowest offset of the partition; with --metrics-partitions.',
    labels: PARTITION,
    merge: 'max',
  },
  'partita.partition.log_end': {
    kind: 'gauge',
    unit: '',
    description: 'Offset behind the last record of the replica; with --metrics-partitions.',
    labels: PARTITION,
    merge: 'max',
  },
  'partita.partition.high_watermark': {
    kind: 'gauge',
    unit: '',
    description: 'Offset below which records are committed; with --metrics-partitions.',
    labels: PARTITION,
    merge: 'max',
  },
  'partita.partition.size': {
    kind: 'gauge',
    unit: 'By',
    description: 'Bytes of the log of the replica; with --metrics-partitions.',
    labels: PARTITION,
  },
  'partita.partition.in_sync_replicas': {
    kind: 'gauge',
    unit: '{replica}',
    description: 'Size of the in-sync set of a partition led here; with --metrics-partitions.',
    labels: PARTITION,
  },
  'partita.partition.replication.lag': {
    kind: 'gauge',
    unit: '{record}',
    description: 'Offsets that the slowest follower of a partition led here is behind; with --metrics-partitions.',
    labels: PARTITION,
    merge: 'max',
  },
});
