/** The wiring of a coordinator: one model, the lease, what acts on them, and two listeners. */
import { BROKER_HEARTBEAT_MS, DRAIN_MS_MAX, RECONCILE_MS } from '@partita/domain';
import type { Clock, PartitaError, Random } from '@partita/domain';
import type { MetadataStore } from '@partita/metadata-store';
import {
  BrokerSessionServiceService,
  ClusterServiceService,
  InstanceSessionServiceService,
  ProcessServiceService,
  ServiceKind,
  TopicServiceService,
} from '@partita/protocol';
import type { TracingMode } from '@partita/rpc';
import { ChannelPool } from '@partita/rpc/client';
import { createRpcServer, DirectoryHolder, processMethods } from '@partita/rpc/server';
import { formatAddress, PRODUCT_VERSION, StateLines, systemTimers } from '@partita/runtime';
import type { ProcessLogger, RunningService } from '@partita/runtime';
import type { Metrics } from '@partita/telemetry';
import { isUnfinished } from '@partita/cluster';
import type { ElectionPlan, Tombstone } from '@partita/cluster';
import { AuditLog } from './directory/audit-log.ts';
import { BrokerOrders } from './broker-orders.ts';
import { BrokerSessions } from './sessions/broker-sessions.ts';
import { ClusterModel } from './cluster-model.ts';
import { clusterService } from './cluster-service.ts';
import { EMBEDDED_STORE } from './config.ts';
import type { CoordinatorConfig } from './config.ts';
import { ElectionMeter, LeaderMoveMeter, observeCoordinator } from './coordinator-metrics.ts';
import { DIRECTORY_CHECK_MS } from './directory/directory-anchor.ts';
import { DirectoryPublisher } from './directory/directory-publisher.ts';
import { ElectionCalls } from './elections/election-calls.ts';
import { Elections } from './elections/elections.ts';
import { GroupReplicas } from './topics/group-replicas.ts';
import { GroupShards } from './sessions/group-shards.ts';
import { InstanceSessions } from './sessions/instance-sessions.ts';
import { Lease } from './directory/lease.ts';
import { moveWork } from './move-work.ts';
import { OperatorElections } from './elections/operator-elections.ts';
import { PartitionNews } from './partition-news.ts';
import { RouteFeed } from './sessions/route-feed.ts';
import { TopicCreations } from './topics/topic-creation.ts';
import { TopicDeletions } from './topics/topic-deletion.ts';
import { topicService } from './topics/topic-service.ts';
import { TopicUpdates } from './topics/topic-updates.ts';

export interface CoordinatorOptions {
  readonly config: CoordinatorConfig;
  readonly store: MetadataStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: ProcessLogger;
  readonly runId: string;
  readonly tracing: TracingMode;
  readonly metrics: Metrics;
  /** How often the directory is read back. Default: DIRECTORY_CHECK_MS, and never where it is in this process. */
  readonly directoryCheckMs?: number | undefined;
  /** The store turned out to be another cluster's. */
  readonly onWrongCluster: (error: PartitaError) => void;
}

/** Share of the time to drain that open sessions get; they have ended by themselves long before. */
const DRAIN_GRACE_MS = DRAIN_MS_MAX / 6;

/** Starts a coordinator. Rejects with WRONG_CLUSTER, or INVALID_SETTING when it cannot listen. */
export async function startCoordinator(options: CoordinatorOptions): Promise<RunningService> {
  const { config, store, logger, runId, tracing, metrics } = options;
  const publicServer = createRpcServer({
    name: 'coordinator-public',
    listen: formatAddress(config.listen),
    limits: 'public',
    logger,
    tracing,
    metrics,
    insecureOk: config.insecure,
  });
  const peerServer = createRpcServer({
    name: 'coordinator-peer',
    listen: formatAddress(config.peerListen),
    limits: 'peer',
    logger,
    tracing,
    metrics,
    insecureOk: config.insecure,
  });
  const pool = new ChannelPool({ clientId: `coordinator-${runId}`, tracing });
  const address = { value: '' };
  const parts = wire(options, pool, () => address.value);

  publicServer.addService(TopicServiceService, parts.topicService);
  publicServer.addService(ClusterServiceService, parts.clusterService);
  publicServer.addService(ProcessServiceService, processMethods(logger, 'public'));
  peerServer.addService(BrokerSessionServiceService, parts.brokerSessions.service());
  peerServer.addService(InstanceSessionServiceService, parts.instanceSessions.service());
  peerServer.addService(ClusterServiceService, parts.clusterService);
  peerServer.addService(ProcessServiceService, processMethods(logger, 'peer'));

  const timers: NodeJS.Timeout[] = [];
  const stopAll = async () => {
    for (const timer of timers) clearInterval(timer);
    await parts.lease.stop();
    parts.lines.flush();
    pool.close();
    await store.close();
  };
  try {
    // The address is part of the lease, so clients are let in first; until the lease is held they are told to repeat.
    const listening = await publicServer.start();
    address.value = config.advertise === undefined ? listening.address : formatAddress(config.advertise);
    await parts.lease.start();
    const peer = await peerServer.start();
    const peerAddress = config.peerAdvertise === undefined ? peer.address : formatAddress(config.peerAdvertise);
    parts.feed.start();
    timers.push(...parts.timers());
    return {
      ready: { address: address.value, peerAddress, clusterId: config.clusterId, runId },
      async drain() {
        parts.news.stop();
        await Promise.all([publicServer.drain(DRAIN_GRACE_MS), peerServer.drain(DRAIN_GRACE_MS)]);
      },
      close: stopAll,
    };
  } catch (error) {
    publicServer.close();
    peerServer.close();
    await stopAll();
    throw error;
  }
}

/** What everything else stands on: the model, the lease and the directory, who is told of changes, and the way to brokers. */
function foundation(options: CoordinatorOptions, pool: ChannelPool, address: () => string) {
  const { config, store, clock, random, logger, runId, tracing, onWrongCluster } = options;
  const { clusterId, expectedBrokers = 1, rebuildIncomplete } = config;
  const model = new ClusterModel();
  const holder = new DirectoryHolder(clock);
  const brokersHolder = new DirectoryHolder(clock);
  const lines = new StateLines(logger, systemTimers);
  const base = { model, clock, random, logger, lines, tracing, expectedBrokers };
  const checkMs = options.directoryCheckMs ?? (config.redisUrl === EMBEDDED_STORE ? Infinity : DIRECTORY_CHECK_MS);
  const lease = new Lease({ ...base, store, runId, url: address, rebuildIncomplete, checkMs, onWrongCluster });
  const news = new PartitionNews({ model, lease, lines });
  news.start();
  const feed = new RouteFeed({ clusterId, runId, model, lease, holder, brokersHolder, address });
  const publisher = new DirectoryPublisher({ ...base, store, lease });
  const orders = new BrokerOrders({ clusterId, coordinatorRunId: runId, model, pool });
  const audit = new AuditLog({ ...base, store, lease });
  return { ...base, lease, news, feed, publisher, orders, audit, holder, brokersHolder };
}

type Foundation = ReturnType<typeof foundation>;

function wire(options: CoordinatorOptions, pool: ChannelPool, address: () => string) {
  const { config, store, runId, metrics } = options;
  const { clusterId } = config;
  const knowsBrokers = config.expectedBrokers !== undefined;
  const acting = foundation(options, pool, address);
  const { model, lease, news, feed, publisher, audit, lines, clock, holder, brokersHolder } = acting;
  const elections = electionWork(acting, metrics, (tombstone) => deletions.found(tombstone));
  const moves = moveWork({
    ...acting,
    store,
    elections,
    meter: new LeaderMoveMeter(metrics),
    replaceAfterMs: config.replaceAfter,
    storeState: () => storeState(config, store, lease),
    clockOffsetsMs: () => brokerSessions.clockOffsetsMs(),
  });
  const operator = new OperatorElections({ ...acting, elections, moves: moves.leaderMoves });
  const creations = new TopicCreations({ ...acting, store });
  const deletions = new TopicDeletions(acting);
  const updates = new TopicUpdates(acting);
  const sendShards = () => instanceSessions.sendShards();
  const shards = new GroupShards({ ...acting, creations, knowsBrokers, onAssigned: sendShards });
  const groupReplicas = new GroupReplicas({ ...acting, updates });
  const session = { ...acting, clusterId, runId };
  const instanceSessions = new InstanceSessions({
    ...session,
    shards: () => shards.assignment(),
    onOwned: (instanceId, owned) => shards.owned(instanceId, owned),
  });
  const brokerSessions = new BrokerSessions({
    ...session,
    view: brokersHolder,
    onRegistered: (brokerId, peerAddress, topics) => {
      // A channel that met a dead broker waits for seconds before it dials again; the broker is back now.
      pool.forget(peerAddress);
      updates.brokerRegistered(brokerId, topics);
      deletions.reconcile();
      lease.wake();
    },
    onStored: (topics, tombstones) => {
      for (const tombstone of tombstones) deletions.found(tombstone);
      for (const topic of topics) updates.found(topic);
    },
  });
  observeCoordinator(metrics, { model, lease, store, publisher, changes: moves.changes });
  const relay = { pool, target: () => lease.relayTarget() };
  const heartbeat = beatOf([brokerSessions, instanceSessions], feed);
  const reconcile = () => {
    for (const part of [creations, deletions, updates, shards, groupReplicas]) part.reconcile();
    for (const part of [elections, moves, publisher, audit]) part.run();
  };
  const { moving, balance } = moves;
  const shown = { clusterId, model, clock, operator, moving, balance, audit, relay, view: holder };
  return {
    lines,
    news,
    lease,
    feed,
    brokerSessions,
    instanceSessions,
    topicService: topicService({ model, creations, deletions, updates, audit, relay }),
    clusterService: clusterService({
      ...shown,
      directory: { service: ServiceKind.SERVICE_KIND_COORDINATOR, version: PRODUCT_VERSION, clock },
      storeState: () => storeState(config, store, lease),
    }),
    timers: () => [setInterval(heartbeat, BROKER_HEARTBEAT_MS), setInterval(reconcile, RECONCILE_MS)],
  };
}

/** Who elects. `onTombstone`: a broker has deleted the topic of an election. */
function electionWork(acting: Foundation, metrics: Metrics, onTombstone: (tombstone: Tombstone) => void): Elections {
  const { model, audit } = acting;
  const onElected = (...elected: [ElectionPlan, number, boolean]) => noteLeader(model, audit, ...elected);
  const calls = new ElectionCalls({ ...acting, onTombstone, onElected });
  return new Elections({ ...acting, calls, meter: new ElectionMeter(metrics) });
}

function beatOf(sessions: readonly { tick(): void }[], feed: RouteFeed): () => void {
  return () => {
    for (const part of sessions) part.tick();
    feed.confirm();
  };
}

/** The first leaders of a topic are part of its creation. */
function noteLeader(model: ClusterModel, audit: AuditLog, plan: ElectionPlan, leader: number, unclean: boolean): void {
  const topic = model.state.topicById(plan.topicId);
  if (topic === undefined || isUnfinished(topic)) return;
  audit.note('leader_elected', `${topic.name}/${plan.partition}`, '', { leader, epoch: plan.epoch, unclean });
}

/** The store as operators are told of it. */
function storeState(config: CoordinatorConfig, store: MetadataStore, lease: Lease): string {
  if (config.redisUrl === EMBEDDED_STORE) return 'embedded';
  if (store.state === 'down') return 'down';
  return lease.status() === 'suspect' ? 'suspect' : 'up';
}
