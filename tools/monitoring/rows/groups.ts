/** The consumer-group service: who owns the groups, rebalances, commits, delivery. */
import { halfAndWorst, ratePerSecond, series } from '../panel.ts';
import type { Row } from '../panel.ts';

const CHOSEN = 'group=~"$group",topic=~"$topic"';

export const GROUPS: Row = {
  title: 'Consumer groups',
  collapsed: true,
  panels: [
    {
      title: 'Records delivered',
      about: 'By group and topic.',
      unit: 'cps',
      queries: [
        {
          expr: ratePerSecond('partita_group_delivered_records_total', 'group, topic', CHOSEN),
          legend: '{{group}} {{topic}}',
        },
      ],
    },
    {
      title: 'Bytes delivered',
      about: 'By group and topic.',
      unit: 'binBps',
      queries: [
        {
          expr: ratePerSecond('partita_group_delivered_bytes_total', 'group, topic', CHOSEN),
          legend: '{{group}} {{topic}}',
        },
      ],
    },
    {
      title: 'Lag in bytes',
      about: 'About what waits in the logs, by group and topic.',
      unit: 'bytes',
      queries: [
        { expr: `sum by (group, topic) (${series('partita_group_lag_bytes', CHOSEN)})`, legend: '{{group}} {{topic}}' },
      ],
    },
    {
      title: 'Members',
      about: 'Members of each group.',
      unit: 'short',
      queries: [
        { expr: `sum by (group) (${series('partita_group_members', 'group=~"$group"')})`, legend: '{{group}}' },
      ],
    },
    {
      title: 'Rebalances',
      about: 'Changes of who holds what. A group that never comes to rest: its members come and go, see their logs.',
      unit: 'cps',
      queries: [
        { expr: ratePerSecond('partita_group_rebalances_total', 'group', 'group=~"$group"'), legend: '{{group}}' },
      ],
    },
    {
      title: 'Commits',
      about: 'Committed offsets, by group.',
      unit: 'cps',
      queries: [
        { expr: ratePerSecond('partita_group_commits_total', 'group', 'group=~"$group"'), legend: '{{group}}' },
      ],
    },
    {
      title: 'Time of a commit',
      about: 'From the acknowledgement until its record in __groups is durable.',
      unit: 's',
      queries: halfAndWorst('partita_group_commit_duration_seconds'),
    },
    {
      title: 'Errors by reason',
      about: 'Streams and calls that the service ended with an error.',
      unit: 'cps',
      queries: [{ expr: ratePerSecond('partita_group_errors_total', 'reason'), legend: '{{reason}}' }],
    },
    {
      title: 'Groups and shards',
      about: 'Owned by each instance. The shards of all instances together are 16.',
      unit: 'short',
      queries: [
        { expr: series('partita_group_groups'), legend: 'groups {{instance}}' },
        { expr: series('partita_group_shards'), legend: 'shards {{instance}}' },
      ],
    },
    {
      title: 'Streams',
      about: 'Members connected to each instance, relayed ones included.',
      unit: 'short',
      queries: [{ expr: series('partita_group_streams'), legend: '{{instance}}' }],
    },
    {
      title: 'Queued bytes',
      about: 'Read from brokers and not yet taken by members.',
      unit: 'bytes',
      queries: [{ expr: series('partita_group_queue_bytes'), legend: '{{instance}}' }],
    },
    {
      title: 'Held by quotas',
      about: 'Waits of deliveries beyond a quota of the member, by whom the quota binds.',
      unit: 's',
      queries: halfAndWorst('partita_group_throttle_duration_seconds', 'quota'),
    },
  ],
};
