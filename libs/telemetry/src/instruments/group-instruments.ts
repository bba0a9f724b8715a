/** Instruments of the consumer-group service. What concerns a group is told by the instance that owns it. */
import { ERROR_REASONS, METRIC_GROUP_COUNT_MAX, METRIC_TOPIC_COUNT_MAX, QUOTA_KINDS } from '@partita/domain';
import { DURATION_BUCKETS } from '../buckets.ts';
import { instruments } from '../instrument.ts';

const GROUP = { group: METRIC_GROUP_COUNT_MAX } as const;
const GROUP_TOPIC = { group: METRIC_GROUP_COUNT_MAX, topic: METRIC_TOPIC_COUNT_MAX } as const;

export const GROUP_INSTRUMENTS = instruments({
  'partita.group.groups': { kind: 'gauge', unit: '{group}', description: 'Groups that this instance owns.' },
  'partita.group.shards': {
    kind: 'gauge',
    unit: '{shard}',
    description: 'Shards of the groups that this instance owns.',
  },
  'partita.group.members': { kind: 'gauge', unit: '{member}', description: 'Members of the group.', labels: GROUP },
  'partita.group.lag.records': {
    kind: 'gauge',
    unit: '{record}',
    description: 'Offsets between what the group has committed and the high watermarks, all partitions of the topic.',
    labels: GROUP_TOPIC,
  },
  'partita.group.lag.bytes': {
    kind: 'gauge',
    unit: 'By',
    description: 'Bytes between what the group has committed and the high watermarks, all partitions of the topic.',
    labels: GROUP_TOPIC,
  },
  'partita.group.lag.age': {
    kind: 'gauge',
    unit: 's',
    description: 'Age of the oldest record that the group has not committed, over the partitions of the topic.',
    labels: GROUP_TOPIC,
    merge: 'max',
  },
  'partita.group.delivered.records': {
    kind: 'counter',
    unit: '{record}',
    description: 'Records that members were sent.',
    labels: GROUP_TOPIC,
  },
  'partita.group.delivered.bytes': {
    kind: 'counter',
    unit: 'By',
    description: 'Bytes of records that members were sent.',
    labels: GROUP_TOPIC,
  },
  'partita.group.throttle.duration': {
    kind: 'histogram',
    unit: 's',
    description: 'Waits of deliveries to members because of a quota, by whom the quota binds.',
    labels: { quota: QUOTA_KINDS },
    buckets: DURATION_BUCKETS,
  },
  'partita.group.commits': {
    kind: 'counter',
    unit: '{commit}',
    description: 'Commits of offsets that are durable.',
    labels: GROUP,
  },
  'partita.group.commit.duration': {
    kind: 'histogram',
    unit: 's',
    description: 'Commits of offsets, from when one was taken to when it is durable.',
    buckets: DURATION_BUCKETS,
  },
  'partita.group.rebalances': {
    kind: 'counter',
    unit: '{rebalance}',
    description: 'New assignments of partitions to members.',
    labels: GROUP,
  },
  'partita.group.errors': {
    kind: 'counter',
    unit: '{error}',
    description: 'Answers to members that were errors.',
    labels: { reason: ERROR_REASONS },
  },
  'partita.group.streams': {
    kind: 'gauge',
    unit: '{stream}',
    description: 'Streams of members whose group this instance owns.',
  },
  'partita.group.queue.bytes': {
    kind: 'gauge',
    unit: 'By',
    description: 'Bytes that were read and are not sent to members.',
  },
});
