/** The brokers: appends, the disk below them, replication, what they lead. */
import { halfAndWorst, mean, quantile, ratePerSecond, series } from '../panel.ts';
import type { Row } from '../panel.ts';

export const BROKERS: Row = {
  title: 'Brokers',
  collapsed: true,
  panels: [
    {
      title: 'Records appended per broker',
      about: 'One broker far above the others: see its leaders, `partita partition elect --all-preferred`.',
      unit: 'cps',
      queries: [{ expr: ratePerSecond('partita_broker_append_records_total', 'instance'), legend: '{{instance}}' }],
    },
    {
      title: 'Append errors by reason',
      about: 'Appends that leaders refused or failed at.',
      unit: 'cps',
      queries: [{ expr: ratePerSecond('partita_broker_append_errors_total', 'reason'), legend: '{{reason}}' }],
    },
    {
      title: 'Batches known from before',
      about: 'Batches that a producer sent again and that were stored already. Normal after a leader moved.',
      unit: 'cps',
      queries: [
        { expr: ratePerSecond('partita_broker_sequence_duplicates_total', 'instance'), legend: '{{instance}}' },
      ],
    },
    {
      title: 'Time of a write with fsync',
      about: 'One write of a log until it is on the device. The floor of every append with acks.',
      unit: 's',
      queries: [
        {
          expr: quantile(0.5, 'partita_broker_log_write_duration_seconds', 'instance', 'flush="fsync"'),
          legend: 'p50 {{instance}}',
        },
        {
          expr: quantile(0.99, 'partita_broker_log_write_duration_seconds', 'instance', 'flush="fsync"'),
          legend: 'p99 {{instance}}',
        },
      ],
    },
    {
      title: 'Batches per write',
      about: 'Mean number of batches that shared one write: group commit. It grows with the load.',
      unit: 'short',
      queries: [{ expr: mean('partita_broker_log_write_batches', 'instance'), legend: '{{instance}}' }],
    },
    {
      title: 'Writes and their bytes',
      about: 'Median and 99th percentile of the bytes of one write.',
      unit: 'bytes',
      queries: halfAndWorst('partita_broker_log_write_bytes'),
    },
    {
      title: 'Durable to committed',
      about: 'From durable on the leader until enough followers are: what replication adds.',
      unit: 's',
      queries: halfAndWorst('partita_broker_commit_duration_seconds', 'instance'),
    },
    {
      title: 'Replication',
      about: 'Bytes that brokers sent to and got from each other.',
      unit: 'binBps',
      queries: [
        { expr: ratePerSecond('partita_broker_replication_sent_bytes_total', 'instance'), legend: 'sent {{instance}}' },
        {
          expr: ratePerSecond('partita_broker_replication_received_bytes_total', 'instance'),
          legend: 'received {{instance}}',
        },
      ],
    },
    {
      title: 'Queued bytes',
      about: 'Bytes that wait in a broker, by queue. At the limit appends are refused with QUEUE_FULL.',
      unit: 'bytes',
      queries: [
        {
          expr: `sum by (queue, instance) (${series('partita_broker_queue_bytes')})`,
          legend: '{{queue}} {{instance}}',
        },
      ],
    },
    {
      title: 'Fetched',
      about: 'Records that readers got, by topic; the consumer-group service is a reader too.',
      unit: 'cps',
      queries: [
        { expr: ratePerSecond('partita_broker_fetch_records_total', 'topic', 'topic=~"$topic"'), legend: '{{topic}}' },
      ],
    },
    {
      title: 'Batches in and out',
      about: 'Batches appended and fetched. Small batches cost the most CPU time a record.',
      unit: 'cps',
      queries: [
        { expr: ratePerSecond('partita_broker_append_batches_total', 'job', 'topic=~"$topic"'), legend: 'appended' },
        { expr: ratePerSecond('partita_broker_fetch_batches_total', 'job', 'topic=~"$topic"'), legend: 'fetched' },
      ],
    },
    {
      title: 'Partitions by role',
      about: 'What each broker leads and follows.',
      unit: 'short',
      queries: [
        {
          expr: `sum by (role, instance) (${series('partita_broker_partitions')})`,
          legend: '{{role}} {{instance}}',
        },
      ],
    },
    {
      title: 'Partitions that need a look',
      about: 'Led here with fewer replicas than they should have, led here and unable to commit, or damaged here.',
      unit: 'short',
      queries: [
        { expr: series('partita_broker_partitions_under_replicated'), legend: 'under-replicated {{instance}}' },
        { expr: series('partita_broker_partitions_below_min_in_sync'), legend: 'below min in-sync {{instance}}' },
        { expr: series('partita_broker_partitions_damaged'), legend: 'damaged {{instance}}' },
      ],
    },
    {
      title: 'Leaderships that began and ended',
      about: 'Many of them without a restart: brokers lose their sessions or are too slow.',
      unit: 'cps',
      queries: [{ expr: ratePerSecond('partita_broker_leader_changes_total', 'change'), legend: '{{change}}' }],
    },
    {
      title: 'Disk',
      about: 'Free bytes of the file system, and what the data directory takes. Below 1 GiB appends are refused.',
      unit: 'bytes',
      queries: [
        { expr: series('partita_broker_data_free_bytes'), legend: 'free {{instance}}' },
        { expr: series('partita_broker_data_used_bytes'), legend: 'used {{instance}}' },
      ],
    },
    {
      title: 'Sessions with coordinators',
      about: 'Without one a broker goes on with what it leads, and is elected for nothing.',
      unit: 'short',
      queries: [{ expr: series('partita_broker_coordinator_connected'), legend: '{{instance}}' }],
    },
    {
      title: 'Held by quotas',
      about: 'Waits of appends and readers beyond a quota, by what they do.',
      unit: 's',
      queries: halfAndWorst('partita_broker_throttle_duration_seconds', 'use'),
    },
    {
      title: 'Refused by quotas',
      about:
        'Appends refused with QUOTA_EXCEEDED, by topic: of clients that append themselves, and of several gateways together.',
      unit: 'cps',
      queries: [
        {
          expr: ratePerSecond('partita_broker_throttle_refused_total', 'topic', 'topic=~"$topic"'),
          legend: '{{topic}}',
        },
      ],
    },
  ],
};
