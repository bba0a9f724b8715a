/** Single partitions: filled by brokers that run with `--metrics-partitions`. */
import { series } from '../panel.ts';
import type { Row } from '../panel.ts';

const CHOSEN = 'topic=~"$topic"';
const WHICH = '{{topic}} {{partition}}';

export const PARTITIONS: Row = {
  title: 'Partitions (brokers with --metrics-partitions)',
  collapsed: true,
  panels: [
    {
      title: 'Records appended',
      about: 'By partition: a key that is hotter than others shows here.',
      unit: 'cps',
      queries: [
        {
          expr: `max by (topic, partition) (deriv(${series('partita_partition_log_end', CHOSEN)}[$__rate_interval]))`,
          legend: WHICH,
        },
      ],
    },
    {
      title: 'Not committed',
      about: 'Offsets at the leader above the high watermark.',
      unit: 'short',
      queries: [
        {
          expr: `max by (topic, partition) (${series('partita_partition_log_end', CHOSEN)} - ${series('partita_partition_high_watermark', CHOSEN)})`,
          legend: WHICH,
        },
      ],
    },
    {
      title: 'Slowest follower',
      about: 'Records by which the slowest follower is behind its leader.',
      unit: 'short',
      queries: [
        {
          expr: `max by (topic, partition) (${series('partita_partition_replication_lag', CHOSEN)})`,
          legend: WHICH,
        },
      ],
    },
    {
      title: 'Replicas in sync',
      about: 'As the leader says.',
      unit: 'short',
      queries: [
        {
          expr: `max by (topic, partition) (${series('partita_partition_in_sync_replicas', CHOSEN)})`,
          legend: WHICH,
        },
      ],
    },
    {
      title: 'Size',
      about: 'Bytes of the log.',
      unit: 'bytes',
      queries: [
        { expr: `max by (topic, partition) (${series('partita_partition_size_bytes', CHOSEN)})`, legend: WHICH },
      ],
    },
    {
      title: 'Records kept',
      about: 'Offsets from the log start to the high watermark.',
      unit: 'short',
      queries: [
        {
          expr: `max by (topic, partition) (${series('partita_partition_high_watermark', CHOSEN)} - ${series('partita_partition_log_start', CHOSEN)})`,
          legend: WHICH,
        },
      ],
    },
  ],
};
