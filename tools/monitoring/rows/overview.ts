/** What an operator looks at first: is everything there, does it move, how long does it take, who is behind. */
import { halfAndWorst, ratePerSecond, series } from '../panel.ts';
import type { Panel, Row } from '../panel.ts';

function stat(title: string, expr: string, about: string, limits: Pick<Panel, 'redFrom' | 'greenFrom'>): Panel {
  return { title, kind: 'stat', unit: 'short', about, queries: [{ expr, legend: title }], ...limits };
}

const NUMBERS: readonly Panel[] = [
  stat(
    'Active coordinators',
    `sum(${series('partita_coordinator_active')})`,
    'One at any time. Without one nothing can be created, changed or elected.',
    { greenFrom: 1, redFrom: 2 },
  ),
  stat(
    'Brokers up',
    `max(${series('partita_coordinator_brokers', 'state="up"')})`,
    'Brokers with a living session, as the active coordinator sees them.',
    { greenFrom: 1 },
  ),
  stat(
    'Brokers silent',
    `max(${series('partita_coordinator_brokers', 'state="silent"')})`,
    'Brokers that belong to the cluster and are not heard from.',
    { redFrom: 1 },
  ),
  stat(
    'Offline partitions',
    `max(${series('partita_coordinator_partitions_offline')})`,
    'Partitions without a leader: neither written nor read.',
    { redFrom: 1 },
  ),
  stat(
    'Below min in-sync',
    `sum(${series('partita_broker_partitions_below_min_in_sync')})`,
    'Partitions that have a leader but cannot commit: acks=all waits.',
    { redFrom: 1 },
  ),
  stat(
    'Under-replicated',
    `sum(${series('partita_broker_partitions_under_replicated')})`,
    'Partitions with fewer replicas in sync than they have. Passing while a broker restarts.',
    { redFrom: 1 },
  ),
  stat(
    'Damaged replicas',
    `sum(${series('partita_broker_partitions_damaged')})`,
    'Replicas that are withheld or suspect.',
    { redFrom: 1 },
  ),
  stat('Targets down', `count(up{job=~"$job"} == 0) or vector(0)`, 'Processes that Prometheus cannot scrape.', {
    redFrom: 1,
  }),
];

export const OVERVIEW: Row = {
  title: 'Overview',
  panels: [
    ...NUMBERS,
    {
      title: 'Records appended',
      about: 'Records that leaders took, by topic.',
      unit: 'cps',
      queries: [
        { expr: ratePerSecond('partita_broker_append_records_total', 'topic', 'topic=~"$topic"'), legend: '{{topic}}' },
      ],
    },
    {
      title: 'Records delivered to groups',
      about: 'Records that the consumer-group service sent to members, by group.',
      unit: 'cps',
      queries: [
        {
          expr: ratePerSecond('partita_group_delivered_records_total', 'group', 'group=~"$group",topic=~"$topic"'),
          legend: '{{group}}',
        },
      ],
    },
    {
      title: 'Errors',
      about: 'What gateways, brokers and the consumer-group service refused or failed at, by reason.',
      unit: 'cps',
      queries: [
        { expr: ratePerSecond('partita_gateway_produce_errors_total', 'reason'), legend: 'gateway {{reason}}' },
        { expr: ratePerSecond('partita_broker_append_errors_total', 'reason'), legend: 'broker {{reason}}' },
        { expr: ratePerSecond('partita_group_errors_total', 'reason'), legend: 'groups {{reason}}' },
      ],
    },
    {
      title: 'Produce time, gateways',
      about: 'From the call or frame to its answer, batching and replication included.',
      unit: 's',
      queries: halfAndWorst('partita_gateway_produce_duration_seconds'),
    },
    {
      title: 'Append time, brokers',
      about: 'From the entry at the leader to its answer, by what the ack waits for.',
      unit: 's',
      queries: halfAndWorst('partita_broker_append_duration_seconds', 'acks'),
    },
    {
      title: 'Lag in time',
      about: 'How long the first record that a group has not committed has waited.',
      unit: 's',
      queries: [
        {
          expr: `max by (group, topic) (${series('partita_group_lag_age_seconds', 'group=~"$group",topic=~"$topic"')})`,
          legend: '{{group}} {{topic}}',
        },
      ],
    },
    {
      title: 'Bytes in and out of brokers',
      about: 'Batches as they are stored, that is compressed.',
      unit: 'binBps',
      queries: [
        { expr: ratePerSecond('partita_broker_append_bytes_total', 'job', 'topic=~"$topic"'), legend: 'appended' },
        { expr: ratePerSecond('partita_broker_fetch_bytes_total', 'job', 'topic=~"$topic"'), legend: 'fetched' },
        { expr: ratePerSecond('partita_broker_replication_sent_bytes_total', 'job'), legend: 'replicated' },
      ],
    },
    {
      title: 'Lag in records',
      about: 'Records between the committed offsets and the end, by group and topic.',
      unit: 'short',
      queries: [
        {
          expr: `sum by (group, topic) (${series('partita_group_lag_records', 'group=~"$group",topic=~"$topic"')})`,
          legend: '{{group}} {{topic}}',
        },
      ],
    },
    {
      title: 'Errors and warnings logged',
      about: 'Lines of level warn and above, by service. The log line has the reason and often a trace id.',
      unit: 'cps',
      queries: [{ expr: ratePerSecond('partita_log_errors_total', 'service, level'), legend: '{{service}} {{level}}' }],
    },
  ],
};
