import { trace } from '@opentelemetry/api';
import { DELIVERY_TIMEOUT_MS, PartitaError } from '@partita/domain';
import { ProducerServiceService, ServiceKind } from '@partita/protocol';
import type {
  ProduceFrame,
  ProduceResponse,
  ProduceResult,
  ProduceStreamRequest,
  ProduceStreamResponse,
} from '@partita/protocol';
import { toRpcStatus } from '@partita/rpc';
import { bidi } from '@partita/rpc/server';
import type { ServerBidiStream } from '@partita/rpc/server';
import { afterEach, describe, expect, test } from 'vitest';
import { connect, SendError } from '../index.ts';
import type { ProducerOptions } from '../index.ts';
import { closeAll, closeLater, listen, part, SpecDirectory, until } from '../testing/loopback.ts';
import { listSpans } from '../testing/span-list.ts';

afterEach(closeAll);

const decoder = new TextDecoder();

/** A gateway with one log per partition; `answer` may refuse a frame, or stay silent. */
class SpecGateway {
  readonly frames: ProduceFrame[] = [];
  /** Values by partition, in the order in which they were stored. */
  readonly stored = new Map<number, string[]>();
  streamCount = 0;
  stream: ServerBidiStream<ProduceStreamResponse> | undefined;
  answer: (frame: ProduceFrame) => ProduceResponse | PartitaError | undefined = (frame) => this.store(frame);

  readonly part = part(ProducerServiceService, {
    produceStream: bidi<ProduceStreamRequest, ProduceStreamResponse>((stream) => {
      this.streamCount += 1;
      this.stream = stream;
      return { onMessage: ({ message }) => this.#onMessage(message, stream) };
    }),
  });

  #onMessage(message: ProduceStreamRequest['message'], stream: ServerBidiStream<ProduceStreamResponse>): void {
    if (message?.$case === 'initial') {
      const ready = { heartbeatMs: 1000, framesInFlightMax: 100, bytesInFlightMax: 4_000_000n };
      stream.send({ message: { $case: 'ready', ready } });
    }
    if (message?.$case !== 'produce') return;
    this.frames.push(message.produce);
    const answer = this.answer(message.produce);
    if (answer === undefined) return;
    const { frameId } = message.produce;
    const outcome: Extract<ProduceStreamResponse['message'], { $case: 'result' }>['result']['outcome'] =
      answer instanceof PartitaError
        ? { $case: 'error', error: toRpcStatus(answer) }
        : { $case: 'response', response: answer };
    stream.send({ message: { $case: 'result', result: { frameId, outcome } } });
  }

  /** Stores by the first character of the key, but what `refuse` names. */
  store(
    frame: ProduceFrame,
    refuse: (partition: number) => PartitaError | undefined = () => undefined,
  ): ProduceResponse {
    const byPartition = new Map<number, number[]>();
    for (const [index, record] of (frame.request?.records ?? []).entries()) {
      const partition = frame.request?.partition ?? (record.key?.[0] ?? 0) % 3;
      byPartition.set(partition, [...(byPartition.get(partition) ?? []), index]);
    }
    const results = [...byPartition].map(([partition, recordIndexes]): ProduceResult => {
      const error = refuse(partition);
      if (error !== undefined)
        return { partition, recordIndexes, outcome: { $case: 'error', error: toRpcStatus(error) } };
      const log = this.stored.get(partition) ?? [];
      const baseOffset = BigInt(log.length);
      for (const index of recordIndexes) log.push(decoder.decode(frame.request?.records[index]?.value));
      this.stored.set(partition, log);
      const ack = {
        partition,
        baseOffset,
        leaderEpoch: 1,
        replicasAcked: 1,
        fsynced: true,
        appendTimeMs: 5n,
        duplicate: false,
        recordCount: recordIndexes.length,
      };
      return { partition, recordIndexes, outcome: { $case: 'ack', ack } };
    });
    return { results };
  }
}

async function start(options: ProducerOptions = {}) {
  const gateway = new SpecGateway();
  const directory = new SpecDirectory();
  const listening = await listen([directory.part, gateway.part]);
  directory.add(ServiceKind.SERVICE_KIND_GATEWAY, listening.address);
  const client = await connect({ servers: [listening.address] });
  const producer = client.producer({ delivery: 'records', ...options });
  closeLater(() => client.close());
  return { gateway, directory, producer, client, ...listening };
}

describe('send', () => {
  test('resolves with where the record is', async () => {
    const { producer, gateway } = await start({ acks: 'leader', codec: 'zstd' });
    await producer.send('t', { key: 'a', value: 'first' });
    const sent = await producer.send('t', { key: 'a', value: 'second', headers: { h: 'x' }, timestampMs: 7 });
    expect(sent).toEqual({
      topic: 't',
      partition: 1,
      offset: 1n,
      leaderEpoch: 1,
      replicasAcked: 1,
      fsynced: true,
      appendTimeMs: 5,
      duplicate: false,
    });
    expect(gateway.frames[1]?.request).toMatchObject({ topic: 't', acks: 2, codec: 2, partition: undefined });
    expect(gateway.frames[1]?.request?.records[0]).toMatchObject({ timestampMs: 7n, headers: [{ name: 'h' }] });
  });

  test('tells apart an absent key from an empty one, and a tombstone from an empty value', async () => {
    const { producer, gateway } = await start();
    await producer.send('t', [{ value: null }, { key: '', value: '' }]);
    const [absent, empty] = gateway.frames[0]?.request?.records ?? [];
    expect([absent?.key, absent?.value]).toEqual([undefined, undefined]);
    expect([empty?.key?.byteLength, empty?.value?.byteLength]).toEqual([0, 0]);
  });

  test('puts records of one loop in one frame, and those that come meanwhile in the next', async () => {
    const { producer, gateway } = await start();
    await Promise.all(['1', '2', '3'].map((value) => producer.send('t', { key: 'a', value })));
    expect(gateway.frames.map((frame) => frame.request?.records.length)).toEqual([3]);
  });

  test('has one frame of a topic under way at a time, and frames of several topics side by side', async () => {
    const { producer, gateway } = await start();
    gateway.answer = () => undefined;
    for (const topic of ['t', 'u']) producer.send(topic, { value: '1' }).catch(() => undefined);
    await until(() => gateway.frames.length === 2);
    producer.send('t', { value: '2' }).catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(gateway.frames.map((frame) => frame.request?.topic)).toEqual(['t', 'u']);
    gateway.answer = (frame) => gateway.store(frame);
    gateway.stream?.end();
  });

  test('closes frames at a megabyte', async () => {
    const { producer, gateway } = await start();
    await Promise.all(Array.from({ length: 30 }, () => producer.send('t', { value: new Uint8Array(100_000) })));
    const sizes = gateway.frames.map((frame) => frame.request?.records.length ?? 0);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(30);
    expect(Math.max(...sizes)).toBe(10);
  });

  test('refuses a record that no batch can hold without sending it', async () => {
    const { producer, gateway } = await start();
    await expect(producer.send('t', { value: new Uint8Array(3_000_000) })).rejects.toMatchObject({
      reason: 'RECORD_TOO_LARGE',
      outcome: 'rejected',
    });
    expect(gateway.frames).toEqual([]);
  });

  test('waits for room once the producer holds its bound', async () => {
    const { producer, gateway } = await start({ bufferBytesMax: 1000 });
    gateway.answer = () => undefined;
    const first = producer.send('t', { value: new Uint8Array(900) });
    await until(() => gateway.frames.length === 1);
    const second = producer.send('u', { value: new Uint8Array(900) });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(gateway.frames.length).toBe(1);
    gateway.answer = (frame) => gateway.store(frame);
    const frame = gateway.frames[0];
    if (frame === undefined) throw new Error('no frame');
    gateway.stream?.send({
      message: {
        $case: 'result',
        result: { frameId: frame.frameId, outcome: { $case: 'response', response: gateway.store(frame) } },
      },
    });
    await expect(first).resolves.toMatchObject({ offset: 0n });
    await expect(second).resolves.toMatchObject({ topic: 'u' });
  });
});

describe('failures', () => {
  test('that certainly stored nothing and may pass are sent again, in order', async () => {
    const { producer, gateway } = await start();
    let refusals = 2;
    gateway.answer = (frame) =>
      gateway.store(frame, (partition) => {
        if (partition !== 1 || refusals === 0) return undefined;
        refusals -= 1;
        return new PartitaError('NOT_ENOUGH_REPLICAS', 'too few replicas', {}, { retryAfterMs: 10 });
      });
    const values = Array.from({ length: 40 }, (_, index) => String(index));
    const sends: Promise<unknown>[] = [];
    for (const value of values) {
      sends.push(producer.send('t', { key: Number(value) % 2 === 0 ? 'a' : 'b', value }));
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await Promise.all(sends);
    expect(gateway.stored.get(1)).toEqual(values.filter((value) => Number(value) % 2 === 0));
    expect(gateway.stored.get(2)).toEqual(values.filter((value) => Number(value) % 2 === 1));
  });

  test('of doubt are handed to the caller and not sent again', async () => {
    const { producer, gateway } = await start();
    gateway.answer = () => new PartitaError('OUTCOME_UNKNOWN', 'no answer from the leader');
    await expect(producer.send('t', { value: '1' })).rejects.toMatchObject({
      reason: 'OUTCOME_UNKNOWN',
      outcome: 'unknown',
    });
    expect(gateway.frames.length).toBe(1);
  });

  test('of one bad record leave the records beside it alone', async () => {
    const { producer, gateway } = await start();
    gateway.answer = (frame) => {
      const index = frame.request?.records.findIndex((record) => decoder.decode(record.value) === 'bad') ?? -1;
      if (index === -1) return gateway.store(frame);
      return new PartitaError('RECORD_TOO_LARGE', `record ${index} is too large`, { index: String(index) });
    };
    const results = await Promise.allSettled(['1', 'bad', '2'].map((value) => producer.send('t', { value })));
    expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(gateway.stored.get(0)).toEqual(['1', '2']);
  });

  test('of some of several records tell of each', async () => {
    const { producer, gateway } = await start();
    gateway.answer = (frame) =>
      gateway.store(frame, (partition) =>
        partition === 1 ? new PartitaError('INVALID_TIMESTAMP', 'too early') : undefined,
      );
    const error: unknown = await producer
      .send('t', [
        { key: 'a', value: '1' },
        { key: 'b', value: '2' },
      ])
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(SendError);
    expect(error).toMatchObject({
      reason: 'INVALID_TIMESTAMP',
      results: [{ reason: 'INVALID_TIMESTAMP' }, { partition: 2, offset: 0n }],
    });
  });

  test('to deliver in time say why', async () => {
    const { producer, gateway } = await start({ deliveryTimeoutMs: 300 });
    gateway.answer = () => new PartitaError('QUEUE_FULL', 'slow down', {}, { retryAfterMs: 20 });
    const failing = producer.send('t', { value: '1' });
    await expect(failing).rejects.toMatchObject({
      reason: 'TIMED_OUT',
      outcome: 'rejected',
      metadata: { last_reason: 'QUEUE_FULL' },
    });
    expect(DELIVERY_TIMEOUT_MS).toBe(120_000);
  });
});

describe('the stream', () => {
  test('that breaks leaves frames under way in doubt, and is opened again for the next', async () => {
    const { producer, gateway } = await start();
    gateway.answer = () => undefined;
    const lost = producer.send('t', { value: '1' });
    await until(() => gateway.frames.length === 1);
    gateway.stream?.end(new PartitaError('SHUTTING_DOWN', 'bye'));
    await expect(lost).rejects.toMatchObject({ reason: 'OUTCOME_UNKNOWN', outcome: 'unknown' });
    gateway.answer = (frame) => gateway.store(frame);
    await expect(producer.send('t', { value: '2' })).resolves.toMatchObject({ offset: 0n });
    expect(gateway.streamCount).toBe(2);
  });

  test('moves to another gateway while the old one drains, and no frame is lost', async () => {
    const { producer, gateway, directory } = await start();
    await producer.send('t', { key: 'a', value: '1' });
    const other = new SpecGateway();
    const { address } = await listen([directory.part, other.part]);
    directory.endpoints.splice(0);
    directory.add(ServiceKind.SERVICE_KIND_GATEWAY, address);
    gateway.stream?.send({ message: { $case: 'draining', draining: { graceMs: 1000 } } });
    await until(() => gateway.streamCount === 1);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await producer.send('t', { key: 'a', value: '2' });
    expect([...(gateway.stored.get(1) ?? []), ...(other.stored.get(1) ?? [])]).toEqual(['1', '2']);
    expect(other.streamCount).toBe(1);
  });
});

describe('flush, close and signals', () => {
  test('flush waits for what was sent and does not wait for the linger', async () => {
    const { producer, gateway } = await start({ lingerMs: 60_000 });
    const sending = producer.send('t', { value: '1' });
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(gateway.frames.length).toBe(0);
    await producer.flush();
    expect(gateway.stored.get(0)).toEqual(['1']);
    await sending;
  });

  test('close refuses what comes later', async () => {
    const { producer } = await start();
    await producer.close();
    await expect(producer.send('t', { value: '1' })).rejects.toMatchObject({ reason: 'CANCELLED' });
  });

  test('a signal takes back what was not sent, and leaves doubt about the rest', async () => {
    const { producer, gateway } = await start();
    gateway.answer = () => undefined;
    const stop = new AbortController();
    const under = producer.send('t', { value: '1' }, { signal: stop.signal });
    await until(() => gateway.frames.length === 1);
    const waiting = producer.send('t', { value: '2' }, { signal: stop.signal });
    stop.abort();
    await expect(under).rejects.toMatchObject({ reason: 'OUTCOME_UNKNOWN' });
    await expect(waiting).rejects.toMatchObject({ reason: 'CANCELLED' });
  });
});

test('with tracing each send is a span, and record and frame carry its context', async () => {
  const { provider, spans } = listSpans();
  trace.setGlobalTracerProvider(provider);
  try {
    const { producer, gateway } = await start();
    await producer.send('t', { key: 'a', value: '1' });
    const span = spans.find(({ name }) => name === 'send t');
    const traceparent = `00-${span?.spanContext().traceId ?? ''}-${span?.spanContext().spanId ?? ''}-01`;
    expect(gateway.frames[0]?.request?.records[0]?.traceparent).toBe(traceparent);
    expect(gateway.frames[0]?.traceparent).toBe(traceparent);
    expect(span).toMatchObject({ ended: true, attributes: { 'messaging.partita.offset': '0' } });
  } finally {
    trace.disable();
  }
});
