import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ListTracesRequest, TraceOrder, TraceServiceService } from '@partita/protocol';
import { callUnary, ChannelPool } from '@partita/rpc/client';
import { createLogger } from '@partita/runtime';
import type { RunningService } from '@partita/runtime';
import { MetricRegistry } from '@partita/telemetry';
import { metricValue } from '@partita/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startConsole } from './console.ts';
import { OtlpTraceService } from './otlp/export-service.ts';
import { encodeExport } from './testing/otlp-encode.ts';
import type { SentSpan } from './testing/otlp-encode.ts';

const ID = (first: string): string => first.padEnd(32, '0').replace(/^0+$/, '1');
const MS = 1_000_000n;
const FIRST_PAGE = ListTracesRequest.fromPartial({});
const logger = createLogger({ service: 'test', instance: '1', level: 'fatal' });

let folder: string;
let pool: ChannelPool;
let running: RunningService;
let metrics: MetricRegistry;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'partita-console-'));
  pool = new ChannelPool();
  running = await start();
});
afterEach(async () => {
  pool.close();
  await running.close();
  rmSync(folder, { recursive: true });
});

function start(): Promise<RunningService> {
  const config = {
    listen: { host: '127.0.0.1', port: 0 },
    tracesDir: folder,
    insecure: false,
    logLevel: 'info' as const,
    metricsListen: undefined,
    metricsHosts: [],
  };
  metrics = new MetricRegistry();
  return startConsole({ config, logger, metrics });
}

const client = (): ReturnType<ChannelPool['client']> => pool.client(String(running.ready['address']));
const send = (service: string, ...spans: SentSpan[]) =>
  callUnary(client(), OtlpTraceService.export, { bytes: encodeExport(service, spans), spans: [] });
const list = (more: Partial<ListTracesRequest> = {}) =>
  callUnary(client(), TraceServiceService.listTraces, { ...FIRST_PAGE, ...more });
const get = (traceId: string) => callUnary(client(), TraceServiceService.getTrace, { traceId });

function span(traceId: string, startMs: bigint, more: Partial<SentSpan> = {}): SentSpan {
  return { traceId, spanId: 'ab'.repeat(8), startNanos: startMs * MS, endNanos: (startMs + 5n) * MS, ...more };
}

describe('a console', () => {
  it('shows a trace that two services sent', async () => {
    await send('partita-cli', span(ID('aa'), 1000n, { name: 'send', kind: 4 }));
    await send('partita-broker', {
      ...span(ID('aa'), 1001n, { name: 'append', error: '', attributes: { offset: 7n } }),
      ...{ spanId: 'cd'.repeat(8), parentSpanId: 'ab'.repeat(8), links: [[ID('bb'), 'ef'.repeat(8)]] as const },
    });
    const { summary, spans } = await get(ID('aa'));
    expect(summary).toEqual({
      ...{ traceId: ID('aa'), rootName: 'send', spanCount: 2, error: true },
      startTime: { seconds: 1n, nanos: 0 },
      duration: { seconds: 0n, nanos: 6_000_000 },
      ...{ serviceNames: ['partita-cli', 'partita-broker'], droppedSpanCount: 0n },
    });
    expect(spans.map(({ name, kind, serviceName }) => [name, kind, serviceName])).toEqual([
      ['send', 'producer', 'partita-cli'],
      ['append', 'internal', 'partita-broker'],
    ]);
    expect(spans[1]).toMatchObject({
      ...{ parentSpanId: 'ab'.repeat(8), error: 'error', links: [`${ID('bb')}-${'ef'.repeat(8)}`] },
      attributes: [{ name: 'offset', value: '7' }],
    });
  });

  it('shows events, the instance, and what was left out', async () => {
    const made = span(ID('aa'), 1000n, {
      events: [{ name: 'retry', nanos: 1001n * MS, attributes: { reason: 'NOT_LEADER' } }],
      dropped: { attributes: 1, events: 2, links: 3 },
    });
    const request = { bytes: encodeExport('partita-broker', [made], '2'), spans: [] };
    await callUnary(client(), OtlpTraceService.export, request);
    expect((await get(ID('aa'))).spans).toMatchObject([
      {
        ...{ serviceInstance: '2', droppedAttributeCount: 1, droppedEventCount: 2, droppedLinkCount: 3 },
        events: [
          {
            ...{ name: 'retry', time: { seconds: 1n, nanos: 1_000_000 } },
            attributes: [{ name: 'reason', value: 'NOT_LEADER' }],
          },
        ],
      },
    ]);
  });

  it('finds a trace by the beginning of its id, unless several begin so', async () => {
    await send('s', span(ID('abcd1'), 1n), span(ID('abcd2'), 2n));
    expect((await get('ABCD1')).summary?.traceId).toBe(ID('abcd1'));
    await expect(get('abcd')).rejects.toMatchObject({ reason: 'INVALID_REQUEST' });
    await expect(get('abc')).rejects.toMatchObject({ reason: 'INVALID_REQUEST' });
    await expect(get('')).rejects.toMatchObject({ reason: 'INVALID_REQUEST' });
    await expect(get('ffff')).rejects.toMatchObject({ reason: 'TRACE_NOT_FOUND' });
  });

  it('lists pages that miss nothing and repeat nothing, though traces come meanwhile', async () => {
    for (let index = 1; index <= 7; index += 1) await send('s', span(ID(`a${index}`), BigInt(index)));
    const seen: string[] = [];
    for (let pageToken = ''; ;) {
      const page = await list({ pageSize: 3, pageToken });
      seen.push(...page.traces.map(({ traceId }) => traceId));
      await send('s', span(ID('b1'), 1000n));
      if (page.nextPageToken === '') break;
      pageToken = page.nextPageToken;
    }
    expect(seen).toEqual(['a7', 'a6', 'a5', 'a4', 'a3', 'a2', 'a1'].map(ID));
    await expect(list({ pageToken: 'x' })).rejects.toMatchObject({ reason: 'INVALID_PAGE_TOKEN' });
    await expect(list({ pageSize: -1 })).rejects.toMatchObject({ reason: 'INVALID_REQUEST' });
  });

  it('lists the longest first when it is asked to, page by page', async () => {
    const lengths = [5n, 40n, 40n, 7n, 300n];
    const sent = lengths.map((ms, index) => span(ID(`a${index + 1}`), 100n, { endNanos: (100n + ms) * MS }));
    await send('s', ...sent);
    const seen: string[] = [];
    for (let pageToken = ''; ;) {
      const page = await list({ pageSize: 2, pageToken, order: TraceOrder.TRACE_ORDER_SLOWEST });
      seen.push(...page.traces.map(({ traceId }) => traceId));
      if (page.nextPageToken === '') break;
      pageToken = page.nextPageToken;
    }
    expect(seen).toEqual(['a5', 'a3', 'a2', 'a4', 'a1'].map(ID));
    await expect(list({ order: 7 as TraceOrder })).rejects.toMatchObject({ reason: 'INVALID_REQUEST' });
  });

  it('lists what fits: a service, a topic, a least duration, errors, when it began', async () => {
    await send('partita-cli', span(ID('a1'), 1n, { attributes: { 'messaging.destination.name': 'orders' } }));
    await send('partita-broker', span(ID('a2'), 2n, { endNanos: 500n * MS }), span(ID('a3'), 3n, { error: 'no' }));
    const idsOf = async (more: Parameters<typeof list>[0]) => (await list(more)).traces.map(({ traceId }) => traceId);
    expect(await idsOf({ serviceName: 'partita-broker' })).toEqual([ID('a3'), ID('a2')]);
    expect(await idsOf({ minDuration: { seconds: 0n, nanos: 400_000_000 } })).toEqual([ID('a2')]);
    expect(await idsOf({ errorsOnly: true })).toEqual([ID('a3')]);
    expect(await idsOf({ topic: 'orders' })).toEqual([ID('a1')]);
    expect(await idsOf({ topic: 'order' })).toEqual([]);
    expect(await idsOf({ begunFrom: { seconds: 0n, nanos: 2_000_000 } })).toEqual([ID('a3'), ID('a2')]);
    expect(await idsOf({ begunBefore: { seconds: 0n, nanos: 2_000_000 } })).toEqual([ID('a1')]);
  });

  it('answers with one message though a trace is as large as it may be', async () => {
    const many = Object.fromEntries(Array.from({ length: 64 }, (_, index) => [`${index}`, 'v']));
    const events = Array.from({ length: 16 }, (_, index) => ({
      name: `${index}`,
      nanos: 2n ** 62n,
      attributes: { a: 'b' },
    }));
    for (let from = 0; from < 4000; from += 500) {
      const spans = Array.from({ length: 500 }, (_, index) =>
        span(ID('aa'), 1n, {
          ...{ spanId: String(from + index + 1).padStart(16, '0'), parentSpanId: 'ab'.repeat(8), kind: 4 },
          ...{ attributes: many, events, dropped: { attributes: 2 ** 31, events: 2 ** 31, links: 2 ** 31 } },
        }),
      );
      await send('partita-broker', ...spans);
    }
    const { summary, spans } = await get(ID('aa'));
    expect(summary?.spanCount).toBe(spans.length);
    expect(spans.length).toBeGreaterThan(1000);
    expect(spans.length + Number(summary?.droppedSpanCount)).toBe(4000);
  });

  it('still knows after a restart what it was sent', async () => {
    await send('s', span(ID('aa'), 1n, { name: 'kept' }));
    await running.close();
    running = await start();
    expect((await get(ID('aa'))).summary?.rootName).toBe('kept');
  });

  it('refuses bytes that are no spans, and goes on', async () => {
    const broken = callUnary(client(), OtlpTraceService.export, { bytes: Buffer.from([10, 200, 1]), spans: [] });
    await expect(broken).rejects.toMatchObject({ reason: 'MALFORMED_MESSAGE' });
    await send('s', span(ID('aa'), 1n));
    expect((await list()).traces.length).toBe(1);
  });
});

describe('its metrics', () => {
  const spans = (outcome: string) => metricValue(metrics, 'partita.console.spans', { outcome });

  it('count spans that came, and traces that are kept; those of earlier starts only as traces', async () => {
    await send('partita-cli', span(ID('aa'), 1000n), span(ID('bb'), 1000n));
    expect([spans('kept'), spans('dropped')]).toEqual([2, 0]);
    expect(metricValue(metrics, 'partita.console.traces')).toBe(2);
    await running.close();
    running = await start();
    expect(spans('kept')).toBe(0);
    expect(metricValue(metrics, 'partita.console.traces')).toBe(2);
  });
});
