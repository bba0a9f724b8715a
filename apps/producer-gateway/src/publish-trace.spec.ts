/** What a gateway records of the requests of traced clients, through real streams to a broker that a spec plays. */
import { BatchBuilder, CODEC_NONE } from '@partita/batch';
import { PartitaError } from '@partita/domain';
import { ProduceRequest, ProducerServiceService, ProduceStreamRequest } from '@partita/protocol';
import type { ProduceStreamResponse } from '@partita/protocol';
import { callMetadata } from '@partita/rpc';
import type { TracingMode } from '@partita/rpc';
import { callUnary, ChannelPool, openBidi } from '@partita/rpc/client';
import type { RunningService } from '@partita/runtime';
import { SpanRecorder } from '@partita/testkit';
import type { RecordedSpan } from '@partita/testkit';
import { propagation } from '@opentelemetry/api';
import { NO_METRICS } from '@partita/telemetry';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { startGateway } from './gateway.ts';
import { routeOf } from './testing/route.ts';
import { gatewayConfig, LOGGER, SpecBroker, SpecCoordinator } from './testing/spec-cluster.ts';

const recorder = new SpanRecorder();
const { spans } = recorder;
let coordinator: SpecCoordinator;
let broker: SpecBroker;
let pool: ChannelPool;
let gateway: RunningService;

beforeAll(() => recorder.register());
beforeEach(async () => {
  coordinator = await new SpecCoordinator().start();
  broker = await new SpecBroker(1).start();
  coordinator.tell([routeOf('orders', 1)], [broker]);
  pool = new ChannelPool();
});
afterEach(async () => {
  pool.close();
  await gateway.close();
  broker.close();
  coordinator.close();
  recorder.clear();
});
afterAll(() => {
  recorder.unregister();
  propagation.disable();
});

async function start(tracing: TracingMode): Promise<void> {
  gateway = await startGateway({
    config: gatewayConfig(coordinator.address),
    logger: LOGGER,
    tracing,
    metrics: NO_METRICS,
    instanceId: '00000000-0000-7000-8000-0000000000aa',
    fail: () => {},
  });
}

const traceparent = (number: number): string => `00-${'a'.repeat(32)}-${String(number).padStart(16, 'b')}-01`;
const until = (condition: () => boolean) => vi.waitUntil(condition, { timeout: 5000, interval: 5 });
const childrenOf = (span: RecordedSpan | undefined): string[] =>
  spans.filter(({ parent }) => parent?.spanId === span?.spanContext().spanId).map(({ name }) => name);

function request(value: string, topic = 'orders', recordTraceparent = ''): ProduceRequest {
  const records = [{ value: Buffer.from(value), traceparent: recordTraceparent }];
  return ProduceRequest.fromPartial({ topic, records });
}

function openStream() {
  const results: ProduceStreamResponse[] = [];
  const stream = openBidi(pool.client(String(gateway.ready['address'])), ProducerServiceService.produceStream, {
    onMessage: (message) => {
      if (message.message?.$case === 'result') results.push(message);
    },
  });
  const send = (message: Parameters<typeof ProduceStreamRequest.fromPartial>[0]['message']): void =>
    void stream.send(ProduceStreamRequest.fromPartial({ message }));
  send({ $case: 'initial', initial: {} });
  return { send, results };
}

function batch(value: string): Buffer {
  const builder = new BatchBuilder();
  builder.tryAdd({ value: Buffer.from(value), timestampMs: 1000n });
  return builder.build({ codec: CODEC_NONE });
}

describe('a traced frame', () => {
  beforeEach(() => start('follow'));

  test('of records has what its time went into below it, and the broker the context of the attempt', async () => {
    const { send, results } = openStream();
    const produce = { frameId: 1n, request: request('a'), traceparent: traceparent(1) };
    send({ $case: 'produce', produce });
    await until(() => results.length === 1);
    const [publish] = recorder.named('publish orders');
    expect(publish).toMatchObject({ parent: { spanId: traceparent(1).slice(36, 52) } });
    expect(childrenOf(publish)).toEqual(['route', 'validate', 'batch wait', 'append orders to broker 1']);
    const [attempt] = recorder.named('append orders to broker 1');
    expect(broker.entries[0]?.traceparent.slice(36, 52)).toBe(attempt?.spanContext().spanId);
    expect(recorder.open).toEqual([]);
  });

  test('with a batch has the same, and links to the other sends in it', async () => {
    const { send, results } = openStream();
    const links = { traceparents: [traceparent(2), 'garbage', traceparent(3)] };
    const frame = { frameId: 1n, topic: 'orders', partition: 0, recordBatches: batch('a'), partitionChosen: true };
    send({ $case: 'batch', batch: { ...frame, traceparent: traceparent(1), links } });
    await until(() => results.length === 1);
    const [publish] = recorder.named('publish orders');
    expect(childrenOf(publish)).toEqual(['route', 'validate', 'batch wait', 'append orders to broker 1']);
    const linked = [traceparent(2), traceparent(3)].map((text) => text.slice(36, 52));
    for (const span of [publish, recorder.named('append orders to broker 1')[0]])
      expect(span?.links.map(({ spanId }) => spanId)).toEqual(linked);
    expect(recorder.open).toEqual([]);
  });

  test('whose broker refuses at first shows both attempts', async () => {
    let refusals = 1;
    broker.judge = () => (refusals-- > 0 ? new PartitaError('NOT_ENOUGH_REPLICAS', 'too few') : 'store');
    const { send, results } = openStream();
    send({ $case: 'produce', produce: { frameId: 1n, request: request('a'), traceparent: traceparent(1) } });
    await until(() => results.length === 1);
    const attempts = recorder.named('append orders to broker 1');
    expect(attempts.map(({ attributes }) => [attributes['partita.attempt'], attributes['error.type']])).toEqual([
      [1, 'NOT_ENOUGH_REPLICAS'],
      [2, undefined],
    ]);
    expect(recorder.open).toEqual([]);
  });

  test.each([
    ['that cannot be valid', 'no/topic', 'INVALID_TOPIC_NAME', []],
    ['that is not there', 'none', 'TOPIC_NOT_FOUND', ['route']],
  ])('for a topic %s ends with the reason', async (_what, topic, reason, below) => {
    const { send, results } = openStream();
    send({ $case: 'produce', produce: { frameId: 1n, request: request('a', topic), traceparent: traceparent(1) } });
    await until(() => results.length === 1);
    const [publish] = recorder.named(`publish ${topic}`);
    expect(publish).toMatchObject({ attributes: { 'error.type': reason }, status: { code: 2 } });
    expect(childrenOf(publish)).toEqual(below);
    expect(recorder.open).toEqual([]);
  });
});

test('requests of several traces in one batch: it belongs to the first, and they link to each other', async () => {
  await start('follow');
  // The first one fills the way, so that the others share the next batch.
  broker.judge = () => 'silence';
  const { send, results } = openStream();
  for (const number of [1, 2, 3])
    send({
      $case: 'produce',
      produce: { frameId: BigInt(number), request: request(`v${number}`), traceparent: traceparent(number) },
    });
  await until(() => broker.entries.length === 1 && recorder.named('publish orders').length === 3);
  broker.answerSilent();
  await until(() => broker.entries.length === 2);
  broker.answerSilent();
  await until(() => results.length === 3);
  const [, second, third] = recorder.named('publish orders');
  const [, shared] = recorder.named('append orders to broker 1');
  expect(shared?.parent?.spanId).toBe(second?.spanContext().spanId);
  expect(shared?.links.map(({ spanId }) => spanId)).toEqual([third?.spanContext().spanId]);
  expect(third?.links.map(({ spanId }) => spanId)).toEqual([second?.spanContext().spanId]);
  expect(childrenOf(third)).toEqual(['route', 'validate', 'batch wait']);
  expect(recorder.open).toEqual([]);
});

describe('nothing is begun', () => {
  test.each([
    ['off', traceparent(1)],
    ['follow', ''],
    ['follow', 'garbage'],
    ['follow', traceparent(1).replace(/1$/, '0')],
  ] as const)('in mode %s for the traceparent "%s"', async (mode, given) => {
    await start(mode);
    const { send, results } = openStream();
    send({ $case: 'produce', produce: { frameId: 1n, request: request('a'), traceparent: given } });
    const frame = { frameId: 2n, topic: 'orders', partition: 0, recordBatches: batch('b'), partitionChosen: true };
    send({ $case: 'batch', batch: { ...frame, traceparent: given } });
    const metadata = callMetadata({});
    if (given !== '') metadata.set('traceparent', given);
    const client = pool.client(String(gateway.ready['address']));
    await callUnary(client, ProducerServiceService.produce, request('c'), { append: true, metadata });
    await until(() => results.length === 2);
    expect(spans).toEqual([]);
    expect(broker.entries.every((entry) => entry.traceparent === '')).toBe(true);
  });
});
