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
import { effectiveClusterSettings, isEmptied } from '@partita/cluster';
import type { ElectionPlan } from '@partita/cluster';
import { AuditLog } from './audit-log.ts';
import { balanceWork } from './balance-work.ts';
import { BrokerOrders } from './broker-orders.ts';
import { BrokerSessions } from './broker-sessions.ts';
import { ClusterModel } from './cluster-model.ts';
import { clusterService } from './cluster-service.ts';
import { EMBEDDED_STORE } from './config.ts';
import type { CoordinatorConfig } from './config.ts';
import { ElectionMeter, LeaderMoveMeter, observeCoordinator } from './coordinator-metrics.ts';
import { DIRECTORY_CHECK_MS } from './directory-anchor.ts';
import { DirectoryPublisher } from './directory-publisher.ts';
import { ElectionCalls } from './election-calls.ts';
import { Elections } from './elections.ts';
import { GroupReplicas } from './group-replicas.ts';
import { GroupShards } from './group-shards.ts';
import { InstanceSessions } from './instance-sessions.ts';
import { LeaderDrain } from './leader-drain.ts';
import { LeaderMoves } from './leader-moves.ts';
import type { LeaderMovesOptions } from './leader-moves.ts';
import { Lease } from './lease.ts';
import { OperatorElections } from './operator-elections.ts';
import { PartitionNews } from './partition-news.ts';
import { PreferredLeaders } from './preferred-leaders.ts';
import { Reassignments } from './reassignments.ts';
import { ReplicaChanges } from './replica-changes.ts';
import { ReplicaSteps } from './replica-steps.ts';
import { RouteFeed } from './route-feed.ts';
import { TopicCreations } from './topic-creation.ts';
import { TopicDeletions } from './topic-deletion.ts';
import { topicService } from './topic-service.ts';
import { TopicUpdates } from './topic-updates.ts';

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

function wire(options: CoordinatorOptions, pool: ChannelPool, address: () => string) {
  const { config, store, clock, random, logger, runId, tracing, metrics, onWrongCluster } = options;
  const { clusterId, expectedBrokers, rebuildIncomplete } = config;
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
  const acting = { ...base, lease, orders, publisher };
  const audit = new AuditLog({ ...base, store, lease });
  const calls = new ElectionCalls({
    ...acting,
    news,
    onTombstone: (tombstone) => deletions.found(tombstone),
    onElected: (...elected) => noteLeader(model, audit, ...elected),
  });
  const elections = new Elections({ ...acting, calls, meter: new ElectionMeter(metrics) });
  const leaders = leaderWork({ ...acting, elections, meter: new LeaderMoveMeter(metrics) });
  const reassignments = new Reassignments({ ...base, lease, audit });
  const steps = new ReplicaSteps({ ...acting, moveLeader: (at, brokerIds) => leaders.moves.move(at, brokerIds) });
  const changes = new ReplicaChanges({ ...base, lease, steps, reassignments });
  const operator = new OperatorElections({ ...acting, elections, moves: leaders.moves, audit });
  const creations = new TopicCreations({ ...acting, store });
  const deletions = new TopicDeletions(acting);
  const updates = new TopicUpdates(acting);
  const shards = new GroupShards({ ...base, lease, creations, onAssigned: () => instanceSessions.sendShards() });
  const groupReplicas = new GroupReplicas({ ...base, lease, updates });
  const session = { ...base, clusterId, runId, lease };
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
  const shownState = () => storeState(config, store, lease);
  const balance = balanceWork({
    ...acting,
    store,
    audit,
    reassignments,
    replaceAfterMs: config.replaceAfter,
    storeState: shownState,
    clockOffsetsMs: () => brokerSessions.clockOffsetsMs(),
  });
  observeCoordinator(metrics, { model, lease, store, publisher });
  const relay = { pool, target: () => lease.relayTarget() };
  const heartbeat = beatOf([brokerSessions, instanceSessions], feed);
  const reconcile = () => {
    for (const part of [creations, deletions, updates, shards, groupReplicas]) part.reconcile();
    for (const part of [elections, leaders.drain, leaders.preferred, changes, balance, publisher, audit]) part.run();
  };
  const moving = { model, reassignments, publisher };
  const shown = { clusterId, model, clock, operator, moving, audit, relay, view: holder };
  return {
    lines,
    lease,
    feed,
    brokerSessions,
    instanceSessions,
    topicService: topicService({ model, creations, deletions, updates, audit, relay }),
    clusterService: clusterService({
      ...shown,
      balance,
      directory: { service: ServiceKind.SERVICE_KIND_COORDINATOR, version: PRODUCT_VERSION, clock },
      storeState: shownState,
    }),
    timers: () => [setInterval(heartbeat, BROKER_HEARTBEAT_MS), setInterval(reconcile, RECONCILE_MS)],
  };
}

/** Who moves leaders that are there. */
function leaderWork(options: LeaderMovesOptions) {
  const { state } = options.model;
  const moves = new LeaderMoves(options);
  const mayLead = (brokerId: number) => !isEmptied(state, brokerId);
  const isOn = () => effectiveClusterSettings(state.settings()).autoBalance;
  const drain = new LeaderDrain({ ...options, moves, mayLead });
  const preferred = new PreferredLeaders({ ...options, moves, isOn, mayLead });
  return { moves, drain, preferred };
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
  if (topic === undefined || topic.life === 'creating') return;
  audit.note('leader_elected', `${topic.name}/${plan.partition}`, '', { leader, epoch: plan.epoch, unclean });
}

/** The store as operators are told of it. */
function storeState(config: CoordinatorConfig, store: MetadataStore, lease: Lease): string {
  if (config.redisUrl === EMBEDDED_STORE) return 'embedded';
  if (store.state === 'down') return 'down';
  return lease.status() === 'suspect' ? 'suspect' : 'up';
}
