import { status } from '@grpc/grpc-js';
import { PartitaError } from '@partita/domain';
import { BrokerServiceService, ClusterServiceService, GetTopicRequest, TopicServiceService } from '@partita/protocol';
import { MetricRegistry, NO_METRICS, STATUS_CODES } from '@partita/telemetry';
import type { InstrumentName } from '@partita/telemetry';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { callUnary } from '../client/call.ts';
import { openBidi, openServerStream } from '../client/client-stream.ts';
import { closeAll, pool, serve } from '../loopback.fixture.ts';
import { measureStream, measureUnary } from './measuring.ts';
import { bidi, serverStreaming, unary } from './methods.ts';

afterEach(closeAll);

const METHOD = 'partita.v1.TopicService/GetTopic';
const request = GetTopicRequest.fromPartial({ topic: 'flights' });
const soon = { timeout: 5000, interval: 5 };

function calls(metrics: MetricRegistry): Record<string, number> {
  const durations = metrics.collect().find(({ name }) => name === 'partita.rpc.server.duration');
  return Object.fromEntries(
    (durations?.buckets ?? []).map(({ labels, count }) => [`${labels['method']} ${labels['code']}`, count]),
  );
}

function value(metrics: MetricRegistry, name: InstrumentName): number | undefined {
  return metrics.collect().find((one) => one.name === name)?.numbers[0]?.value;
}

test('the codes of the table of instruments are those of gRPC, by number', () => {
  const names = Object.entries(status).filter(([, code]) => typeof code === 'number');
  expect(names.sort(([, one], [, other]) => Number(one) - Number(other)).map(([name]) => name)).toEqual(STATUS_CODES);
});

describe('a unary call', () => {
  test('is measured by method and by what became of it', async () => {
    const metrics = new MetricRegistry();
    let underWay: number | undefined;
    const { address } = await serve(
      TopicServiceService,
      {
        getTopic: unary(async ({ topic }) => {
          underWay = value(metrics, 'partita.rpc.server.calls');
          if (topic === 'none') throw new PartitaError('TOPIC_NOT_FOUND', 'no such topic');
          await new Promise((resolve) => setTimeout(resolve, 30));
          return { topic: undefined };
        }),
      },
      { metrics },
    );
    const client = pool().client(address);
    await callUnary(client, TopicServiceService.getTopic, request, { deadlineMs: 5000 });
    await callUnary(client, TopicServiceService.getTopic, request, { deadlineMs: 5000 });
    const refused = callUnary(
      client,
      TopicServiceService.getTopic,
      { ...request, topic: 'none' },
      { deadlineMs: 5000 },
    );
    await expect(refused).rejects.toMatchObject({ reason: 'TOPIC_NOT_FOUND' });
    expect(underWay).toBe(1);
    expect(calls(metrics)).toEqual({ [`${METHOD} OK`]: 2, [`${METHOD} NOT_FOUND`]: 1 });
    expect(value(metrics, 'partita.rpc.server.calls')).toBe(0);
    const [ok] = metrics.collect().find(({ name }) => name === 'partita.rpc.server.duration')?.buckets ?? [];
    expect(ok?.sum).toBeGreaterThan(0.05);
    expect(ok?.sum).toBeLessThan(5);
  });

  test('that its caller gave up counts as that', async () => {
    const metrics = new MetricRegistry();
    const waiting = unary(() => new Promise<never>(() => undefined));
    const { address } = await serve(TopicServiceService, { getTopic: waiting }, { metrics });
    const client = pool().client(address);
    const late = callUnary(client, TopicServiceService.getTopic, request, { deadlineMs: 50 });
    await expect(late).rejects.toMatchObject({ reason: 'TIMED_OUT' });
    await vi.waitFor(() => expect(value(metrics, 'partita.rpc.server.calls')).toBe(0), soon);
    const abort = new AbortController();
    const call = callUnary(client, TopicServiceService.getTopic, request, { deadlineMs: 5000, signal: abort.signal });
    await vi.waitFor(() => expect(value(metrics, 'partita.rpc.server.calls')).toBe(1), soon);
    abort.abort();
    await expect(call).rejects.toMatchObject({ reason: 'CANCELLED' });
    const expected = { [`${METHOD} DEADLINE_EXCEEDED`]: 1, [`${METHOD} CANCELLED`]: 1 };
    await vi.waitFor(() => expect(calls(metrics)).toEqual(expected), soon);
    expect(value(metrics, 'partita.rpc.server.calls')).toBe(0);
  });
});

function openStreams(metrics: MetricRegistry): string[] {
  const streams = metrics.collect().find(({ name }) => name === 'partita.rpc.server.streams')?.numbers ?? [];
  return streams.flatMap((series) => Array.from({ length: series.value }, () => series.labels['method'] ?? ''));
}

describe('a stream', () => {
  test('both ways is counted until its caller cancels it', async () => {
    const metrics = new MetricRegistry();
    const quiet = bidi(() => ({ onMessage: () => undefined }));
    const { address } = await serve(BrokerServiceService, { appendStream: quiet }, { metrics });
    const nothing = { onMessage: () => undefined, onClose: () => undefined };
    const streams = [1, 2].map(() => openBidi(pool().client(address), BrokerServiceService.appendStream, nothing));
    const method = 'partita.v1.BrokerService/AppendStream';
    await vi.waitFor(() => expect(openStreams(metrics)).toEqual([method, method]), soon);
    streams[0]?.cancel();
    await vi.waitFor(() => expect(openStreams(metrics)).toEqual([method]), soon);
    streams[1]?.cancel();
    await vi.waitFor(() => expect(openStreams(metrics)).toEqual([]), soon);
  });

  test('that was refused is no longer open', async () => {
    const metrics = new MetricRegistry();
    let during: string[] = [];
    const refusing = serverStreaming((_request, stream) => {
      during = openStreams(metrics);
      stream.end(new PartitaError('REBUILDING', 'not yet'));
    });
    const { address } = await serve(ClusterServiceService, { watchRoutes: refusing }, { metrics });
    const error = await new Promise((onClose) => {
      const handlers = { onMessage: () => undefined, onClose };
      openServerStream(pool().client(address), ClusterServiceService.watchRoutes, { topics: [] }, handlers);
    });
    expect(error).toMatchObject({ reason: 'REBUILDING' });
    expect(during).toEqual(['partita.v1.ClusterService/WatchRoutes']);
    await vi.waitFor(() => expect(openStreams(metrics)).toEqual([]), soon);
  });
});

test('without metrics a handler is the one that was given', () => {
  const handle = () => undefined;
  expect(measureUnary(NO_METRICS, '/a/B', handle)).toBe(handle);
  expect(measureStream(NO_METRICS, '/a/B', handle)).toBe(handle);
});
