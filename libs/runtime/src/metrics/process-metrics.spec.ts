import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { NO_METRICS } from '@partita/telemetry';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createLogger } from '../logger.ts';
import { startMetrics } from './process-metrics.ts';
import type { ProcessMetrics } from './process-metrics.ts';

const logger = createLogger({ service: 'test', instance: '1', pretty: false, output: { write: () => undefined } });
const LOADED_PACKAGES = fileURLToPath(new URL('../testdata/loaded-packages.ts', import.meta.url));
const LOOPBACK = { host: '127.0.0.1', port: 0 };
const stops: (() => unknown)[] = [];

async function start(env: Record<string, string>, listens: boolean): Promise<ProcessMetrics> {
  const config = { metricsListen: listens ? LOOPBACK : undefined, metricsHosts: [] };
  const identity = { service: 'broker', version: '1.2.3', instance: 'b1', env, logger };
  const metrics = await startMetrics({ ...identity, config });
  stops.push(() => metrics.shutdown());
  return metrics;
}

async function scrape(metrics: ProcessMetrics): Promise<string> {
  const { metricsAddress } = await metrics.open();
  const response = await fetch(`http://${String(metricsAddress)}/metrics`);
  expect(response.status).toBe(200);
  return response.text();
}

/** A collector that keeps the bytes of every export. */
async function startReceiver(): Promise<{ endpoint: string; exports: Buffer[] }> {
  const exports: Buffer[] = [];
  const server = new Server();
  const pass = (bytes: Buffer) => bytes;
  const method = {
    path: '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export',
    requestStream: false,
    responseStream: false,
    requestSerialize: pass,
    requestDeserialize: pass,
    responseSerialize: pass,
    responseDeserialize: pass,
  } as const;
  server.addService(
    { export: method },
    {
      export: (call: { request: Buffer }, reply: (error: null, response: Buffer) => void) => {
        exports.push(call.request);
        reply(null, Buffer.alloc(0));
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  stops.push(() => server.forceShutdown());
  return { endpoint: `http://127.0.0.1:${port}`, exports };
}

afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

describe('metrics of a process', () => {
  it.each([
    [{}],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://127.0.0.1:1' }],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1', OTEL_METRICS_EXPORTER: 'none' }],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1', OTEL_SDK_DISABLED: 'true' }],
  ])('are off with %j', async (env) => {
    const { metrics, isPushed, open } = await start(env, false);
    expect(metrics).toBe(NO_METRICS);
    expect(isPushed).toBe(false);
    expect(await open()).toEqual({});
  });

  it('are given to Prometheus by their names, units and labels', async () => {
    const process = await start({}, true);
    const { metrics } = process;
    const appended = metrics.histogram('partita.broker.append.duration').of({ acks: 'all' });
    for (const seconds of [0.0001, 0.0002, 0.3, 20]) appended.record(seconds);
    metrics.counter('partita.broker.append.records').of({ topic: 'a "b"\\c' }).add(7);
    metrics.observe('partita.broker.queue.bytes', (report) => report(5, { queue: 'append' }));
    logger.warn('one line');
    const lines = (await scrape(process)).split('\n');
    expect(lines).toEqual(
      expect.arrayContaining([
        '# TYPE partita_broker_append_duration_seconds histogram',
        'partita_broker_append_duration_seconds_count{acks="all"} 4',
        'partita_broker_append_duration_seconds_sum{acks="all"} 20.3003',
        'partita_broker_append_duration_seconds_bucket{acks="all",le="0.0001"} 1',
        'partita_broker_append_duration_seconds_bucket{acks="all",le="0.00025"} 2',
        'partita_broker_append_duration_seconds_bucket{acks="all",le="0.5"} 3',
        'partita_broker_append_duration_seconds_bucket{acks="all",le="10"} 3',
        'partita_broker_append_duration_seconds_bucket{acks="all",le="+Inf"} 4',
        'partita_broker_append_records_total{topic="a \\"b\\"\\\\c"} 7',
        'partita_broker_queue_bytes{queue="append"} 5',
        'partita_build_info{service="broker",version="1.2.3"} 1',
        '# TYPE process_cpu_time_seconds_total counter',
        `partita_log_errors_total{level="warn"} ${logger.lineCount('warn')}`,
        'target_info{service_name="partita-broker",service_version="1.2.3",service_instance_id="b1"} 1',
      ]),
    );
    expect(lines.filter((line) => line.startsWith('# UNIT'))).toEqual([]);
  });

  it('tell how the run time does', async () => {
    const process = await start({}, true);
    await new Promise((resolve) => setTimeout(resolve, 600));
    const blockedUntilMs = performance.now() + 120;
    while (performance.now() < blockedUntilMs);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const text = await scrape(process);
    const value = (name: string): number => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
    expect(value('nodejs_eventloop_delay_max_seconds')).toBeGreaterThan(0.08);
    expect(value('nodejs_eventloop_delay_max_seconds')).toBeLessThan(2);
    expect(value('nodejs_eventloop_delay_p50_seconds')).toBeLessThan(0.08);
    // All turns since the start, one of them late by what was blocked.
    const turnCount = value('partita_eventloop_delay_seconds_count');
    expect(turnCount).toBeGreaterThan(10);
    expect(value('partita_eventloop_delay_seconds_bucket\\{le="0.05"\\}')).toBeLessThan(turnCount);
    expect(value('partita_eventloop_delay_seconds_bucket\\{le="0.05"\\}')).toBeGreaterThan(turnCount / 2);
    expect(value('nodejs_eventloop_utilization_ratio')).toBeGreaterThan(0.05);
    expect(value('nodejs_eventloop_utilization_ratio')).toBeLessThanOrEqual(1);
    expect(value('v8js_memory_heap_used_bytes')).toBeGreaterThan(1e6);
    expect(value('v8js_memory_heap_limit_bytes')).toBeGreaterThan(value('v8js_memory_heap_used_bytes'));
    expect(value('process_memory_usage_bytes')).toBeGreaterThan(1e6);
    expect(value('process_unix_file_descriptor_count')).toBeGreaterThan(5);
    expect(value('process_uptime_seconds')).toBeGreaterThan(0.5);
    expect(value('process_cpu_time_seconds_total\\{cpu_mode="user"\\}')).toBeGreaterThan(0.1);
  });

  it('are pushed over OTLP at the interval of the environment, with the resource, and once more at the end', async () => {
    const receiver = await startReceiver();
    const env = {
      OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: receiver.endpoint,
      OTEL_METRIC_EXPORT_INTERVAL: '100',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.zone=north%20east',
    };
    const process = await start(env, false);
    expect(process.isPushed).toBe(true);
    process.metrics.counter('partita.broker.append.records').of({ topic: 'orders' }).add(1);
    process.metrics.histogram('partita.broker.commit.duration').of().record(0.1);
    await vi.waitFor(() => expect(receiver.exports.length).toBeGreaterThan(1), { timeout: 5000, interval: 50 });
    const pushed = receiver.exports.length;
    await process.shutdown();
    stops.length = 1;
    expect(receiver.exports.length).toBeGreaterThan(pushed);
    const bytes = receiver.exports.at(-1)?.toString('latin1') ?? '';
    for (const text of [
      'partita.broker.append.records',
      'orders',
      'partita.broker.commit.duration',
      'partita-broker',
      'north east',
    ]) {
      expect(bytes).toContain(text);
    }
  });

  it.each([
    ['off', []],
    ['listening', ['@opentelemetry/exporter-prometheus', '@opentelemetry/sdk-metrics']],
  ])('load nothing of the SDK before it is needed: %s', (mode, needed) => {
    const output = execFileSync(process.execPath, [LOADED_PACKAGES, mode], { encoding: 'utf8' });
    const { before, after } = JSON.parse(output) as Record<'before' | 'after', string[]>;
    expect(before).toEqual(['@opentelemetry/api']);
    expect(after).toEqual(expect.arrayContaining(['@opentelemetry/api', ...needed]));
    if (needed.length === 0) expect(after).toEqual(before);
  });
});
