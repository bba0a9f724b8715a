/** The producer gateways: what they take, how they batch, what they try again. */
import { halfAndWorst, ratePerSecond, series } from '../panel.ts';
import type { Row } from '../panel.ts';

export const GATEWAYS: Row = {
  title: 'Producer gateways',
  collapsed: true,
  panels: [
    {
      title: 'Records taken',
      about: 'Records that gateways took from clients, by topic.',
      unit: 'cps',
      queries: [
        {
          expr: ratePerSecond('partita_gateway_produce_records_total', 'topic', 'topic=~"$topic"'),
          legend: '{{topic}}',
        },
      ],
    },
    {
      title: 'Bytes taken',
      about: 'Keys, values and headers of those records, or batches as they came.',
      unit: 'binBps',
      queries: [
        { expr: ratePerSecond('partita_gateway_produce_bytes_total', 'topic', 'topic=~"$topic"'), legend: '{{topic}}' },
      ],
    },
    {
      title: 'Produce time by form',
      about: 'unary = one call with records, stream = frames of records, batch = frames of batches that clients built.',
      unit: 's',
      queries: halfAndWorst('partita_gateway_produce_duration_seconds', 'form'),
    },
    {
      title: 'Records per batch',
      about: 'Batches that gateways built. Few records a batch under load: look at the produce time and the brokers.',
      unit: 'short',
      queries: halfAndWorst('partita_gateway_batch_records'),
    },
    {
      title: 'Bytes per batch',
      about: 'Batches that gateways built, as they are sent.',
      unit: 'bytes',
      queries: halfAndWorst('partita_gateway_batch_bytes'),
    },
    {
      title: 'Queued bytes',
      about: 'Records taken and not answered, per gateway. At the limit calls are refused with QUEUE_FULL.',
      unit: 'bytes',
      queries: [{ expr: series('partita_gateway_queue_bytes'), legend: '{{instance}}' }],
    },
    {
      title: 'Shed requests',
      about:
        'Refused with QUEUE_FULL, by the limit in flight that was met. leader = a broker takes less than comes for it.',
      unit: 'cps',
      queries: [{ expr: ratePerSecond('partita_gateway_shed_total', 'limit'), legend: '{{limit}}' }],
    },
    {
      title: 'Errors by reason',
      about: 'Calls and frames that ended with an error.',
      unit: 'cps',
      queries: [{ expr: ratePerSecond('partita_gateway_produce_errors_total', 'reason'), legend: '{{reason}}' }],
    },
    {
      title: 'Appends tried again',
      about: 'Attempts after the first, by why the one before failed. Leaders that moved show here.',
      unit: 'cps',
      queries: [{ expr: ratePerSecond('partita_gateway_retries_total', 'reason'), legend: '{{reason}}' }],
    },
    {
      title: 'Held by quotas',
      about: 'Waits of requests beyond a quota that went in the end, by whom the quota binds.',
      unit: 's',
      queries: halfAndWorst('partita_gateway_throttle_duration_seconds', 'quota'),
    },
    {
      title: 'Refused by quotas',
      about: 'Requests refused with QUOTA_EXCEEDED, by topic. The SDK sends them again after the time it is told.',
      unit: 'cps',
      queries: [
        {
          expr: ratePerSecond('partita_gateway_throttle_refused_total', 'topic', 'topic=~"$topic"'),
          legend: '{{topic}}',
        },
      ],
    },
  ],
};
