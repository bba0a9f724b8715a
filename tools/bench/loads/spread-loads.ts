/** Records at a rate, one after the other to all partitions of a topic in turn, so that each is as busy as the others. */
import type { OutgoingRecord, ProducerOptions, SendOptions } from '@partita/client';
import { Latencies } from '../latencies.ts';
import type { SpreadWork } from '../partitions/spread-work.ts';
import type { Sample } from '../sample.ts';
import { RECORD_BYTES } from '../workload.ts';
import { dueMs, sendAtRate } from './open-loop.ts';
import { OrderPool } from './order-pool.ts';

/** What the load needs of the SDK's client. */
export interface SpreadSource {
  producer(options: ProducerOptions): {
    send(topic: string, records: readonly OutgoingRecord[], options: SendOptions): Promise<unknown>;
    close(): Promise<void>;
  };
}

/** Latency is each record's own, from the moment at which it was due. The first record of each partition is not counted. */
export async function spreadAtRate(
  client: SpreadSource,
  topic: string,
  seconds: number,
  { partitionCount, ratePerSecond }: SpreadWork,
): Promise<Sample> {
  const latencies = new Latencies();
  const pool = new OrderPool(RECORD_BYTES);
  const producer = client.producer({});
  const recordCount = partitionCount + Math.ceil(seconds * ratePerSecond);
  const schedule = { startMs: performance.now(), ratePerSecond, recordCount };
  const sendOne = async (index: number): Promise<void> => {
    await producer.send(topic, pool.take(1), { partition: index % partitionCount });
    if (index >= partitionCount) latencies.record(dueMs(schedule, index));
  };
  try {
    await sendAtRate(schedule, (from, until) =>
      Promise.all(Array.from({ length: until - from }, (_, offset) => sendOne(from + offset))),
    );
  } finally {
    await producer.close();
  }
  const durationMs = performance.now() - schedule.startMs;
  return { recordCount, bytes: recordCount * RECORD_BYTES, durationMs, latencies: latencies.encode() };
}
