import { readBatchHeader } from '@partita/batch';
import { PartitaError, REQUEST_PRODUCER_EPOCH } from '@partita/domain';
import { BrokerServiceService, ProducerServiceService, ServiceKind } from '@partita/protocol';
import type {
  AppendAck,
  AppendStreamRequest,
  AppendStreamResponse,
  ProduceBatchFrame,
  ProduceFrameResult,
  ProduceResponse,
  ProduceStreamRequest,
  ProduceStreamResponse,
} from '@partita/protocol';
import { toRpcStatus } from '@partita/rpc';
import { bidi } from '@partita/rpc/server';
import type { ServerBidiStream } from '@partita/rpc/server';
import { v7 } from 'uuid';
import { afterEach, describe, expect, test } from 'vitest';
import { connect, SendError } from '../index.ts';
import type { ProducerOptions } from '../index.ts';
import { closeAll, closeLater, listen, part, SpecDirectory, until } from '../testing/loopback.ts';
import { routeOf } from '../testing/route.ts';
import { SpecLog } from '../testing/spec-log.ts';

afterEach(closeAll);

/** What befalls a batch: stored and answered, stored with the answer lost, or an answer instead. */
type Fate = 'store' | 'silence' | PartitaError;

/** A cluster of one: gateway and leader of all partitions. */
class SpecCluster {
  readonly directory = new SpecDirectory();
  readonly frames: ProduceBatchFrame[] = [];
  readonly logs = new Map<string, SpecLog>();
  gatewayStreams: ServerBidiStream<ProduceStreamResponse>[] = [];
  directCount = 0;
  fate: () => Fate = () => 'store';

  readonly parts = [
    this.directory.part,
    part(ProducerServiceService, {
      produceStream: bidi<ProduceStreamRequest, ProduceStreamResponse>((stream) => {
        this.gatewayStreams.push(stream);
        return { onMessage: ({ message }) => this.#onProduce(message, stream) };
      }),
    }),
    part(BrokerServiceService, {
      appendStream: bidi<AppendStreamRequest, AppendStreamResponse>((stream) => ({
        onMessage: ({ message }) => this.#onAppend(message, stream),
      })),
    }),
  ];

  log(topic: string, partition: number): SpecLog {
    const key = `${topic}/${partition}`;
    const log = this.logs.get(key) ?? new SpecLog();
    this.logs.set(key, log);
    return log;
  }

  #onProduce(message: ProduceStreamRequest['message'], stream: ServerBidiStream<ProduceStreamResponse>): void {
    if (message?.$case === 'initial') {
      const ready = { heartbeatMs: 1000, framesInFlightMax: 100, bytesInFlightMax: 4_000_000n };
      stream.send({ message: { $case: 'ready', ready } });
    }
    if (message?.$case !== 'batch') return;
    const { frameId, topic, partition, recordBatches } = message.batch;
    this.frames.push(message.batch);
    const fate = this.fate();
    const outcome = fate instanceof PartitaError ? fate : this.log(topic, partition).append(recordBatches);
    if (fate === 'silence') return;
    const result: ProduceFrameResult['outcome'] =
      outcome instanceof PartitaError
        ? { $case: 'error', error: toRpcStatus(outcome) }
        : { $case: 'response', response: ackedBy({ ...outcome, partition }) };
    stream.send({ message: { $case: 'result', result: { frameId, outcome: result } } });
  }

  #onAppend(message: AppendStreamRequest['message'], stream: ServerBidiStream<AppendStreamResponse>): void {
    if (message?.$case === 'initial') {
      const ready = { heartbeatMs: 1000, framesInFlightMax: 100, bytesInFlightMax: 4_000_000n };
      stream.send({ message: { $case: 'ready', ready } });
    }
    if (message?.$case !== 'append') return;
    const [entry] = message.append.entries;
    if (entry === undefined) return;
    this.directCount += 1;
    const outcome = this.log(entry.topic, entry.partition).append(entry.recordBatches);
    const result =
      outcome instanceof PartitaError
        ? ({ $case: 'error', error: toRpcStatus(outcome) } as const)
        : ({ $case: 'ack', ack: outcome } as const);
    const results = [{ outcome: result }];
    stream.send({ message: { $case: 'result', result: { frameId: message.append.frameId, results } } });
  }
}

function ackedBy(ack: AppendAck): ProduceResponse {
  return { results: [{ partition: ack.partition, recordIndexes: [], outcome: { $case: 'ack', ack } }] };
}

async function start(options: ProducerOptions = {}) {
  const cluster = new SpecCluster();
  const { address } = await listen(cluster.parts);
  cluster.directory.add(ServiceKind.SERVICE_KIND_GATEWAY, address);
  cluster.directory.routes.push(routeOf('t', 3));
  cluster.directory.brokers.push({ brokerId: 1, address, rack: '', state: 1, version: '' });
  const client = await connect({ servers: [address] });
  closeLater(() => client.close());
  return { cluster, client, producer: client.producer(options) };
}

const values = (cluster: SpecCluster): string[] => [...cluster.logs.values()].flatMap((log) => log.values);

describe('a producer with sessions', () => {
  test('sends records of a key to its partition and tells where they are', async () => {
    const { producer, cluster } = await start();
    const first = await producer.send('t', { key: 'a', value: 'one' });
    const second = await producer.send('t', { key: 'a', value: 'two' });
    expect(second).toMatchObject({ topic: 't', partition: first.partition, offset: 1n, duplicate: false });
    expect(cluster.log('t', first.partition).values).toEqual(['one', 'two']);
    expect(cluster.frames[0]).toMatchObject({ partitionChosen: false, topicId: routeOf('t', 3).topicId });
  });

  test('keeps the order of sends that come before the route is known', async () => {
    const { producer, cluster } = await start();
    await Promise.all(['1', '2', '3', '4'].map((value) => producer.send('t', { value }, { partition: 0 })));
    expect(cluster.log('t', 0).values).toEqual(['1', '2', '3', '4']);
    expect(cluster.frames).toHaveLength(1);
  });

  test('stores once what was in doubt when its stream broke, in order with what came after', async () => {
    const { producer, cluster } = await start();
    let count = 0;
    cluster.fate = () => (count++ < 2 ? 'silence' : 'store');
    const one = producer.send('t', { value: '1' }, { partition: 0 });
    await until(() => cluster.frames.length === 1);
    const rest = ['2', '3'].map((value) => producer.send('t', { value }, { partition: 0 }));
    cluster.gatewayStreams[0]?.end(new PartitaError('SHUTTING_DOWN', 'bye'));
    await until(() => cluster.frames.length === 2);
    cluster.gatewayStreams[1]?.end(new PartitaError('SHUTTING_DOWN', 'bye'));
    expect(await one).toMatchObject({ offset: 0n, duplicate: true });
    await Promise.all(rest);
    expect(values(cluster)).toEqual(['1', '2', '3']);
  });

  test('goes straight to the leaders when told so', async () => {
    const { producer, cluster } = await start({ delivery: 'direct' });
    await producer.send('t', [{ value: '1' }, { value: '2' }], { partition: 2 });
    expect(cluster.log('t', 2).values).toEqual(['1', '2']);
    expect([cluster.directCount, cluster.frames.length]).toEqual([1, 0]);
  });

  test('refuses a bad record alone, and sends the others of its call', async () => {
    const { producer, cluster } = await start();
    const tooLarge = { value: new Uint8Array(1024 * 1024 + 1) };
    const failure = await producer.send('t', [{ value: 'a' }, tooLarge, { value: 'b' }], { partition: 0 }).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(SendError);
    expect(failure).toMatchObject({ reason: 'RECORD_TOO_LARGE', outcome: 'rejected' });
    expect(failure instanceof SendError && failure.results.map((result) => 'offset' in result)).toEqual([
      true,
      false,
      true,
    ]);
    expect(values(cluster)).toEqual(['a', 'b']);
  });

  test.each([
    ['a topic that is not there', 'TOPIC_NOT_FOUND', 'nowhere', {}],
    ['a topic of the cluster', 'INTERNAL_TOPIC', '__groups', {}],
    ['no name', 'INVALID_TOPIC_NAME', 'a/b', {}],
    ['a partition that is not there', 'PARTITION_NOT_FOUND', 't', { partition: 7 }],
    ['a request id that is no UUID', 'INVALID_REQUEST', 't', { requestId: 'mine' }],
    ['a condition without a partition', 'INVALID_REQUEST', 't', { expectedNextOffset: 5n }],
  ])('refuses a send with %s: %s', async (_what, reason, topic, options) => {
    const { producer, cluster } = await start();
    await expect(producer.send(topic, { value: 'x' }, options)).rejects.toMatchObject({ reason, outcome: 'rejected' });
    expect(cluster.frames).toHaveLength(0);
  });

  test('frames a request under its own id, and the same call of another producer is the same batch', async () => {
    const { client, cluster } = await start();
    const requestId = v7();
    const send = () => client.producer().send('t', [{ value: 'a' }, { value: 'b' }], { requestId });
    const [first, second] = [await send(), await send()];
    const header = readBatchHeader(cluster.frames[0]?.recordBatches ?? new Uint8Array(0));
    expect(header).toMatchObject({ producerEpoch: REQUEST_PRODUCER_EPOCH, firstSequence: 0n, recordCount: 2 });
    expect(Buffer.from(header.producerId).toString('hex')).toBe(requestId.replaceAll('-', ''));
    expect(second.map(({ partition, offset }) => [partition, offset])).toEqual(
      first.map(({ partition, offset }) => [partition, offset]),
    );
    expect(second[0]).toMatchObject({ duplicate: true });
    expect(values(cluster)).toEqual(['a', 'b']);
  });

  test('refuses records of one batch whose keys belong to several partitions', async () => {
    const { producer } = await start();
    const records = Array.from({ length: 20 }, (_, index) => ({ key: `k${index}`, value: '' }));
    const sending = producer.send('t', records, { atomic: true });
    await expect(sending).rejects.toMatchObject({ reason: 'INVALID_REQUEST' });
  });

  test('fails what cannot be delivered in time, certain that nothing was stored where that is certain', async () => {
    const { producer, cluster } = await start({ deliveryTimeoutMs: 300 });
    cluster.fate = () => new PartitaError('NOT_ENOUGH_REPLICAS', 'too few', {}, { retryAfterMs: 20 });
    // Its last refusal, when that comes at the end of its time.
    await expect(producer.send('t', { value: 'a' })).rejects.toMatchObject({
      reason: expect.stringMatching(/TIMED_OUT|NOT_ENOUGH_REPLICAS/),
      outcome: 'rejected',
    });
    expect(values(cluster)).toEqual([]);
    cluster.fate = () => 'store';
    await producer.send('t', { value: 'b' });
    expect(values(cluster)).toEqual(['b']);
  });

  test('takes back what was not sent when its signal aborts, and leaves doubt about the rest', async () => {
    const { producer, cluster } = await start();
    cluster.fate = () => 'silence';
    const aborting = new AbortController();
    const { signal } = aborting;
    const sent = producer.send('t', { value: 'sent' }, { partition: 0, signal });
    await until(() => cluster.frames.length === 1);
    const waiting = producer.send('t', { value: 'waiting' }, { partition: 0, signal });
    aborting.abort();
    await expect(sent).rejects.toMatchObject({ reason: 'OUTCOME_UNKNOWN' });
    await expect(waiting).rejects.toMatchObject({ reason: 'CANCELLED' });
    cluster.fate = () => 'store';
    cluster.gatewayStreams[0]?.end();
    await producer.send('t', { value: 'after' }, { partition: 0 });
    expect(cluster.log('t', 0).values).toEqual(['sent', 'after']);
  });

  test('waits in close for what was sent', async () => {
    const { producer, cluster } = await start({ lingerMs: 10_000 });
    const sending = producer.send('t', { value: 'a' });
    await producer.close();
    expect(await sending).toMatchObject({ offset: 0n });
    await expect(producer.send('t', { value: 'b' })).rejects.toMatchObject({ reason: 'CANCELLED' });
    expect(values(cluster)).toEqual(['a']);
  });
});
