/** The broker: its parts, how they are tied, and the order in which they start and stop. */
import { DRAIN_MS_MAX, PartitaError, partitionKey } from '@partita/domain';
import type { ClusterSettings, TopicConfig } from '@partita/protocol';
import type { TracingMode } from '@partita/rpc';
import { ChannelPool } from '@partita/rpc/client';
import { DirectoryHolder } from '@partita/rpc/server';
import type { RpcServer } from '@partita/rpc/server';
import {
  checkResources,
  createRepeatedLog,
  EXIT_CODES,
  ExitError,
  formatAddress,
  StateLines,
  systemClock,
  systemRandom,
  systemTimers,
} from '@partita/runtime';
import type { ProcessLogger, RunningService } from '@partita/runtime';
import type { Metrics } from '@partita/telemetry';
import { onlyThisBroker, registration } from './broker-self.ts';
import type { BrokerSelf } from './broker-self.ts';
import { AppendDeadlines, CheckpointTask } from './broker-clock-work.ts';
import { Appender } from './broker-service/append.ts';
import type { BrokerConfig } from './config.ts';
import { HeardSettings } from './cluster-settings.ts';
import { CoordinatorSession } from './coordinator-session.ts';
import type { DataDirectory } from './data-directory.ts';
import { asExit, openOrExit } from './start-failures.ts';
import { DirectoryFeed, ShownLeases } from './directory-feed.ts';
import { handOver } from './hand-over.ts';
import { inParallel } from './in-parallel.ts';
import { LeaderQuotas } from './leader-quotas.ts';
import type { ActorHost } from './partition-actor.ts';
import { LogCare } from './log-care/log-care.ts';
import { BrokerMetrics } from './metrics/broker-metrics.ts';
import { LeaderMetrics } from './metrics/leader-metrics.ts';
import { observeReplicas } from './metrics/replica-metrics.ts';
import { peerServer } from './peer-server.ts';
import { PartitionRegistry } from './partition-registry.ts';
import { publicServer } from './public-server.ts';
import { ReplicaNews } from './replica-news.ts';
import { ReplicaStore } from './replica-store.ts';
import { CopyBudget } from './replication/copy-budget.ts';
import { FollowingTask } from './replication/following-task.ts';
import { LeaderLinks } from './replication/leader-links.ts';
import { RecentBudget } from './replication/recent-batches.ts';
import { RecoveryTrace } from './tracing/recovery-trace.ts';

/** Time for calls and streams to end themselves when the broker drains; the rest is for closing logs. */
const GRACE_MS = DRAIN_MS_MAX / 5;
/** The same for calls of peers, after those of clients. */
const PEER_GRACE_MS = DRAIN_MS_MAX / 10;
/** Damage that readers meet again and again is said this often. */
const DAMAGE_REPEAT_MS = 60 * 60 * 1000;
/** Files that a broker needs beyond those of its logs: connections, mostly. */
const OTHER_FILE_COUNT = 1000;
/** Logs closed at once: as many as syncs go on at once. Each has its files open meanwhile, beyond the idle ones. */
const CLOSE_CONCURRENCY_MAX = 32;

export interface BrokerOptions {
  readonly config: BrokerConfig;
  readonly logger: ProcessLogger;
  readonly tracing: TracingMode;
  readonly metrics: Metrics;
  /** Ends the process: an ExitError with its code, anything else as a crash. */
  readonly fail: (error: unknown) => void;
}

/** Brings a broker up: recovers its logs, listens, then keeps sessions with the coordinators. */
export async function startBroker(options: BrokerOptions): Promise<RunningService> {
  const { config, logger } = options;
  const metrics = new BrokerMetrics(options.metrics, systemClock);
  const recovery = new RecoveryTrace(options.tracing, config.id);
  const directory = await recovery.phase('journal', () => openOrExit(config, logger, metrics));
  try {
    const { clusterId, dirUuid, incarnation } = directory.identity;
    logger.info({ clusterId, dirUuid, incarnation, clean: directory.isClean }, 'opened the data directory');
    await checkResources({ openFiles: config.openFiles + OTHER_FILE_COUNT }, logger);
    const broker = new Broker(options, directory, metrics, recovery);
    await broker.start();
    return broker;
  } catch (error) {
    recovery.end(error);
    await directory.close();
    throw asExit(error);
  }
}

class Broker implements RunningService {
  readonly #options: BrokerOptions;
  readonly #data: DataDirectory;
  readonly #metrics: BrokerMetrics;
  readonly #leaderMetrics: LeaderMetrics;
  readonly #recovery: RecoveryTrace;
  readonly #news: ReplicaNews;
  readonly #recent = new RecentBudget();
  readonly #settings: HeardSettings;
  readonly #quotas: LeaderQuotas;
  readonly #copies: CopyBudget;
  readonly #directory = new DirectoryHolder(systemClock);
  readonly #registry: PartitionRegistry;
  readonly #store: ReplicaStore;
  readonly #appender: Appender;
  readonly #deadlines = new AppendDeadlines(systemClock, systemTimers);
  readonly #checkpoints: CheckpointTask;
  readonly #care: LogCare;
  readonly #pool: ChannelPool;
  readonly #links: LeaderLinks;
  readonly #following: FollowingTask;
  readonly #servers: { readonly publicServer: RpcServer; readonly peerServer: RpcServer };
  readonly #sessions: CoordinatorSession[] = [];
  readonly #lines: StateLines;
  #addresses = { address: '', peerAddress: '' };
  #isDraining = false;
  #hasFailed = false;
  #isClosing = false;

  constructor(options: BrokerOptions, data: DataDirectory, metrics: BrokerMetrics, recovery: RecoveryTrace) {
    this.#options = options;
    this.#recovery = recovery;
    this.#data = data;
    this.#metrics = metrics;
    this.#leaderMetrics = new LeaderMetrics(options.metrics, systemClock);
    const { config, logger, tracing } = options;
    this.#lines = new StateLines(logger, systemTimers);
    this.#news = new ReplicaNews(this.#lines, tracing, config.id);
    this.#registry = new PartitionRegistry(this.#directory, config.id);
    this.#settings = new HeardSettings(data.journal);
    const ports = { clock: systemClock, timers: systemTimers };
    this.#quotas = new LeaderQuotas({ ...ports, ...options, directory: this.#directory, registry: this.#registry });
    const bytesPerSecond = () => this.#settings.moveBytesPerSecond;
    this.#copies = new CopyBudget({ clock: systemClock, timers: systemTimers, bytesPerSecond });
    this.#store = new ReplicaStore({
      directory: data,
      registry: this.#registry,
      host: this.#actorHost(),
      clock: systemClock,
      logger,
      segmentBytesDefault: config.segmentBytes,
      onTopic: (topic) => this.#noteTopic(topic),
      onTombstone: (tombstone) => this.#sessions.forEach((session) => session.noteTombstone(tombstone)),
    });
    this.#appender = new Appender({
      registry: this.#registry,
      clock: systemClock,
      tracing: tracing !== 'off',
      metrics,
      gate: this.#quotas.gate,
      onWaiting: (actor) => this.#deadlines.watch(actor),
    });
    this.#checkpoints = new CheckpointTask({
      registry: this.#registry,
      timers: systemTimers,
      write: (partitions) => data.checkpoint(partitions),
      onFailed: (error) => this.#fail(error),
    });
    this.#care = new LogCare({
      registry: this.#registry,
      clock: systemClock,
      timers: systemTimers,
      logger,
      random: systemRandom,
      intervalMs: config.retentionInterval,
      scrubIntervalMs: config.scrubInterval,
      compactionBytesPerSecond: config.compactionBytesPerSecond,
    });
    this.#pool = new ChannelPool({ clientId: `broker-${config.id}`, tracing: 'off' });
    const { clusterId, brokerId, dirUuid: directoryId, incarnation } = data.identity;
    this.#links = new LeaderLinks({
      pool: this.#pool,
      clock: systemClock,
      random: systemRandom,
      logger,
      metrics,
      open: { clusterId, brokerId, directoryId, incarnation: BigInt(incarnation) },
    });
    this.#following = new FollowingTask({
      registry: this.#registry,
      directory: this.#directory,
      links: this.#links,
      clock: systemClock,
      timers: systemTimers,
    });
    this.#servers = { publicServer: this.#publicServer(), peerServer: this.#peerServer() };
    this.#observe();
  }

  #observe(): void {
    const { metrics, config } = this.#options;
    observeReplicas(metrics, {
      registry: this.#registry,
      dataDir: config.dataDir,
      byPartition: config.metricsPartitions,
      queuedBytes: () => ({ replicate: this.#recent.bytes, fetch: this.#servers.publicServer.pendingBytes }),
      coordinatorCount: () => this.#sessions.filter(({ isUp }) => isUp).length,
    });
  }

  get ready(): Record<string, unknown> {
    const { clusterId, brokerId, incarnation } = this.#data.identity;
    return { brokerId, ...this.#addresses, clusterId, incarnation, replicas: this.#registry.size };
  }

  async start(): Promise<void> {
    const { config, logger } = this.#options;
    await this.#recovery.phase('logs', () => this.#store.recover());
    this.#quotas.hear(this.#settings);
    const { address } = await this.#servers.publicServer.start();
    const { address: peerAddress } = await this.#servers.peerServer.start();
    this.#addresses = {
      address: config.advertise === undefined ? address : formatAddress(config.advertise),
      peerAddress: config.peerAdvertise === undefined ? peerAddress : formatAddress(config.peerAdvertise),
    };
    this.#directory.update(onlyThisBroker(this.#self()));
    this.#recovery.listens(this.#registry.size, this.#data.isClean);
    const leases = new ShownLeases();
    for (const coordinator of config.coordinators) {
      const session = new CoordinatorSession({
        address: formatAddress(coordinator),
        pool: this.#pool,
        clock: systemClock,
        timers: systemTimers,
        random: systemRandom,
        logger,
        feed: new DirectoryFeed(this.#directory, leases),
        register: () => registration(this.#self()),
        heartbeat: () => ({
          freeBytes: BigInt(Math.floor(this.#data.device.space.freeBytes)),
          wallMs: BigInt(systemClock.wallMs()),
          draining: this.#isDraining,
        }),
        leaders: () => [...this.#registry.actors()].filter((actor) => actor.leader !== undefined),
        onPeers: (peers) => this.#links.setAddresses(new Map(peers.map((peer) => [peer.brokerId, peer.peerAddress]))),
        onRegistered: () => this.#recovery.registered(),
        onSettings: (settings) => this.#hear(settings),
        onClocks: (clocks) => this.#care.hear(clocks),
        onRefused: (error) => this.#options.fail(new ExitError(EXIT_CODES.refused, error.message, { cause: error })),
      });
      this.#sessions.push(session);
      session.open();
    }
    this.#following.start();
    this.#care.start();
  }

  /**
   * Lets others lead what they can, as long as it serves; then refuses appends, tells clients, and waits until the calls under
   * way are answered.
   */
  async drain(): Promise<void> {
    this.#isDraining = true;
    for (const session of this.#sessions) session.beat();
    await handOver({
      registry: this.#registry,
      directory: this.#directory,
      hasCoordinator: () => this.#sessions.some(({ isUp }) => isUp),
      clock: systemClock,
      timers: systemTimers,
      lines: this.#lines,
    });
    this.#appender.drain();
    const { publicServer, peerServer } = this.#servers;
    // Appends under way are answered once followers have them: their streams go on until then.
    await publicServer.drain(GRACE_MS);
    this.#following.endStreams();
    await peerServer.drain(PEER_GRACE_MS);
  }

  /** Closes the logs, notes how far they are, and that all is in order. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#recovery.end();
    for (const session of this.#sessions) session.close();
    this.#following.stop();
    this.#links.close();
    this.#pool.close();
    this.#servers.publicServer.close();
    this.#servers.peerServer.close();
    this.#deadlines.stop();
    await this.#care.stop();
    this.#news.stop();
    const actors = [...this.#registry.actors()];
    const ends = new Map<string, bigint>();
    await inParallel(actors, CLOSE_CONCURRENCY_MAX, async (actor) => {
      if (await actor.close(!this.#hasFailed)) ends.set(partitionKey(actor), actor.log.syncedEnd);
    });
    if (!this.#hasFailed) {
      await this.#checkpoints.finish();
      await this.#data.markClean(ends);
    }
    await this.#data.close();
  }

  #noteTopic(topic: TopicConfig): void {
    this.#quotas.noteTopic(topic);
    for (const session of this.#sessions) session.noteTopic(topic);
  }

  #hear(settings: ClusterSettings): void {
    void this.#settings.hear(settings).catch((error: unknown) => this.#fail(error));
    this.#quotas.hear(this.#settings);
  }

  #actorHost(): ActorHost {
    const { logger } = this.#options;
    const repeated = createRepeatedLog(logger, systemClock, DAMAGE_REPEAT_MS);
    const { identity, device } = this.#data;
    return {
      device,
      clock: systemClock,
      clusterId: identity.clusterId,
      brokerId: identity.brokerId,
      directoryId: identity.dirUuid,
      persist: (partition, meta) => this.#store.persist(partition, meta),
      noteLogStart: (partition, logStart) => this.#store.noteLogStart(partition, logStart),
      noteCut: () => this.#checkpoints.flush(),
      recent: this.#recent,
      isTracing: this.#options.tracing !== 'off',
      linksOf: (actor) => this.#links.portOf(actor),
      onDurable: (actor, end) => this.#leaderMetrics.durable(actor, end),
      onChanged: (actor, what) => {
        this.#leaderMetrics.changed(actor, what);
        this.#news.changed(actor, what);
        this.#checkpoints.note();
        for (const session of this.#sessions) {
          if (what === 'in-sync' || what === 'role') session.noteInSync(actor);
          session.noteChange(actor, what === 'role' || what === 'followed' || what === 'config');
        }
      },
      onDamaged: ({ topicId, partition }, error) => {
        const fields = { err: error, topicId, partition };
        repeated.error(`${topicId}/${partition}`, fields, 'a read found damage; the partition serves what is intact');
        void this.#store.refetch({ topicId, partition }).catch((failure: unknown) => this.#fail(failure));
      },
      onStorageFailed: (error) => this.#fail(error),
      onStopped: ({ topicId, partition }, error) => {
        logger.error({ err: error, topicId, partition }, 'a replica has stopped');
        if (error instanceof PartitaError) this.#fail(error);
      },
    };
  }

  #publicServer(): RpcServer {
    return publicServer(this.#options, {
      brake: this.#quotas.brake,
      registry: this.#registry,
      appender: this.#appender,
      clock: systemClock,
      timers: systemTimers,
      metrics: this.#metrics,
      graceMs: GRACE_MS,
      directory: this.#directory,
    });
  }

  #peerServer(): RpcServer {
    return peerServer(this.#options, {
      registry: this.#registry,
      store: this.#store,
      clusterId: this.#data.identity.clusterId,
      brokerId: this.#options.config.id,
      clock: systemClock,
      timers: systemTimers,
      metrics: this.#metrics,
      copies: this.#copies,
      onPaused: (actor) => this.#deadlines.watch(actor),
      onOpened: (stream) => this.#following.add(stream),
      onClosed: (stream) => this.#following.remove(stream),
    });
  }

  #self(): BrokerSelf {
    return {
      data: this.#data,
      registry: this.#registry,
      store: this.#store,
      directory: this.#directory,
      settings: this.#settings,
      rack: this.#options.config.rack ?? '',
      addresses: this.#addresses,
    };
  }

  /** A disk that failed once is not trusted again: the process ends, and the next start recovers. */
  #fail(error: unknown): void {
    // A promise that comes too late finds the journal closed.
    if (this.#hasFailed || this.#isClosing) return;
    this.#hasFailed = true;
    this.#options.fail(error);
  }
}
