/** Instruments of the producer gateway. */
import { ERROR_REASONS, METRIC_TOPIC_COUNT_MAX, QUOTA_KINDS } from '@partita/domain';
import { BYTES_BUCKETS, COUNT_BUCKETS, DURATION_BUCKETS } from '../buckets.ts';
import { instruments } from '../instrument.ts';

const TOPIC = { topic: METRIC_TOPIC_COUNT_MAX } as const;

export const GATEWAY_INSTRUMENTS = instruments({
  'partita.gateway.produce.duration': {
    kind: 'histogram',
    unit: 's',
    description:
      'Requests to produce, from their arrival to their answer: calls, frames of a stream, frames of batches.',
    labels: { form: ['unary', 'stream', 'batch'] },
    buckets: DURATION_BUCKETS,
  },
  'partita.gateway.produce.records': {
    kind: 'counter',
    unit: '{record}',
    description: 'Records that were acknowledged.',
    labels: TOPIC,
  },
  'partita.gateway.produce.bytes': {
    kind: 'counter',
    unit: 'By',
    description: 'Bytes of records that were acknowledged, as they came.',
    labels: TOPIC,
  },
  'partita.gateway.produce.errors': {
    kind: 'counter',
    unit: '{error}',
    description: 'Answers to producers that were errors.',
    labels: { reason: ERROR_REASONS },
  },
  'partita.gateway.batch.records': {
    kind: 'histogram',
    unit: '{record}',
    description: 'Records of the batches that the gateway built.',
    buckets: COUNT_BUCKETS,
  },
  'partita.gateway.batch.bytes': {
    kind: 'histogram',
    unit: 'By',
    description: 'Bytes of the batches that the gateway built, as sent.',
    buckets: BYTES_BUCKETS,
  },
  'partita.gateway.throttle.duration': {
    kind: 'histogram',
    unit: 's',
    description: 'Waits of requests that were beyond a quota and went in the end, by whom the quota binds.',
    labels: { quota: QUOTA_KINDS },
    buckets: DURATION_BUCKETS,
  },
  'partita.gateway.throttle.refused': {
    kind: 'counter',
    unit: '{request}',
    description: 'Requests that were refused with QUOTA_EXCEEDED here, by whom the quota binds.',
    labels: { quota: QUOTA_KINDS, topic: METRIC_TOPIC_COUNT_MAX },
  },
  'partita.gateway.queue.bytes': {
    kind: 'gauge',
    unit: 'By',
    description: 'Bytes of records that were taken and are not answered.',
  },
  'partita.gateway.shed': {
    kind: 'counter',
    unit: '{request}',
    description:
      'Requests, or their parts for one partition, that were refused with QUEUE_FULL, by the limit that was met.',
    labels: { limit: ['connection', 'client', 'leader', 'gateway', 'partition'] },
  },
  'partita.gateway.retries': {
    kind: 'counter',
    unit: '{attempt}',
    description: 'Appends that were sent again, by why the attempt before failed.',
    labels: { reason: ERROR_REASONS },
  },
});
