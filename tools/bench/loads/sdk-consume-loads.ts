/** Consuming with the SDK as a service would: throughput from a filled topic, and the way of a record end to end. */
import { randomUUID } from 'node:crypto';
import { connect, pause } from '@partita/client';
import type { Consumer, PartitaClient, ReceivedRecord } from '@partita/client';
import { LATENCY_RATE } from '../consume/work.ts';
import type { ConsumeWork } from '../consume/work.ts';
import { Latencies } from '../latencies.ts';
import type { Sample } from '../sample.ts';
import { RECORD_BYTES } from '../workload.ts';
import { dueMs, sendAtRate } from './open-loop.ts';
import { ReceiveMeter } from './receive-meter.ts';

const RECORDS_AT_ONCE = 1000;
/** What comes first is not counted: code is compiled and connections are opened then. */
const LATENCY_WARM_UP_MS = 1000;
const ARRIVAL_MS_MAX = 5000;
const TICK_MS = 1;
const KEY_COUNT = 64;

/** All members of one new group, each with a connection of its own; measured once each has partitions. */
export async function consumeWithSdk(
  servers: readonly string[],
  topic: string,
  seconds: number,
  work: ConsumeWork,
): Promise<Sample> {
  const clients = await Promise.all(
    Array.from({ length: work.memberCount }, () => connect({ servers, clientId: 'partita-bench' })),
  );
  const [first] = clients;
  if (first === undefined) throw new Error('a load without members');
  const group = `bench-${randomUUID()}`;
  const ends = await endOffsets(first, topic, work.partitionCount);
  const meter = new ReceiveMeter(seconds);
  const consumers = clients.map((client) => client.consumer({ group, topics: [topic], delivery: work.delivery }));
  const isShared = (): boolean => consumers.every(({ assignment }) => assignment.length > 0);
  const finished = new Set<number>();
  const take = (consumer: Consumer, last: ReceivedRecord, count: number): void => {
    if (meter.over) return;
    if (work.memberCount === 1 || isShared()) meter.received(count, count * work.recordBytes);
    if (last.offset + 1n < (ends[last.partition] ?? 0n)) return;
    if (!work.isOnce) return consumer.seek(last, 0n);
    finished.add(last.partition);
    if (finished.size === work.partitionCount) meter.finish();
  };
  const running = consumers.map((consumer) => run(consumer, work, take));
  for (const one of running) one.catch((error: unknown) => meter.fail(error as Error));
  try {
    return await meter.result;
  } finally {
    await Promise.all(clients.map((client) => client.close()));
    await Promise.allSettled(running);
  }
}

function run(
  consumer: Consumer,
  { style }: ConsumeWork,
  take: (consumer: Consumer, last: ReceivedRecord, count: number) => void,
): Promise<void> {
  if (style === 'each') return consumer.run((record) => take(consumer, record, 1));
  return consumer.runBatches(
    ({ records }) => {
      const last = records.at(-1);
      if (last !== undefined) take(consumer, last, records.length);
    },
    { maxRecords: RECORDS_AT_ONCE },
  );
}

function endOffsets({ admin }: PartitaClient, topic: string, partitionCount: number): Promise<bigint[]> {
  return Promise.all(
    Array.from({ length: partitionCount }, async (_, partition) => {
      const { offset } = await admin.listOffset(topic, partition, 'latest');
      return offset;
    }),
  );
}

/**
 * From the moment at which a record was to be sent to its handler. The rate does not wait for anything (open loop), and a
 * record that is sent late is late: nothing that holds the sender up hides itself.
 */
export async function measureLatency(
  client: PartitaClient,
  topic: string,
  seconds: number,
  work: ConsumeWork,
): Promise<Sample> {
  const latencies = new Latencies();
  const producer = client.producer();
  let startMs = Infinity;
  let received = 0;
  const assigned = new Set<number>();
  const consumer = client.consumer({
    group: `bench-${randomUUID()}`,
    topics: [topic],
    from: 'latest',
    delivery: work.delivery,
    onAssigned: (partitions) => partitions.forEach(({ partition }) => assigned.add(partition)),
  });
  const running = consumer.run(({ value }) => {
    received += 1;
    const wasDueMs = Buffer.from(value ?? []).readDoubleLE(0);
    if (wasDueMs - startMs >= LATENCY_WARM_UP_MS) latencies.record(wasDueMs);
  });
  running.catch(() => undefined);
  await untilOrThrow(running, () => assigned.size === work.partitionCount);
  startMs = performance.now();
  const count = Math.round((LATENCY_WARM_UP_MS / 1000 + seconds) * LATENCY_RATE);
  const schedule = { startMs, ratePerSecond: LATENCY_RATE, recordCount: count };
  const sendOne = (index: number): Promise<unknown> => {
    const value = Buffer.alloc(RECORD_BYTES);
    value.writeDoubleLE(dueMs(schedule, index), 0);
    return producer.send(topic, { key: `k${index % KEY_COUNT}`, value });
  };
  await sendAtRate(schedule, (from, until) =>
    Promise.all(Array.from({ length: until - from }, (_, offset) => sendOne(from + offset))),
  );
  await untilOrThrow(running, () => received >= count);
  await consumer.close();
  await producer.close();
  const durationMs = performance.now() - startMs;
  return { recordCount: count, bytes: count * RECORD_BYTES, durationMs, latencies: latencies.encode() };
}

/** Throws what ends the run, or an Error when the condition does not come true in time. */
async function untilOrThrow(running: Promise<void>, condition: () => boolean): Promise<void> {
  const untilMs = performance.now() + ARRIVAL_MS_MAX;
  while (!condition()) {
    if (performance.now() > untilMs) throw new Error('the records did not arrive in time');
    await Promise.race([pause(TICK_MS), running]);
  }
}
