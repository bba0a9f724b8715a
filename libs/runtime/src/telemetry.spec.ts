import { Server, ServerCredentials } from '@grpc/grpc-js';
import { trace } from '@opentelemetry/api';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createLogger } from './logger.ts';
import { startTelemetry } from './telemetry.ts';
import type { TelemetryOptions } from './telemetry.ts';

const lines: string[] = [];
const logger = createLogger({
  service: 'test',
  instance: '1',
  pretty: false,
  output: { write: (line) => void lines.push(line) },
});

function options(env: TelemetryOptions['env']): TelemetryOptions {
  return { service: 'broker', version: '1.2.3', instance: 'b1', env, logger };
}

/** An OTLP receiver: a real gRPC server that keeps the bytes of every export. */
async function startReceiver(): Promise<{ endpoint: string; exports: Buffer[]; stop(): void }> {
  const exports: Buffer[] = [];
  const server = new Server();
  const service = {
    export: {
      path: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
      requestStream: false,
      responseStream: false,
      requestSerialize: (bytes: Buffer) => bytes,
      requestDeserialize: (bytes: Buffer) => bytes,
      responseSerialize: (bytes: Buffer) => bytes,
      responseDeserialize: (bytes: Buffer) => bytes,
    },
  } as const;
  server.addService(service, {
    export: (call: { request: Buffer }, reply: (error: null, response: Buffer) => void) => {
      exports.push(call.request);
      reply(null, Buffer.alloc(0));
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return { endpoint: `http://127.0.0.1:${port}`, exports, stop: () => server.forceShutdown() };
}

afterEach(() => {
  trace.disable();
  vi.unstubAllEnvs();
});

describe('telemetry', () => {
  it.each([
    [{}],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: '' }],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1', OTEL_SDK_DISABLED: 'true' }],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1', OTEL_TRACES_SAMPLER: 'always_off' }],
  ])('is off with %j', async (env) => {
    const telemetry = await startTelemetry(options(env));
    expect(telemetry.tracing).toBe('off');
    await telemetry.shutdown();
    expect(trace.getTracer('t').startSpan('s').isRecording()).toBe(false);
  });

  it('exports spans with the resource to the endpoint before it stops', async () => {
    const receiver = await startReceiver();
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint,
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.zone=north%20east,broken',
    };
    const telemetry = await startTelemetry(options(env));
    expect(telemetry.tracing).toBe('roots');
    trace.getTracer('t').startSpan('append orders').end();
    await telemetry.shutdown();
    receiver.stop();
    const bytes = Buffer.concat(receiver.exports).toString('latin1');
    for (const text of ['append orders', 'partita-broker', '1.2.3', 'service.instance.id', 'b1', 'north east']) {
      expect(bytes).toContain(text);
    }
    // The command line may hold a password.
    expect(bytes).not.toContain('process.command');
  });

  it('honours the sampler of the environment', async () => {
    const receiver = await startReceiver();
    vi.stubEnv('OTEL_TRACES_SAMPLER', 'parentbased_always_off');
    const sampler = 'parentbased_always_off';
    const env = { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: receiver.endpoint, OTEL_TRACES_SAMPLER: sampler };
    const telemetry = await startTelemetry(options(env));
    expect(telemetry.tracing).toBe('follow');
    expect(trace.getTracer('t').startSpan('unsampled').isRecording()).toBe(false);
    await telemetry.shutdown();
    receiver.stop();
    expect(receiver.exports).toEqual([]);
  });

  it('traces records and not calls when it is told where to, whatever the sampler of the environment', async () => {
    const receiver = await startReceiver();
    vi.stubEnv('OTEL_TRACES_SAMPLER', 'always_off');
    const telemetry = await startTelemetry({ ...options({}), records: { endpoint: receiver.endpoint, roots: true } });
    const tracer = trace.getTracer('t');
    tracer.startSpan('send orders').end();
    tracer.startSpan('partita.v1.Call', { attributes: { 'rpc.system': 'grpc' } }).end();
    await telemetry.shutdown();
    receiver.stop();
    const bytes = Buffer.concat(receiver.exports).toString('latin1');
    expect(bytes).toContain('send orders');
    expect(bytes).not.toContain('partita.v1.Call');
  });

  it('takes the service name of the environment over its own', async () => {
    const receiver = await startReceiver();
    const env = { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: receiver.endpoint, OTEL_SERVICE_NAME: 'my-log' };
    const telemetry = await startTelemetry(options(env));
    trace.getTracer('t').startSpan('s').end();
    await telemetry.shutdown();
    receiver.stop();
    const bytes = Buffer.concat(receiver.exports).toString('latin1');
    expect(bytes).toContain('my-log');
    expect(bytes).not.toContain('partita-broker');
  });

  it('stops in time and without an error when the collector is down, and says so in the log', async () => {
    const receiver = await startReceiver();
    receiver.stop();
    const telemetry = await startTelemetry(options({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint }));
    trace.getTracer('t').startSpan('lost').end();
    const startMs = performance.now();
    await telemetry.shutdown();
    expect(performance.now() - startMs).toBeLessThan(4000);
    expect(lines.join('')).toContain('the last traces were not exported');
  });

  it('stops in time and without an error when the collector of metrics is down', async () => {
    const receiver = await startReceiver();
    receiver.stop();
    const env = { OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: receiver.endpoint };
    const metrics = { metricsListen: undefined, metricsHosts: [] };
    const telemetry = await startTelemetry({ ...options(env), metrics });
    expect(telemetry.tracing).toBe('off');
    expect(telemetry.metrics.isOn).toBe(true);
    const startMs = performance.now();
    await telemetry.shutdown();
    expect(performance.now() - startMs).toBeLessThan(4000);
    expect(lines.join('')).toMatch(/the last metrics were not exported|telemetry: .*metrics/);
  });

  it('sends no metrics of a process that has none', async () => {
    const telemetry = await startTelemetry(options({ OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: 'http://127.0.0.1:1' }));
    expect(telemetry.metrics.isOn).toBe(false);
    await telemetry.shutdown();
  });
});
