/**
 * The life of one record as an OTLP collector sees it: with three replicas and acks of all, consumed by a group, it is exactly
 * one connected trace; and a leader that dies in the middle is a failed attempt in it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { context, propagation, trace } from '@opentelemetry/api';
import { connect } from '@partita/client';
import type { Producer } from '@partita/client';
import { createLogger, startTelemetry } from '@partita/runtime';
import { OtlpSink } from '@partita/testkit';
import type { ReceivedSpan } from '@partita/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api } from './api.ts';
import { outputOf, partita } from './command.ts';
import { startCluster } from './harness.ts';
import { killNow } from './processes.ts';
import { ReplicatedTopic } from './replicated.ts';
import type { Cluster } from './harness.ts';
import { differences } from './span-table.ts';
import type { ExpectedSpan } from './span-table.ts';
import { until } from './until.ts';

const SECONDS_MAX = 20;
/** By then a batch has reached whom it is sent to; well before a silent broker counts as dead. */
const REACHED_MS = 500;
let sink: OtlpSink;
let cluster: Cluster;
let api: Api;
let env: Record<string, string>;

beforeAll(async () => {
  sink = await OtlpSink.start();
  env = { OTEL_EXPORTER_OTLP_ENDPOINT: sink.endpoint, OTEL_BSP_SCHEDULE_DELAY: '100' };
  cluster = await startCluster({ traces: true, env: { ...env, OTEL_TRACES_SAMPLER: 'parentbased_always_off' } });
  api = new Api(cluster);
});
afterAll(async () => {
  api.close();
  await cluster.dispose();
  sink.stop();
});

const cli = (args: readonly string[], input = ''): Promise<string> =>
  outputOf(partita(['--server', cluster.addresses.coordinator, ...args], { env, input }));

const CLIENT = 'partita-cli';
const GATEWAY = 'partita-producer-gateway';
const BROKER = 'partita-broker';
const GROUPS = 'partita-consumer-group';

/** An append from its arrival at the leader on: below `parent`, with `replicaCount` replicas. */
function appended(topic: string, parent: string, replicaCount: number): ExpectedSpan[] {
  const where = {
    'messaging.system': 'partita',
    'messaging.destination.name': topic,
    'messaging.destination.partition.id': /^\d+$/,
  };
  const append = `append ${topic}`;
  const below = { parent: append, service: BROKER, kind: 'internal', isWithin: true } as const;
  const replicate = { name: `replicate ${topic}`, parent: append, service: BROKER, kind: 'internal' } as const;
  return [
    {
      ...{ name: append, parent, service: BROKER, kind: 'internal', isWithin: true },
      attributes: { ...where, 'messaging.batch.message_count': '1', 'messaging.partita.message.offset': /^\d+$/ },
    },
    { name: 'queue', as: `${topic} queue`, ...below },
    {
      ...{ name: 'fsync', as: `${topic} fsync`, ...below },
      attributes: { 'partita.bytes': /^[1-9]\d+$/, 'partita.batches': '1' },
    },
    // Two of three replicas commit it: the third may be later.
    { ...replicate, count: replicaCount - 1, attributes: { ...where, 'partita.broker.id': /^[123]$/ } },
    { name: `commit ${topic}`, ...below, attributes: { ...where, 'partita.replicas_acked': /^[23]$/ } },
  ];
}

const DELIVERIES = ['batches', 'records', 'direct'] as const;
type Delivery = (typeof DELIVERIES)[number];

/** From the producer's call to the high watermark. Who writes to the leaders itself needs no gateway. */
function produced(topic: string, delivery: Delivery): ExpectedSpan[] {
  const messaging = { 'messaging.system': 'partita', 'messaging.destination.name': topic };
  const partition = { 'messaging.destination.partition.id': '0' };
  const send = `send ${topic}`;
  const publish = `publish ${topic}`;
  const inside = { parent: publish, service: GATEWAY, kind: 'internal', isWithin: true } as const;
  const atClient = { parent: send, service: CLIENT, kind: 'internal' } as const;
  const published: ExpectedSpan[] = [
    { name: publish, parent: send, service: GATEWAY, kind: 'internal', attributes: messaging, isWithin: true },
    { name: 'route', ...inside },
    { name: 'validate', ...inside },
    { name: 'batch wait', ...inside, attributes: partition },
  ];
  const by = delivery === 'direct' ? { parent: send, service: CLIENT } : { parent: publish, service: GATEWAY };
  return [
    {
      ...{ name: send, service: CLIENT, kind: 'producer' },
      attributes: { ...messaging, ...partition, 'messaging.partita.offset': '1' },
    },
    // Who builds batches lets records wait for them.
    ...(delivery === 'records'
      ? []
      : [{ name: 'batch wait', as: 'client wait', ...atClient, attributes: partition, isWithin: true } as const]),
    ...(delivery === 'direct' ? [] : published),
    {
      ...{
        name: new RegExp(`^append ${topic} to broker [123]$`),
        as: 'attempt',
        ...by,
        kind: 'client',
        isWithin: true,
      },
      attributes: { ...messaging, ...partition, 'partita.attempt': '1', 'partita.broker.id': /^[123]$/ },
    },
    ...appended(topic, 'attempt', 3),
  ];
}

/** From the read of the batch to the commit of its offset. */
function consumed(topic: string, group: string): ExpectedSpan[] {
  const attributes = { 'messaging.consumer.group.name': group, 'messaging.destination.name': topic };
  const receive = `receive ${topic}`;
  const process = `process ${topic}`;
  const commit = `commit offsets ${group}`;
  return [
    { name: receive, parent: `send ${topic}`, service: GROUPS, kind: 'consumer', attributes },
    { name: `fetch ${topic}`, parent: receive, service: GROUPS, kind: 'client' },
    { name: `deliver ${topic}`, parent: receive, service: GROUPS, kind: 'internal' },
    { name: process, parent: receive, service: CLIENT, kind: 'consumer', attributes },
    { name: 'commit offsets', parent: process, service: CLIENT, kind: 'client' },
    { name: commit, parent: 'commit offsets', service: GROUPS, kind: 'server' },
    {
      ...{
        name: /^append __groups to broker [123]$/,
        as: 'group attempt',
        parent: commit,
        service: GROUPS,
        kind: 'client',
      },
      attributes: { 'partita.attempt': '1' },
    },
    ...appended('__groups', 'group attempt', 3),
  ];
}

/** The trace of the topic's one record, once it is as the table says. */
async function traceLike(topic: string, table: readonly ExpectedSpan[]): Promise<ReceivedSpan[]> {
  return until(`the trace of ${topic}`, SECONDS_MAX, () => {
    const root = sink.spans.find(({ name }) => name === `send ${topic}`);
    if (root === undefined) throw new Error('the producer has not exported its span');
    const trace = sink.trace(root.traceId);
    const wrong = differences(trace, table);
    if (wrong.length > 0) throw new Error(wrong.join('\n'));
    return trace;
  });
}

describe.each(DELIVERIES)('a record that is sent as %s and consumed by a group', (delivery) => {
  const topic = `life-${delivery}`;

  it('leaves exactly one connected trace, with all that was done for it', async () => {
    await new ReplicatedTopic(() => cluster, 'tracing', topic, 1).create();
    await cli(['produce', topic, '--delivery', delivery, '--acks', 'all'], '{"key": "ann", "value": "traced"}\n');
    const printed = await cli(['consume', topic, '--group', `g-${delivery}`, '--max', '1', '--json']);
    expect(JSON.parse(printed)).toMatchObject({ value: 'traced' });
    const trace = await traceLike(topic, [...produced(topic, delivery), ...consumed(topic, `g-${delivery}`)]);
    // The two followers are two brokers, and neither is the leader.
    const own = trace.filter(({ attributes }) => attributes['messaging.destination.name'] === topic);
    const brokers = own.flatMap(({ attributes }) => attributes['partita.broker.id'] ?? []);
    expect(brokers.sort()).toEqual(['1', '2', '3']);
    // Exactly one: nothing of this record went into another trace.
    const named = sink.spans.filter(({ name }) => name.includes(` ${topic}`));
    expect(new Set(named.map(({ traceId }) => traceId))).toEqual(new Set([trace[0]?.traceId]));
  });
});

/** A producer in this process, whose sends are traces. */
async function tracedProducer(): Promise<{ producer: Producer; close: () => Promise<void> }> {
  const telemetry = await startTelemetry({
    ...{ service: 'spec', version: '0', instance: 'spec', env: {} },
    records: { endpoint: sink.endpoint, roots: true },
    logger: createLogger({ service: 'spec', instance: 'spec', level: 'silent' }),
  });
  const client = await connect({ servers: [cluster.addresses.gateway] });
  const close = async (): Promise<void> => {
    await client.close();
    await telemetry.shutdown();
    trace.disable();
    context.disable();
    propagation.disable();
  };
  return { producer: client.producer(), close };
}

describe('records of several traces in one batch', () => {
  const topic = 'life-shared';

  it('are traces of their own, linked to that of the first, which shows the batch', async () => {
    await new ReplicatedTopic(() => cluster, 'tracing', topic, 1).create();
    const { producer, close } = await tracedProducer();
    await Promise.all(['a', 'b', 'c'].map((value) => producer.send(topic, { value: Buffer.from(value) })));
    await close();
    const { sends, spans } = await until('the spans of all', SECONDS_MAX, () => {
      const found = sink.spans.filter(({ name }) => name === `send ${topic}`).sort(byStart);
      const first = sink.trace(found[0]?.traceId ?? '');
      return first.some(({ name }) => name === `publish ${topic}`) && { sends: found, spans: first };
    });
    expect(new Set(sends.map(({ traceId }) => traceId)).size).toBe(3);
    const others = sends.slice(1).map(({ traceId, spanId }) => ({ traceId, spanId }));
    const carriers = spans.filter(
      ({ service, kind }) => service === GATEWAY && (kind === 'client' || kind === 'server'),
    );
    for (const span of [spans.find(({ name }) => name === `publish ${topic}`), ...carriers])
      expect(span?.links).toEqual(others);
    expect(carriers.map(({ name }) => name)).toEqual([expect.stringMatching(/ to broker [123]$/)]);
    for (const send of sends.slice(1))
      expect(send.links).toEqual([{ traceId: sends[0]?.traceId, spanId: sends[0]?.spanId }]);
    // One batch, which the leader stored once.
    expect(spans.find(({ name }) => name === `append ${topic}`)?.attributes['messaging.batch.message_count']).toBe('3');
  });
});

describe('a leader that dies while it holds a batch', () => {
  const topic = 'life-killed';

  it('is a failed attempt of the trace, and the next leader the one after', async () => {
    await new ReplicatedTopic(() => cluster, 'tracing', topic, 1).create();
    const { leaderId, leaderAddress } = await api.partition(topic, 0);
    const { pid } = cluster.file.brokers.find(({ address }) => address === leaderAddress) ?? { pid: 0 };
    // In this process, so that it is known when the batch is on its way.
    const { producer, close } = await tracedProducer();
    // Client, gateway and leader have their streams from here on.
    await producer.send(topic, { value: Buffer.from('before') });
    process.kill(pid, 'SIGSTOP');
    const producing = producer.send(topic, { value: Buffer.from('traced') });
    await sleep(REACHED_MS);
    killNow([pid]);
    await producing;
    await close();

    const { attempts, spans } = await until('the trace of the retry', SECONDS_MAX, () => {
      const [, second] = sink.spans.filter(({ name }) => name === `send ${topic}`).sort(byStart);
      const trace = sink.trace(second?.traceId ?? '');
      const publish = trace.filter(({ name }) => name === `publish ${topic}`);
      const tried = trace.filter(({ name }) => name.startsWith(`append ${topic} to `)).sort(byStart);
      if (second === undefined || publish.length !== 1 || !trace.some(({ name }) => name === `commit ${topic}`))
        return undefined;
      // Siblings below the one publish.
      if (tried.some(({ parentSpanId }) => parentSpanId !== publish[0]?.spanId)) throw new Error('attempts elsewhere');
      return { attempts: tried, spans: trace };
    });
    expect(attempts.map(({ attributes }) => attributes['partita.attempt'])).toEqual(
      attempts.map((_, index) => String(index + 1)),
    );
    expect(attempts[0]).toMatchObject({ name: `append ${topic} to broker ${leaderId}`, error: true });
    expect(attempts[0]?.attributes['error.type']).toBe('OUTCOME_UNKNOWN');
    expect(attempts.slice(0, -1).every(({ error }) => error)).toBe(true);
    const last = attempts.at(-1);
    expect(last).toMatchObject({ error: false, name: expect.stringMatching(/ to broker [123]$/) as string });
    expect(last?.name).not.toBe(attempts[0]?.name);
    // One leader stored it, below the last attempt, and everything hangs together.
    const appends = spans.filter(({ name }) => name === `append ${topic}`);
    expect(appends.map(({ parentSpanId }) => parentSpanId)).toEqual([last?.spanId]);
    const ids = new Set(spans.map(({ spanId }) => spanId));
    expect(spans.filter(({ parentSpanId }) => !ids.has(parentSpanId)).map(({ name }) => name)).toEqual([
      `send ${topic}`,
    ]);
  });
});

function byStart(a: ReceivedSpan, b: ReceivedSpan): number {
  return Number(a.startNanos - b.startNanos);
}
