/** The traces of records, read back from a real Jaeger behind a real Collector, against what our own receiver got. */
import { OtlpSink } from '@partita/testkit';
import type { ReceivedSpan } from '@partita/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api } from './api.ts';
import { outputOf, partita } from './command.ts';
import { figure } from './figures.ts';
import { startCluster } from './harness.ts';
import type { Cluster } from './harness.ts';
import { TraceBackend, whyNoTraceBackend } from './trace-backend.ts';
import type { JaegerSpan } from './trace-backend.ts';
import { until } from './until.ts';

const TOPIC = 'traced';
/** So long nothing more came of a trace: it is whole. */
const QUIET_MS = 1500;

const reason = whyNoTraceBackend();

describe.skipIf(reason !== undefined)(`Jaeger behind a Collector${reason === undefined ? '' : ` (${reason})`}`, () => {
  let sink: OtlpSink;
  let backend: TraceBackend;
  let cluster: Cluster;
  let api: Api;
  let env: Record<string, string>;
  const cli = (args: readonly string[], input = ''): Promise<string> =>
    outputOf(partita(['--server', cluster.addresses.coordinator, ...args], { env, input }));

  beforeAll(async () => {
    sink = await OtlpSink.start();
    backend = await TraceBackend.start(sink.endpoint);
    env = { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: backend.endpoint, OTEL_BSP_SCHEDULE_DELAY: '100' };
    cluster = await startCluster({ brokers: 3, traces: true, env });
    api = new Api(cluster);
    await cli(['topic', 'create', TOPIC, '--partitions', '1', '--replication-factor', '3']);
  });
  afterAll(async () => {
    api.close();
    await cluster.dispose();
    await backend.stop();
    sink.stop();
  });

  /** What a trace looks like once nothing more comes of it, here and there. */
  async function settled(traceId: string): Promise<{ ours: readonly ReceivedSpan[]; theirs: readonly JaegerSpan[] }> {
    let [count, sinceMs] = [0, performance.now()];
    const ours = await until('a trace to be whole', 20, () => {
      const spans = sink.trace(traceId);
      if (spans.length !== count) [count, sinceMs] = [spans.length, performance.now()];
      return spans.length > 0 && performance.now() - sinceMs > QUIET_MS ? spans : undefined;
    });
    const theirs = await until('Jaeger to have it', 20, async () => {
      const spans = await backend.trace(traceId);
      return spans.length >= ours.length ? spans : undefined;
    });
    return { ours, theirs };
  }

  const links = (spans: readonly Pick<ReceivedSpan, 'links'>[]): number =>
    spans.reduce((sum, span) => sum + span.links.length, 0);

  it('has the trace of one record with the same spans, parents and links', async () => {
    await cli(['produce', TOPIC], '{"key": "ann", "value": "traced"}\n');
    await cli(['consume', TOPIC, '--group', 'tracers', '--max', '1']);
    const send = await until('the send', 15, () => sink.spans.find(({ name }) => name === `send ${TOPIC}`));
    const { ours, theirs } = await settled(send.traceId);
    expect(theirs.map(told).sort(bySpanId)).toEqual(ours.map(received).sort(bySpanId));
    expect(theirs.filter(({ parentSpanId }) => parentSpanId === '').map(({ name }) => name)).toEqual([`send ${TOPIC}`]);
    const services = new Set(theirs.map(({ service }) => service));
    expect([...services].sort()).toEqual([
      'partita-broker',
      'partita-cli',
      'partita-consumer-group',
      'partita-producer-gateway',
    ]);
    figure('traces', 'spans of one record in Jaeger', theirs.length);
    figure('traces', 'links of them', links(theirs));
  });

  it('has the links between traces whose records share a batch', async () => {
    const before = new Set(sink.spans.map(({ traceId }) => traceId));
    await cli(['produce', TOPIC], Array.from({ length: 20 }, (_, at) => `{"key": "ann", "value": "${at}"}\n`).join(''));
    await cli(['consume', TOPIC, '--group', 'tracers', '--max', '20']);
    const sends = await until('all sends', 15, () => {
      const found = sink.spans.filter(({ name, traceId }) => name === `send ${TOPIC}` && !before.has(traceId));
      return found.length === 20 ? found : undefined;
    });
    let [spanCount, linkCount] = [0, 0];
    const traceIds = [...new Set(sends.map((send) => send.traceId))];
    for (const { ours, theirs } of await Promise.all(traceIds.map(settled))) {
      expect(theirs.map(told).sort(bySpanId)).toEqual(ours.map(received).sort(bySpanId));
      spanCount += theirs.length;
      linkCount += links(theirs);
    }
    expect(linkCount).toBeGreaterThan(0);
    figure('traces', 'spans of 20 records in Jaeger', spanCount);
    figure('traces', 'links of them', linkCount);
  });
});

/** What of a span has to be the same in both. */
interface Compared {
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly name: string;
  readonly service: string;
  readonly links: readonly string[];
  readonly topic: string | undefined;
  readonly error: boolean;
  readonly startMicros: number;
}

const linkText = ({ traceId, spanId }: { readonly traceId: string; readonly spanId: string }) => `${traceId}/${spanId}`;
const bySpanId = (one: Compared, other: Compared): number => (one.spanId < other.spanId ? -1 : 1);

function told({ spanId, parentSpanId, name, service, links, tags, startMicros }: JaegerSpan): Compared {
  const topic = tags['messaging.destination.name'];
  const error = tags['error'] === 'true';
  return { spanId, parentSpanId, name, service, links: links.map(linkText), topic, error, startMicros };
}

function received({ spanId, parentSpanId, name, service, links, ...span }: ReceivedSpan): Compared {
  const topic = span.attributes['messaging.destination.name'];
  const startMicros = Number(span.startNanos / 1000n);
  return { spanId, parentSpanId, name, service, links: links.map(linkText), topic, error: span.error, startMicros };
}
