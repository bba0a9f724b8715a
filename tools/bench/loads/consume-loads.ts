/** Reading a filled topic: as a member of a new group, and directly from the brokers that lead. */
import { randomUUID } from 'node:crypto';
import { recordCountAt, batchesIn } from '@partita/batch';
import { LeaderReader } from '@partita/client';
import type { Reading, RouteCache } from '@partita/client';
import { HEARTBEAT_MS } from '@partita/domain';
import { ConsumeInitial, DeliveryForm, GroupServiceService } from '@partita/protocol';
import type { ConsumeRecords, ConsumeRequest, ConsumeResponse } from '@partita/protocol';
import { callUnary, openBidi } from '@partita/rpc/client';
import type { BidiStream, ChannelPool } from '@partita/rpc/client';
import type { Client } from '@grpc/grpc-js';
import type { Sample } from '../sample.ts';
import { PARTITION_COUNT, RECORD_BYTES } from '../workload.ts';
import { ReceiveMeter } from './receive-meter.ts';

const CREDIT_BYTES = 16 * 1024 * 1024;
const CREDIT_RECORD_COUNT = 100_000;
/** Credit is given back in steps of this many records. */
const CREDIT_STEP_RECORD_COUNT = 1024;

/** One member of a new group, all partitions, decoded records. Ends at the end of the topic if that comes first. */
export async function consumeAsMember(service: Client, topic: string, seconds: number): Promise<Sample> {
  const group = `bench-${randomUUID()}`;
  const meter = new ReceiveMeter(seconds);
  const finished = new Set<number>();
  let owedRecords = 0;
  const stream: BidiStream<ConsumeRequest> = openBidi(service, GroupServiceService.consume, {
    onMessage: ({ message }: ConsumeResponse) => {
      if (message?.$case !== 'records' || meter.over) return;
      const { records } = message.records;
      meter.received(records.length, records.length * RECORD_BYTES);
      owedRecords += records.length;
      if (owedRecords >= CREDIT_STEP_RECORD_COUNT) {
        stream.send({ message: { $case: 'credit', credit: credit(owedRecords) }, traceparent: '' });
        owedRecords = 0;
      }
      if (isAtEnd(message.records)) finished.add(message.records.partition);
      if (finished.size === PARTITION_COUNT) meter.finish();
    },
    onClose: (error) => meter.fail(error ?? new Error('the service ended the stream')),
  });
  const heartbeat = setInterval(
    () => stream.send({ message: { $case: 'heartbeat', heartbeat: { positions: [] } }, traceparent: '' }),
    HEARTBEAT_MS,
  );
  const initial = ConsumeInitial.fromPartial({
    group,
    subscription: { topics: [topic] },
    credit: credit(CREDIT_RECORD_COUNT),
    startPosition: { position: { $case: 'earliest', earliest: true } },
    deliveryForm: DeliveryForm.DELIVERY_FORM_RECORDS,
  });
  stream.send({ message: { $case: 'initial', initial }, traceparent: '' });
  try {
    return await meter.result;
  } finally {
    clearInterval(heartbeat);
    stream.send({ message: { $case: 'leave', leave: { offsets: [] } }, traceparent: '' });
    await stream.closed;
    await callUnary(service, GroupServiceService.deleteGroup, { group });
  }
}

function credit(recordCount: number): { records: bigint; bytes: bigint } {
  const bytes = recordCount === CREDIT_RECORD_COUNT ? CREDIT_BYTES : recordCount * 2 * RECORD_BYTES;
  return { records: BigInt(recordCount), bytes: BigInt(bytes) };
}

function isAtEnd({ records, highWatermark }: ConsumeRecords): boolean {
  const last = records.at(-1);
  return last !== undefined && last.offset + 1n >= highWatermark;
}

/** All partitions from their leaders, as batches that are counted and not decoded; from the start again at the end. */
export async function readFromLeaders(
  routes: RouteCache,
  pool: ChannelPool,
  topic: string,
  seconds: number,
): Promise<Sample> {
  const { topicId } = await routes.resolve(topic);
  const meter = new ReceiveMeter(seconds);
  const reader = new LeaderReader(routes, pool);
  for (let partition = 0; partition < PARTITION_COUNT; partition += 1) {
    const reading: Reading = reader.read({
      topicId,
      topic,
      partition,
      offset: 0n,
      onBatches: ({ recordBatches, nextOffset, highWatermark }) => {
        if (meter.over) return;
        meter.received(countRecords(recordBatches), recordBatches.byteLength);
        if (nextOffset >= highWatermark) reading.seek(0n);
      },
      onWatermark: () => undefined,
      onError: (error) => meter.fail(error),
    });
  }
  try {
    return await meter.result;
  } finally {
    reader.close();
  }
}

function countRecords(recordBatches: Uint8Array): number {
  let count = 0;
  for (const { position } of batchesIn(recordBatches)) count += recordCountAt(recordBatches, position);
  return count;
}
