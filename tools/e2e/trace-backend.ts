/**
 * A real OpenTelemetry Collector in front of a real Jaeger: by the Collector's configuration that we ship, with other ports,
 * and with one exporter more, so that a receiver of ours gets the same spans. Commands `otelcol` and `jaeger` on the PATH.
 */
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freeLoopbackPort } from '@partita/tool-dev/redis-server.ts';
import { ROOT } from './root.ts';
import { until, within } from './until.ts';

const START_SECONDS_MAX = 30;
const STOP_SECONDS_MAX = 10;

/** Why it cannot be started, or undefined. */
export function whyNoTraceBackend(): string | undefined {
  const missing = ['otelcol', 'jaeger'].filter((command) => spawnSync(command, ['--version']).error !== undefined);
  return missing.length === 0 ? undefined : `${missing.join(' and ')} not on the PATH`;
}

/** A span as Jaeger tells it. */
export interface JaegerSpan {
  readonly spanId: string;
  /** Empty = a root. */
  readonly parentSpanId: string;
  readonly name: string;
  readonly service: string;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly tags: Readonly<Record<string, string>>;
  readonly startMicros: number;
  readonly durationMicros: number;
}

export class TraceBackend {
  /** For OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: the Collector's. */
  readonly endpoint: string;
  readonly #children: readonly ChildProcess[];
  readonly #folder: string;
  readonly #query: string;
  #output = '';

  private constructor(children: readonly ChildProcess[], folder: string, addresses: Addresses) {
    this.#children = children;
    this.#folder = folder;
    this.endpoint = `http://${addresses.collector}`;
    this.#query = `http://${addresses.query}`;
    for (const { stderr } of children) stderr?.setEncoding('utf8').on('data', (text: string) => (this.#output += text));
  }

  /** `alsoTo`: an OTLP receiver, `http://host:port`. */
  static async start(alsoTo: string): Promise<TraceBackend> {
    const folder = mkdtempSync(join(tmpdir(), 'partita-jaeger-'));
    const address = async (): Promise<string> => `127.0.0.1:${await freeLoopbackPort()}`;
    const addresses = { collector: await address(), jaeger: await address(), query: await address() };
    const shipped = readFileSync(join(ROOT, 'docs/monitoring/collector.yml'), 'utf8');
    const files = {
      'collector.yml': shipped
        .replace('127.0.0.1:4317', addresses.collector)
        .replace('127.0.0.1:14317', addresses.jaeger),
      'second.yml': secondExporter(alsoTo.replace('http://', '')),
      'jaeger.yml': jaegerConfig(addresses),
    };
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
    const start = (command: string, ...configs: string[]): ChildProcess => {
      const args = configs.flatMap((config) => ['--config', join(folder, config)]);
      return spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    };
    const children = [start('jaeger', 'jaeger.yml'), start('otelcol', 'collector.yml', 'second.yml')];
    const backend = new TraceBackend(children, folder, addresses);
    try {
      await until('Jaeger and the Collector to serve', START_SECONDS_MAX, async () => {
        await fetch(`${backend.#query}/api/services`);
        return backend.#output.includes(
          'Everything is ready. Begin running and processing data.',
          backend.#readyFrom(),
        );
      });
    } catch (error) {
      await backend.stop();
      throw new Error(`Jaeger behind a Collector did not start:\n${backend.#output}`, { cause: error });
    }
    return backend;
  }

  /** The spans of a trace that Jaeger has so far; none for a trace that it does not know. */
  async trace(traceId: string): Promise<JaegerSpan[]> {
    const response = await fetch(`${this.#query}/api/traces/${traceId}`);
    if (response.status === 404) return [];
    const { data } = (await response.json()) as { readonly data: readonly RawTrace[] | null };
    return (data ?? []).flatMap(({ spans, processes }) =>
      spans.map((span) => spanOf(span, processes[span.processID]?.serviceName ?? '')),
    );
  }

  async stop(): Promise<void> {
    for (const child of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = new Promise((resolve) => child.once('close', resolve));
      child.kill('SIGKILL');
      await within('the end of a trace backend', STOP_SECONDS_MAX, ended);
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Behind the line of the first of the two that was ready. */
  #readyFrom(): number {
    return this.#output.indexOf('Everything is ready.') + 1;
  }
}

interface Addresses {
  readonly collector: string;
  readonly jaeger: string;
  readonly query: string;
}

/** Merged over the shipped configuration: lists are replaced, so both exporters are named. */
function secondExporter(address: string): string {
  return `exporters:
  otlp_grpc/second:
    endpoint: ${address}
    tls: { insecure: true }
service:
  pipelines:
    traces:
      exporters: [otlp_grpc/jaeger, otlp_grpc/second]
`;
}

/** Jaeger's own all-in-one, less what needs fixed ports. */
function jaegerConfig({ jaeger, query }: Addresses): string {
  return `service:
  extensions: [jaeger_storage, jaeger_query]
  pipelines:
    traces: { receivers: [otlp], processors: [batch], exporters: [jaeger_storage_exporter] }
  telemetry: { metrics: { level: none } }
extensions:
  jaeger_storage: { backends: { memory: { memory: { max_traces: 10000 } } } }
  jaeger_query:
    storage: { traces: memory }
    http: { endpoint: '${query}' }
    grpc: { endpoint: '127.0.0.1:0' }
receivers:
  otlp: { protocols: { grpc: { endpoint: '${jaeger}' } } }
processors:
  batch: {}
exporters:
  jaeger_storage_exporter: { trace_storage: memory }
`;
}

interface RawReference {
  readonly refType: string;
  readonly traceID: string;
  readonly spanID: string;
}

interface RawSpan {
  readonly traceID: string;
  readonly spanID: string;
  readonly operationName: string;
  readonly references: readonly RawReference[];
  readonly startTime: number;
  readonly duration: number;
  readonly tags: readonly { readonly key: string; readonly value: unknown }[];
  readonly processID: string;
}

interface RawTrace {
  readonly spans: readonly RawSpan[];
  readonly processes: Readonly<Record<string, { readonly serviceName: string } | undefined>>;
}

function spanOf(span: RawSpan, service: string): JaegerSpan {
  const parent = span.references.find(({ refType }) => refType === 'CHILD_OF');
  return {
    spanId: span.spanID,
    parentSpanId: parent?.spanID ?? '',
    name: span.operationName,
    service,
    links: span.references
      .filter((reference) => reference !== parent)
      .map(({ traceID, spanID }) => ({ traceId: traceID, spanId: spanID })),
    tags: Object.fromEntries(span.tags.map(({ key, value }) => [key, String(value)])),
    startMicros: span.startTime,
    durationMicros: span.duration,
  };
}
