/** Starts a cluster on this machine, waits until it serves, keeps it running, stops it in order. */
import { setTimeout as sleep } from 'node:timers/promises';
import { BrokerState, ClusterServiceService, GroupServiceService } from '@partita/protocol';
import { callUnary, ChannelPool } from '@partita/rpc/client';
import { clearHome, clusterIdOf, releaseHome, takeHome } from './home.ts';
import { PortBook } from './ports.ts';
import { onLoopback } from './placement.ts';
import type { Placer } from './placement.ts';
import { removeReadyFile, writeReadyFile } from './ready-file.ts';
import type { ReadyFile } from './ready-file.ts';
import { removePrometheusTargets, writePrometheusTargets } from './prometheus-targets.ts';
import { provideRedis } from './redis.ts';
import type { RedisHandle, RedisSource } from './redis.ts';
import { planCluster } from './services.ts';
import type { PlannedCluster, PlannedService } from './services.ts';
import { SupervisedProcess } from './supervise.ts';
import { SupervisedRedis } from './supervised-redis.ts';

const READY_SECONDS_MAX = 60;
const POLL_MS = 50;
const STOP_GRACE_MS = 32_000;

export interface ClusterOptions {
  readonly home: string;
  readonly brokerCount: number;
  readonly coordinatorCount: number;
  readonly gatewayCount: number;
  readonly consumerGroupCount: number;
  readonly redisSource: RedisSource | undefined;
  readonly redisUrl: string | undefined;
  readonly fresh: boolean;
  readonly restart: boolean;
  /** Longest wait before a process that dies again and again is started. */
  readonly restartWaitMsMax: number;
  readonly logLevel: string;
  /** Path of a configuration file for the brokers. */
  readonly brokerConfig: string | undefined;
  /** True = traces are kept in `<home>/traces`, by a console. */
  readonly traces: boolean;
  /** True = each service has an endpoint for Prometheus. */
  readonly metrics: boolean;
  /** Where each process runs. Default: on loopback. */
  readonly place?: Placer;
  /** Lines for people, on what happens. */
  readonly log: (line: string) => void;
  /** Ends the start: what was started is stopped, and `start` rejects. */
  readonly signal: AbortSignal;
}

export class LocalCluster {
  readonly #options: ClusterOptions;
  readonly #redis: SupervisedRedis;
  readonly #plan: PlannedCluster;
  readonly #processes: readonly SupervisedProcess[];
  /** Why the last look found that the cluster does not serve yet. */
  #notServing = 'nothing was asked yet';
  #written = false;
  #stopping = false;

  private constructor(options: ClusterOptions, redis: RedisHandle, plan: PlannedCluster) {
    this.#options = options;
    this.#redis = new SupervisedRedis(redis, {
      restart: options.restart,
      onReady: () => this.#writeReadyFile(),
      onDeath: (text, lines) => this.#reportDeath(text, lines),
    });
    this.#plan = plan;
    this.#processes = servicesOf(plan).map(
      (spec) =>
        new SupervisedProcess(spec, {
          logFolder: `${options.home}/logs`,
          restart: options.restart,
          restartWaitMsMax: options.restartWaitMsMax,
          onReady: () => this.#writeReadyFile(),
          onDeath: (text, lines) => this.#reportDeath(text, lines),
        }),
    );
  }

  /** Resolves when the cluster serves; stops what was started when that does not come about. */
  static async start(options: ClusterOptions): Promise<LocalCluster> {
    takeHome(options.home);
    let cluster: LocalCluster | undefined;
    let redis: RedisHandle | undefined;
    try {
      removeReadyFile(options.home);
      removePrometheusTargets(options.home);
      if (options.fresh) clearHome(options.home);
      redis = await provideRedis({
        home: options.home,
        source: options.redisSource,
        redisUrl: options.redisUrl,
        log: options.log,
      });
      if (redis.kind === 'embedded' && options.coordinatorCount > 1) {
        throw new Error('several coordinators need a Redis that they share; start one coordinator, or install Redis');
      }
      const ports = await PortBook.open(options.home);
      const plan = await planCluster(
        {
          ...options,
          place: options.place ?? onLoopback,
          clusterId: clusterIdOf(options.home),
          redisUrl: redis.url,
        },
        ports,
      );
      cluster = new LocalCluster(options, redis, plan);
      for (const process of cluster.#processes) process.start();
      await cluster.#untilReady();
      return cluster;
    } catch (error) {
      if (cluster === undefined) {
        await redis?.stop();
        releaseHome(options.home);
      } else await cluster.stop();
      throw error;
    }
  }

  /** What the ready file says. */
  describe(): ReadyFile {
    const { coordinators, brokers, gateways, consumerGroups } = this.#plan;
    const pids = (names: readonly string[]): number[] =>
      this.#processes.filter((process) => names.includes(process.spec.name)).flatMap((process) => process.pid ?? []);
    return {
      gateway: gateways[0]?.address ?? '',
      gateways: gateways.map(({ address }) => address),
      consumerGroup: consumerGroups[0]?.address ?? '',
      consumerGroups: consumerGroups.map(({ address }) => address),
      coordinators: coordinators.map((coordinator) => coordinator.address),
      coordinatorPeers: coordinators.map(({ peerAddress }) => peerAddress ?? ''),
      brokers: brokers.map((broker) => ({
        id: broker.id,
        address: broker.address,
        peerAddress: broker.peerAddress ?? '',
        pid: pids([broker.name])[0] ?? 0,
        dataDir: broker.dataDir,
      })),
      ...(this.#plan.console === undefined ? {} : { traces: this.#plan.console.address }),
      ...metricsOf(this.#plan),
      redis: this.#redis.url,
      pids: {
        coordinator: pids(coordinators.map((coordinator) => coordinator.name)),
        broker: pids(brokers.map((broker) => broker.name)),
        gateway: pids(gateways.map(({ name }) => name)),
        consumerGroup: pids(consumerGroups.map(({ name }) => name)),
        redis: this.#redis.pid === undefined ? [] : [this.#redis.pid],
        ...(this.#plan.console === undefined ? {} : { console: pids([this.#plan.console.name]) }),
      },
    };
  }

  /** Every process with its address; without an id while it is down. */
  members(): { readonly name: string; readonly address: string; readonly pid: number | undefined }[] {
    return servicesOf(this.#plan).map(({ name, address }) => ({ name, address, pid: this.#process(name).pid }));
  }

  /** That process is not started again when it dies, until it is released as often as it was held. */
  hold(name: string): void {
    this.#process(name).hold();
  }

  release(name: string): void {
    this.#process(name).release();
  }

  get redisKind(): RedisSource {
    return this.#redis.kind;
  }

  /** Clients first, so that nobody waits for what is gone: gateways and consumer-groups, brokers, coordinators, Redis. */
  async stop(): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    const names = (prefix: string): SupervisedProcess[] =>
      this.#processes.filter((process) => process.spec.name.startsWith(prefix));
    const stopAll = (processes: readonly SupervisedProcess[]) =>
      Promise.all(processes.map((process) => process.stop(STOP_GRACE_MS)));
    await stopAll([...names('gateway'), ...names('consumer-group')]);
    await stopAll(names('broker'));
    await stopAll(names('coordinator'));
    await this.#redis.stop();
    // Last: each of them has sent its last spans when it stopped.
    await stopAll(names('console'));
    removeReadyFile(this.#options.home);
    removePrometheusTargets(this.#options.home);
    releaseHome(this.#options.home);
  }

  /** Ends everything at once; for a second Ctrl-C. */
  kill(): void {
    for (const process of this.#processes) process.kill();
    void this.#redis.stop();
    removeReadyFile(this.#options.home);
    removePrometheusTargets(this.#options.home);
    releaseHome(this.#options.home);
  }

  async #untilReady(): Promise<void> {
    const deadlineMs = performance.now() + READY_SECONDS_MAX * 1000;
    const pool = new ChannelPool();
    try {
      while (!(await this.#serves(pool))) {
        this.#options.signal.throwIfAborted();
        if (performance.now() > deadlineMs)
          throw new Error(`not ready within ${READY_SECONDS_MAX} s; waiting for ${this.#missing()}`);
        await sleep(POLL_MS);
      }
    } finally {
      pool.close();
    }
    this.#written = true;
    this.#writeReadyFile();
  }

  async #serves(pool: ChannelPool): Promise<boolean> {
    if (!this.#processes.every((process) => process.ready)) return false;
    let asked = '';
    try {
      const options = { deadlineMs: 2000 };
      const { gateways, consumerGroups } = this.#plan;
      // All of them must have the directory: without it they know no topic and no leader.
      for (const { address } of [...gateways, ...consumerGroups]) {
        asked = `the brokers that ${address} knows`;
        const answer = await callUnary(pool.client(address), ClusterServiceService.getCluster, {}, options);
        const up = answer.brokers.filter((broker) => broker.state === BrokerState.BROKER_STATE_UP);
        if (up.length < this.#options.brokerCount) {
          this.#notServing = `${address} knows ${up.length} of ${this.#options.brokerCount} brokers as up`;
          return false;
        }
      }
      for (const { address } of consumerGroups) {
        asked = `the groups of ${address}`;
        const request = { pageSize: 1, pageToken: '', shards: [] };
        await callUnary(pool.client(address), GroupServiceService.listGroups, request, options);
      }
      return true;
    } catch (error) {
      this.#notServing = `${asked}: ${error instanceof Error ? error.message : String(error)}`;
      return false;
    }
  }

  #process(name: string): SupervisedProcess {
    const found = this.#processes.find(({ spec }) => spec.name === name);
    if (found === undefined) throw new Error(`no process of the cluster is called ${name}`);
    return found;
  }

  #missing(): string {
    const starting = this.#processes.filter((process) => !process.ready);
    if (starting.length === 0)
      return `the brokers to register and the groups to load (${this.#notServing}); see the logs`;
    return starting.map((process) => [process.spec.name, ...process.lastLines].join('\n    ')).join('\n  ');
  }

  #writeReadyFile(): void {
    if (!this.#written || this.#stopping) return;
    writeReadyFile(this.#options.home, this.describe());
    writePrometheusTargets(this.#options.home, servicesOf(this.#plan));
  }

  #reportDeath(text: string, lastLines: readonly string[]): void {
    this.#options.log([text, ...lastLines.map((line) => `    ${line}`)].join('\n'));
  }
}

function servicesOf({ coordinators, brokers, gateways, consumerGroups, console }: PlannedCluster): PlannedService[] {
  return [...coordinators, ...brokers, ...gateways, ...consumerGroups, console ?? []].flat();
}

/** Addresses of the endpoints for Prometheus by the names of the services; nothing without any. */
function metricsOf(plan: PlannedCluster): Pick<ReadyFile, 'metrics'> {
  const entries = servicesOf(plan).flatMap(({ name, metricsAddress }): [string, string][] =>
    metricsAddress === undefined ? [] : [[name, metricsAddress]],
  );
  return entries.length === 0 ? {} : { metrics: Object.fromEntries(entries) };
}
