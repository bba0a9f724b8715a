/** What one side of a row runs on: a cluster and a load generator that trace or measure as the side says. */
import { connect } from '@partita/client';
import { launchCluster } from '@partita/tool-dev/own-cluster.ts';
import type { OwnCluster } from '@partita/tool-dev/own-cluster.ts';
import { readReadyFile } from '@partita/tool-dev/ready-file.ts';
import type { ReadyFile } from '@partita/tool-dev/ready-file.ts';
import { LoadProcess } from '../child-process.ts';
import { cpuTimeMs } from '../cpu-time.ts';
import { BenchTopics } from '../topics.ts';
import type { TelemetrySide, TelemetryWork } from './rows.ts';
import { Scraper } from './scraper.ts';

/** Replicas of the topic, where there are brokers for them. */
const REPLICA_COUNT_MAX = 3;
/** How long spans wait before they are sent: shorter than a slice, so that the sending falls into the slice too. */
const SPANS_DELAY_MS = 500;

/** CPU time of one slice, milliseconds, and what was done for it. */
export interface Slice {
  readonly recordCount: number;
  readonly durationMs: number;
  readonly clientCpuMs: number;
  readonly servicesCpuMs: number;
  /** Of what takes the spans: not a part of the ratio, as it may be on another machine. */
  readonly consoleCpuMs: number;
}

export class TelemetryCluster {
  readonly #cluster: OwnCluster;
  readonly #ready: ReadyFile;
  readonly #load: LoadProcess;
  readonly #topic: string;
  readonly #scraper: Scraper | undefined;

  private constructor(
    cluster: OwnCluster,
    parts: {
      readonly ready: ReadyFile;
      readonly load: LoadProcess;
      readonly topic: string;
      readonly scraper: Scraper | undefined;
    },
  ) {
    this.#cluster = cluster;
    this.#ready = parts.ready;
    this.#load = parts.load;
    this.#topic = parts.topic;
    this.#scraper = parts.scraper;
  }

  /** `onCluster` is told of the cluster before it is ready: it must be stopped also when it does not become so. */
  static async start(
    side: TelemetrySide,
    brokerCount: number,
    onCluster: (cluster: OwnCluster) => void,
  ): Promise<TelemetryCluster> {
    const { traces, metrics } = side;
    const env = traces ? { ...side.env, OTEL_BSP_SCHEDULE_DELAY: String(SPANS_DELAY_MS) } : side.env;
    const cluster = launchCluster({ purpose: 'bench', brokerCount, traces, metrics, env });
    onCluster(cluster);
    await cluster.untilReady();
    const { servers, home } = cluster;
    const ready = readReadyFile(home);
    const topic = await createTopic(servers, Math.min(brokerCount, REPLICA_COUNT_MAX));
    const load = await LoadProcess.start({ kind: 'telemetry', servers }, { ...env, ...clientEnvironment(side, ready) });
    const scraper = metrics ? Scraper.start(Object.values(ready.metrics ?? {})) : undefined;
    return new TelemetryCluster(cluster, { ready, load, topic, scraper });
  }

  async run(seconds: number, telemetry: TelemetryWork): Promise<Slice> {
    const before = this.#cpu();
    const { recordCount, durationMs } = await this.#load.run({
      load: 'telemetry',
      topic: this.#topic,
      seconds,
      telemetry,
    });
    const after = this.#cpu();
    return {
      ...{ recordCount, durationMs },
      clientCpuMs: after.client - before.client,
      servicesCpuMs: after.services - before.services,
      consoleCpuMs: after.console - before.console,
    };
  }

  /** Also tells what went wrong with the scrapes meanwhile: figures without them would be too good. */
  async stop(): Promise<void> {
    const scrapes = this.#scraper?.stop();
    this.#load.stop();
    await this.#cluster.stop();
    this.#cluster.removeHome();
    await scrapes;
  }

  #cpu() {
    const { coordinator, broker, gateway, consumerGroup, console = [] } = this.#ready.pids;
    return {
      client: cpuTimeMs([this.#load.pid]),
      services: cpuTimeMs([...coordinator, ...broker, ...gateway, ...consumerGroup]),
      console: cpuTimeMs(console),
    };
  }
}

/** Clients of a side on which nobody asks for a trace do not trace. */
function clientEnvironment(
  { traces, env }: TelemetrySide,
  { traces: address = '' }: ReadyFile,
): Record<string, string> {
  const asks = traces && env['OTEL_TRACES_SAMPLER'] !== 'parentbased_always_off';
  return asks ? { OTEL_EXPORTER_OTLP_ENDPOINT: `http://${address}` } : {};
}

async function createTopic(servers: readonly string[], replicationFactor: number): Promise<string> {
  const client = await connect({ servers, clientId: 'partita-bench' });
  try {
    return await new BenchTopics(client.admin).create({ replicationFactor, flush: 'fsync' });
  } finally {
    await client.close();
  }
}
