/** One trace from the producer's call to the consumer's handler, as an OTLP collector sees it. */
import { OtlpSink } from '@partita/testkit';
import type { ReceivedSpan } from '@partita/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api } from './api.ts';
import { outputOf, partita } from './command.ts';
import { startCluster } from './harness.ts';
import type { Cluster } from './harness.ts';
import { until } from './until.ts';

const TOPIC = 'traced';
let sink: OtlpSink;
let cluster: Cluster;
let api: Api;
let env: Record<string, string>;

beforeAll(async () => {
  sink = await OtlpSink.start();
  env = { OTEL_EXPORTER_OTLP_ENDPOINT: sink.endpoint, OTEL_BSP_SCHEDULE_DELAY: '100' };
  cluster = await startCluster({ brokers: 1, traces: true, env });
  api = new Api(cluster);
  await api.createTopic(TOPIC, 1);
});
afterAll(async () => {
  api.close();
  await cluster.dispose();
  sink.stop();
});

const cli = (args: readonly string[], input = ''): Promise<string> =>
  outputOf(partita(['--server', cluster.addresses.coordinator, ...args], { env, input }));

/** The one span of a name, or an error that lists what is there. */
function only(spans: readonly ReceivedSpan[], name: string): ReceivedSpan {
  const found = spans.filter((span) => span.name === name);
  if (found.length === 1 && found[0] !== undefined) return found[0];
  throw new Error(
    `${found.length} spans are named "${name}", of:\n${spans.map((span) => `${span.service} ${span.name}`).join('\n')}`,
  );
}

/** The span and its parents up to the root. */
function pathOf(span: ReceivedSpan, spans: readonly ReceivedSpan[]): string[] {
  const parent = spans.find(({ spanId }) => spanId === span.parentSpanId);
  return [...(parent === undefined ? [] : pathOf(parent, spans)), `${span.service}: ${span.name}`];
}

describe('a record that is produced and consumed in a group', () => {
  it('leaves exactly one connected trace across client, gateway, broker and consumer-group', async () => {
    await cli(['produce', TOPIC], '{"key": "ann", "value": "traced"}\n');
    const printed = await cli(['consume', TOPIC, '--group', 'tracers', '--max', '1', '--json']);
    expect(JSON.parse(printed)).toMatchObject({ value: 'traced' });

    const spans = await until('the spans of the whole way', 15, () => {
      const send = only(sink.spans, `send ${TOPIC}`);
      const trace = sink.trace(send.traceId);
      only(trace, `process ${TOPIC}`);
      only(trace, `append ${TOPIC}`);
      only(trace, `publish ${TOPIC}`);
      only(trace, `receive ${TOPIC}`);
      only(trace, 'append __groups');
      // Connected: every parent has come, or comes with a later export.
      const ids = new Set(trace.map(({ spanId }) => spanId));
      const orphans = trace.filter(({ parentSpanId }) => parentSpanId !== '' && !ids.has(parentSpanId));
      if (orphans.length > 0) throw new Error(`without their parents: ${orphans.map(({ name }) => name).join(', ')}`);
      return trace;
    });

    const services = new Set(spans.map(({ service }) => service));
    expect([...services].sort()).toEqual([
      'partita-broker',
      'partita-cli',
      'partita-consumer-group',
      'partita-producer-gateway',
    ]);
    // And one: a single root.
    expect(spans.filter(({ parentSpanId }) => parentSpanId === '').map(({ name }) => name)).toEqual([`send ${TOPIC}`]);
    // The parents of the record's way.
    expect(pathOf(only(spans, `append ${TOPIC}`), spans)).toEqual([
      `partita-cli: send ${TOPIC}`,
      `partita-producer-gateway: publish ${TOPIC}`,
      `partita-producer-gateway: append ${TOPIC} to broker 1`,
      `partita-broker: append ${TOPIC}`,
    ]);
    const received = [`partita-cli: send ${TOPIC}`, `partita-consumer-group: receive ${TOPIC}`];
    for (const step of ['fetch', 'deliver'])
      expect(pathOf(only(spans, `${step} ${TOPIC}`), spans)).toEqual([
        ...received,
        `partita-consumer-group: ${step} ${TOPIC}`,
      ]);
    // What the handler has done is committed: down to the append of the group's own log.
    expect(pathOf(only(spans, 'append __groups'), spans)).toEqual([
      ...received,
      `partita-cli: process ${TOPIC}`,
      'partita-cli: commit offsets',
      'partita-consumer-group: commit offsets tracers',
      'partita-consumer-group: append __groups to broker 1',
      'partita-broker: append __groups',
    ]);
    expect(only(spans, `send ${TOPIC}`)).toMatchObject({
      kind: 'producer',
      error: false,
      attributes: { 'messaging.system': 'partita', 'messaging.destination.name': TOPIC },
    });
    expect(only(spans, `process ${TOPIC}`)).toMatchObject({
      kind: 'consumer',
      attributes: { 'messaging.consumer.group.name': 'tracers', 'messaging.destination.partition.id': '0' },
    });
    expect(spans.every(({ startNanos, endNanos }) => startNanos > 0n && endNanos >= startNanos)).toBe(true);
    // Exactly one: nothing of this record went into another trace.
    const named = sink.spans.filter(({ name }) => name.endsWith(` ${TOPIC}`));
    expect(new Set(named.map(({ traceId }) => traceId)).size).toBe(1);
  });

  it('carries the trace in the record itself, for consumers that trace by themselves', async () => {
    const [consumed] = await api.readPartition(TOPIC, 0);
    const { traceId } = only(sink.spans, `send ${TOPIC}`);
    expect(consumed?.record?.traceparent).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`));
  });

  it('leaves the console out, which would keep nothing', () => {
    expect(cluster.file.traces).toBeUndefined();
    expect(cluster.file.pids.console).toBeUndefined();
  });

  it('shows failures as errors in the spans', async () => {
    const { code } = await partita(['--server', cluster.addresses.gateway, 'produce', 'none'], {
      env,
      input: '{"value": "x"}\n',
    });
    expect(code).toBe(4);
    const send = await until('the failed send', 15, () => only(sink.spans, 'send none'));
    expect(send.error).toBe(true);
  });
});
