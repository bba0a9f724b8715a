/** Appending straight to the brokers that lead, without a gateway: ready batches, over one AppendStream to each. */
import { PartitaError } from '@partita/domain';
import { Acks, BrokerServiceService } from '@partita/protocol';
import type { AppendStreamRequest, AppendStreamResponse, Broker, Topic } from '@partita/protocol';
import { fromRpcStatus } from '@partita/rpc';
import { openBidi } from '@partita/rpc/client';
import type { BidiStream, ChannelPool } from '@partita/rpc/client';
import type { Sample } from '../sample.ts';
import { FRAMES_IN_FLIGHT, RECORD_BYTES } from '../workload.ts';
import { SendWindow } from './send-window.ts';
import { testBatches } from './test-records.ts';
import type { TestBatch } from './test-records.ts';

const TIMEOUT_MS = 30_000;

/** Batches to the partitions in turn, each to its leader. Every one must be acknowledged. */
export async function appendToLeaders(
  pool: ChannelPool,
  topic: Topic,
  brokers: readonly Broker[],
  seconds: number,
): Promise<Sample> {
  const batches = testBatches(topic.partitions);
  let sent = 0;
  const window = new SendWindow({
    seconds,
    inFlightMax: FRAMES_IN_FLIGHT,
    send: () => {
      const batch = batches[sent % batches.length];
      sent += 1;
      if (batch !== undefined) streamOf(topic, batch.partition, streams).send(frameOf(topic, batch, sent));
    },
  });
  const leaders = [...new Set(topic.partitions.map(({ leaderId }) => leaderId))];
  let openCount = 0;
  const streams = new Map<number, BidiStream<AppendStreamRequest>>();
  for (const leaderId of leaders) {
    const address = brokers.find(({ brokerId }) => brokerId === leaderId)?.address ?? '';
    const stream: BidiStream<AppendStreamRequest> = openBidi(pool.client(address), BrokerServiceService.appendStream, {
      onMessage: ({ message }: AppendStreamResponse) => {
        if (message?.$case === 'result') onResult(window, message.result);
        if (message?.$case !== 'ready') return;
        openCount += 1;
        if (openCount === leaders.length) window.start();
      },
      onClose: (error) => window.fail(error ?? new PartitaError('SHUTTING_DOWN', 'a broker ended the stream')),
    });
    stream.send({ message: { $case: 'initial', initial: {} } });
    streams.set(leaderId, stream);
  }
  const { frameCount, durationMs } = await window.result;
  for (const stream of streams.values()) stream.end();
  await Promise.all([...streams.values()].map((stream) => stream.closed));
  const recordCount = frameCount * (batches[0]?.recordCount ?? 0);
  return { recordCount, bytes: recordCount * RECORD_BYTES, durationMs };
}

function streamOf<Stream>({ partitions }: Topic, partition: number, streams: ReadonlyMap<number, Stream>): Stream {
  const stream = streams.get(partitions.find((one) => one.partition === partition)?.leaderId ?? 0);
  if (stream === undefined) throw new Error(`partition ${partition} has no leader`);
  return stream;
}

function frameOf({ topicId, name, partitions }: Topic, batch: TestBatch, frameId: number): AppendStreamRequest {
  const { partition, recordBatches } = batch;
  const entry = {
    topicId,
    topic: name,
    partition,
    leaderEpoch: partitions.find((one) => one.partition === partition)?.leaderEpoch ?? 0,
    recordBatches,
    acks: Acks.ACKS_ALL,
    expectedNextOffset: undefined,
    claimEpoch: 0,
    traceparent: '',
    tracestate: '',
  };
  const append = { frameId: BigInt(frameId), entries: [entry], timeoutMs: TIMEOUT_MS };
  return { message: { $case: 'append', append } };
}

function onResult(
  window: SendWindow,
  { results }: Extract<NonNullable<AppendStreamResponse['message']>, { $case: 'result' }>['result'],
): void {
  const outcome = results[0]?.outcome;
  if (outcome?.$case === 'ack') window.answered();
  else
    window.fail(
      outcome === undefined ? new Error('a batch was answered without a result') : fromRpcStatus(outcome.error),
    );
}
