/** The machines of a simulated cluster that run a service: how their processes start, die and come back. */
import { NO_METRICS } from '@partita/telemetry';
import type { RunningService } from '@partita/runtime';
import { FaultyDisk } from '@partita/testkit';
import { ClusterDisk } from './cluster-disk.ts';
import { SimulatedProcess } from './processes.ts';
import { startBroker, startCoordinator } from './services.ts';
import { lineOf, simulatedLogger } from './simulated-log.ts';
import { simulatedStore } from './store.ts';
import { uuidOf } from './virtual-time.ts';
import type { World } from './world.ts';

/** Until whoever watches over processes starts one again that ended by itself. */
const RESTART_MS_MAX = 1500;

export const BROKER_PORT = 7000;
export const BROKER_PEER_PORT = 7001;
export const COORDINATOR_PORT = 7200;
export const COORDINATOR_PEER_PORT = 7250;

/** A machine, and the process on it while one runs. */
export abstract class Node {
  readonly world: World;
  readonly name: string;
  readonly host: string;
  process: SimulatedProcess | undefined;
  service: RunningService | undefined;
  /** Kept down until the faults are over. */
  isHeldDown = false;

  constructor(world: World, name: string, host: string) {
    this.world = world;
    this.name = name;
    this.host = host;
  }

  /** Starts a process, unless one runs. */
  start(): void {
    if (this.process !== undefined || this.isHeldDown) return;
    const { world } = this;
    world.network.lighten(this.host);
    world.trace.note(`${world.now} ${this.name} starts`);
    const process = this.boot();
    process.clockOffsetMs = world.clockOffsets.get(this.host) ?? 0;
    this.process = process;
    process
      .begin(() => this.launch(process))
      .then(
        (service) => {
          if (this.process === process) this.service = service;
        },
        (error: unknown) => this.failed(process, error),
      );
  }

  /** The process ended by itself; it is started again soon. */
  failed(process: SimulatedProcess, error: unknown): void {
    if (this.process !== process) return;
    const why = error instanceof Error ? error.message : String(error);
    this.world.trace.note(`${this.world.now} ${this.name} ends: ${why}`);
    this.world.tally.add(`${this.kind} ended by itself`);
    this.kill();
    this.startLater(this.world.random.below(RESTART_MS_MAX));
  }

  startLater(delayMs: number): void {
    this.world.time.of(undefined, delayMs, () => this.start());
  }

  /** `kill -9`: what it wrote stays in the page cache, and its peers are told. */
  kill(): void {
    const { process } = this;
    if (process === undefined) return;
    this.world.network.resetAll(process);
    this.end(process);
  }

  protected end(process: SimulatedProcess): void {
    this.process = undefined;
    this.service = undefined;
    this.world.trace.note(`${this.world.now} ${this.name} is gone`);
    process.die();
  }

  pause(forMs: number): void {
    const { process, world } = this;
    if (process === undefined || process.isPaused) return;
    world.trace.note(`${world.now} ${this.name} stands still for ${forMs} ms`);
    process.pause();
    world.network.watchHost(this.host);
    world.time.of(undefined, forMs, () => this.goOn(process));
  }

  /** Ends a pause, if the process is in one. */
  goOn(process = this.process): void {
    if (process?.isPaused !== true) return;
    this.world.trace.note(`${this.world.now} ${this.name} goes on`);
    process.resume((work) => void this.world.time.of(process, 0, work));
  }

  /** SIGTERM: drains, closes, and comes back. */
  restart(): void {
    const { process, service, world } = this;
    if (process === undefined || service === undefined || process.isPaused) return;
    world.trace.note(`${world.now} ${this.name} is told to stop`);
    const stop = async () => {
      await service.drain();
      await service.close();
    };
    const over = () => {
      if (this.process !== process) return;
      this.kill();
      this.startLater(world.random.below(RESTART_MS_MAX));
    };
    this.service = undefined;
    process.begin(stop).then(over, over);
  }

  protected logger(process: SimulatedProcess) {
    const { world, name } = this;
    return simulatedLogger((level, fields, message) => {
      if (!process.isAlive) return;
      world.onLog(this, level, fields, message);
      if (world.keepsTrace) world.trace.note(`${world.now}   ${name}: ${lineOf(level, fields, message)}`);
    });
  }

  protected abstract readonly kind: 'broker' | 'coordinator';
  protected abstract boot(): SimulatedProcess;
  protected abstract launch(process: SimulatedProcess): Promise<RunningService>;
}

export class BrokerNode extends Node {
  readonly brokerId: number;
  readonly kind = 'broker';
  disk: FaultyDisk;
  bootId: string;
  #startCount = 0;

  constructor(world: World, brokerId: number) {
    super(world, `broker-${brokerId}`, `127.0.1.${brokerId}`);
    this.brokerId = brokerId;
    this.disk = this.#newDisk();
    this.bootId = uuidOf(world.random);
  }

  /** The machine loses power: what was not synced is lost, and nobody is told. */
  cutPower(): void {
    this.disk.cutPower();
    this.#lostPower('');
  }

  #lostPower(path: string): void {
    const { process, world } = this;
    this.bootId = uuidOf(world.random);
    if (process === undefined) return;
    world.trace.note(`${world.now} ${this.name} loses power ${path}`);
    world.network.darken(this.host);
    this.end(process);
    this.startLater(world.random.below(RESTART_MS_MAX));
  }

  /** Somebody puts an empty disk into the machine. */
  wipe(): void {
    this.kill();
    this.disk = this.#newDisk();
    this.bootId = uuidOf(this.world.random);
  }

  override kill(): void {
    super.kill();
    this.disk.kill();
  }

  protected boot(): SimulatedProcess {
    const { world, disk, bootId } = this;
    this.#startCount += 1;
    const clusterDisk = new ClusterDisk({
      disk,
      time: world.time,
      random: world.random.fork(),
      pace: world.diskPace,
      bootId,
      startTime: this.#startCount,
    });
    const process: SimulatedProcess = new SimulatedProcess(this.name, this.host, {
      network: world.network,
      disk: clusterDisk,
      bootId,
      onReplica: (actor) => world.oracle.onReplica(actor, process, this.brokerId),
    });
    return process;
  }

  protected launch(process: SimulatedProcess): Promise<RunningService> {
    const { world, brokerId, host } = this;
    const config = {
      id: brokerId,
      dataDir: '/data',
      clusterId: world.clusterId,
      listen: { host, port: BROKER_PORT },
      peerListen: { host, port: BROKER_PEER_PORT },
      advertise: undefined,
      peerAdvertise: undefined,
      coordinators: world.coordinators.map((coordinator) => ({ host: coordinator.host, port: COORDINATOR_PEER_PORT })),
      rack: undefined,
      insecure: false,
      segmentBytes: 1024 * 1024,
      openFiles: 100,
      retentionInterval: 30_000,
      scrubInterval: 0,
      compactionBytesPerSecond: 1024 ** 3,
      metricsListen: undefined,
      metricsHosts: [],
      metricsPartitions: false,
      logLevel: 'trace',
    };
    return startBroker({
      config,
      logger: this.logger(process),
      tracing: 'off',
      metrics: NO_METRICS,
      fail: (error) => this.failed(process, error),
    });
  }

  #newDisk(): FaultyDisk {
    const disk = new FaultyDisk({
      seed: this.world.random.word(),
      onCall: ({ outcome, path }) => {
        // The disk cuts itself off; the process must not live to see why.
        if (outcome === 'POWER_OFF') queueMicrotask(() => this.#lostPower(path));
      },
    });
    disk.names.add('/data', 'directory');
    disk.names.sync('/');
    return disk;
  }
}

export class CoordinatorNode extends Node {
  readonly kind = 'coordinator';
  readonly isOfRival: boolean;

  constructor(world: World, number: number) {
    super(world, `coordinator-${number}`, `127.0.2.${number}`);
    this.isOfRival = number === 2;
  }

  protected boot(): SimulatedProcess {
    return new SimulatedProcess(this.name, this.host, { network: this.world.network, bootId: '' });
  }

  protected launch(process: SimulatedProcess): Promise<RunningService> {
    const { world, host, isOfRival } = this;
    const { clusterId, redis, time } = world;
    const random = world.random.fork();
    return startCoordinator({
      config: {
        listen: { host, port: COORDINATOR_PORT },
        peerListen: { host, port: COORDINATOR_PEER_PORT },
        advertise: undefined,
        peerAdvertise: undefined,
        clusterId,
        clusterName: 'simulated',
        redisUrl: 'redis://simulated',
        expectedBrokers: world.plan.brokerCount,
        rebuildIncomplete: false,
        insecure: false,
        metricsListen: undefined,
        metricsHosts: [],
        logLevel: 'trace',
      },
      store: simulatedStore({ clusterId, redis, process, time, random, isOfRival }),
      clock: { wallMs: () => Date.now(), monotonicMs: () => performance.now() },
      random: { next: () => Math.random(), uuid: () => uuidOf(random) },
      logger: this.logger(process),
      runId: uuidOf(random),
      tracing: 'off',
      metrics: NO_METRICS,
      onWrongCluster: (error) => this.failed(process, error),
    });
  }
}
