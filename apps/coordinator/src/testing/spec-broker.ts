/**
 * The coordinator's counterpart in its specs: speaks the peer protocol over real gRPC, keeps what a broker keeps on disk in
 * an object that survives its restarts, and stores no records. Followers find their leader by the directory that they are
 * sent and have what it has at once, as long as its broker runs.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { PartitaError, PEER_PROTOCOL_VERSION } from '@partita/domain';
import {
  BrokerRegister,
  BrokerSessionServiceService,
  ElectionServiceService,
  LeadResult,
  PromiseResult,
  ReplicaInventory,
  ReplicaServiceService,
} from '@partita/protocol';
import type {
  BrokerSessionRequest,
  BrokerSessionResponse,
  DeleteReplicaRequest,
  DeleteReplicaResponse,
  DirectoryUpdate,
  LeadEntry,
  PromiseEntry,
  ProposeConfigRequest,
  ProposeConfigResponse,
  ReplicaConfigRecord,
  ReplicaToCreate,
  Status,
  TopicConfig,
  TopicRoute,
  TopicTombstone,
} from '@partita/protocol';
import { toRpcStatus } from '@partita/rpc';
import type { TracingMode } from '@partita/rpc';
import { ChannelPool, openBidi } from '@partita/rpc/client';
import type { BidiStream } from '@partita/rpc/client';
import { createRpcServer, implement, unary } from '@partita/rpc/server';
import type { RpcServer } from '@partita/rpc/server';
import { createLogger } from '@partita/runtime';
import { BYTES_OF_RECORD, checkProposal, deleteReplica, makeReplica } from './spec-disk.ts';
import type { DiskReplica, SpecDisk } from './spec-disk.ts';

export interface SpecBrokerOptions {
  readonly disk: SpecDisk;
  readonly clusterId: string;
  readonly coordinator: string;
  readonly tracing: TracingMode;
  /** True = CreateReplicas fails. */
  readonly refusesReplicas?: boolean;
  /** What it takes to make promises durable; default 0. */
  readonly promiseMs?: number;
  /** Another broker, if it runs. */
  readonly peer: (brokerId: number) => SpecBroker | undefined;
}

export class SpecBroker {
  readonly disk: SpecDisk;
  readonly directory: DirectoryUpdate[] = [];
  /** Why the last session ended; `open` while it has not. */
  ended: PartitaError | 'open' | undefined = 'open';
  promiseCallCount = 0;
  /** Answers orders to lead with a failure, this many times. */
  leadFailures = 0;
  stopped = false;
  /** Brokers that it does not hear, and that do not hear it. */
  cutFromIds: readonly number[] = [];
  /** Told with each heartbeat. */
  isDraining = false;
  /** Partitions of each call to pause. */
  readonly pausedCounts: number[] = [];
  /** True = as a leader it tells with each heartbeat that the members that run are in sync. */
  tellsInSync = false;
  #toldVersion = 0;
  /** Its followers do not draw level. */
  neverLevel = false;
  /** True = its replicas copy nothing. */
  holdsBack = false;
  /** Its journal takes no tombstones. */
  takesNoTombstones = false;
  /** Takes proposals and answers that nobody knows, this many times. */
  unknownProposals = 0;
  /** Sets that it has put into force, as leader. */
  readonly proposed: ReplicaConfigRecord[] = [];
  /** Most calls for promises that were under way at once. */
  promiseCallsAtOnceMax = 0;
  #promiseCallsNow = 0;
  readonly #options: SpecBrokerOptions;
  readonly #pool = new ChannelPool();
  readonly #server: RpcServer;
  /** Epoch that each partition leads, `<topic>/<partition>`; not on disk. */
  readonly #leading = new Map<string, number>();
  readonly #routes = new Map<string, TopicRoute>();
  readonly #sessions = new Set<BidiStream<BrokerSessionRequest>>();
  #heartbeats: NodeJS.Timeout | undefined;
  #peerAddress = '';

  private constructor(options: SpecBrokerOptions) {
    this.#options = options;
    this.disk = options.disk;
    const logger = createLogger({ service: 'spec-broker', instance: String(options.disk.brokerId), level: 'silent' });
    this.#server = createRpcServer({
      name: 'spec-broker',
      listen: '127.0.0.1:0',
      limits: 'peer',
      logger,
      tracing: options.tracing,
    });
    this.#server.addService(
      ElectionServiceService,
      implement(ElectionServiceService, {
        promiseBatch: unary(async ({ entries }) => {
          this.promiseCallCount += 1;
          this.#promiseCallsNow += 1;
          this.promiseCallsAtOnceMax = Math.max(this.promiseCallsAtOnceMax, this.#promiseCallsNow);
          const { promiseMs = 0 } = this.#options;
          if (promiseMs > 0) await sleep(promiseMs);
          this.#promiseCallsNow -= 1;
          return { results: entries.map((entry) => this.#promise(entry)) };
        }),
        leadBatch: unary(({ entries }) => {
          if (this.leadFailures > 0) {
            this.leadFailures -= 1;
            throw new PartitaError('SHUTTING_DOWN', 'as the test wants it');
          }
          return { results: entries.map((entry) => this.#lead(entry)) };
        }),
        pauseAppends: unary(({ entries }) => {
          this.pausedCounts.push(entries.length);
          return { logEndOffsets: entries.map((entry) => this.#pause(entry)) };
        }),
      }),
    );
    this.#server.addService(
      ReplicaServiceService,
      implement(ReplicaServiceService, {
        createReplicas: unary(({ topics, replicas }) => this.#create(topics, replicas)),
        proposeConfig: unary((request) => this.#propose(request)),
        deleteReplica: unary((request) => this.#delete(request)),
        deleteTopicReplicas: unary(({ tombstone }) => ({ removedCount: this.#bury(tombstone) })),
        updateTopicConfigs: unary(({ topics }) => {
          for (const topic of topics) this.disk.topics.set(topic.topicId, topic);
          return {};
        }),
      }),
    );
  }

  static async start(options: SpecBrokerOptions): Promise<SpecBroker> {
    const broker = new SpecBroker(options);
    broker.disk.incarnation += 1n;
    broker.#peerAddress = (await broker.#server.start()).address;
    broker.dial(options.coordinator);
    return broker;
  }

  /** Opens a session, as after a coordinator's restart: what it leads it goes on leading. */
  dial(coordinator: string): void {
    const client = this.#pool.client(coordinator);
    this.ended = 'open';
    const session = openBidi<BrokerSessionRequest, BrokerSessionResponse>(
      client,
      BrokerSessionServiceService.brokerSession,
      {
        onMessage: ({ message }) => {
          if (message?.$case === 'directory') this.#learn(message.directory);
        },
        onClose: (error) => {
          this.#sessions.delete(session);
          this.ended = error;
        },
      },
    );
    this.#sessions.add(session);
    session.send({ message: { $case: 'register', register: this.#register() } });
    clearInterval(this.#heartbeats);
    this.#heartbeats = setInterval(() => this.heartbeat([...this.disk.replicas.keys()]), 200);
  }

  /** Loses its coordinators; its peers still hear it. */
  cutOff(): void {
    for (const session of this.#sessions) session.cancel();
  }

  /** Kills the broker: session and server are gone at once. */
  stop(): void {
    this.stopped = true;
    this.silence();
    this.cutOff();
    this.#server.close();
    this.#pool.close();
  }

  /** Goes on living without a word, as a stopped process does. */
  silence(): void {
    clearInterval(this.#heartbeats);
  }

  /** Stops leading of its own accord, as after a disk fault. */
  resign(): void {
    this.#leading.clear();
  }

  leadingEpochs(): number[] {
    return [...this.#leading.values()];
  }

  heartbeat(keys: readonly string[]): void {
    const changed = keys.flatMap((key) => this.#report(key) ?? []);
    const heartbeat = { changed, freeBytes: 1000n, wallMs: 0n, draining: this.isDraining, topics: [], tombstones: [] };
    for (const session of this.#sessions) session.send({ message: { $case: 'heartbeat', heartbeat } });
    if (this.tellsInSync) this.#tellInSync();
  }

  #tellInSync(): void {
    this.#toldVersion += 1;
    for (const key of this.#leading.keys()) {
      const members = this.disk.replicas.get(key)?.config.replicas ?? [];
      const running = members.map(({ brokerId }) => brokerId).filter((id) => this.#options.peer(id) !== undefined);
      this.reportInSync(key, running, this.#toldVersion);
    }
  }

  /** Tells who is in sync with a partition that it leads. */
  reportInSync(key: string, inSyncIds: number[], isrVersion: number): void {
    const { topicId, partition } = this.disk.replicas.get(key)!.made;
    const entry = { topicId, partition, leaderEpoch: this.#leading.get(key) ?? 0, isrVersion, inSyncIds };
    for (const session of this.#sessions)
      session.send({ message: { $case: 'reportIsr', reportIsr: { entries: [entry] } } });
  }

  #learn(update: DirectoryUpdate): void {
    if ((update.settings?.version ?? 0n) > (this.disk.settings?.version ?? 0n)) this.disk.settings = update.settings;
    this.directory.push(update);
    for (const route of update.routes?.routes ?? []) this.#routes.set(route.topicId, route);
  }

  /** Takes over what the leader has; the leader's id, 0 when there is none to follow. */
  #follow(key: string, replica: DiskReplica): number {
    const { topicId, partition } = replica.made;
    const { leaderId = 0, leaderEpoch = 0 } = this.#routes.get(topicId)?.partitions[partition] ?? {};
    const leader = this.#options.peer(leaderId);
    if (leaderId === this.disk.brokerId || leader?.leads(key) !== leaderEpoch) return 0;
    if (this.cutFromIds.includes(leaderId) || leader.cutFromIds.includes(this.disk.brokerId)) return 0;
    if (leaderEpoch < replica.promisedEpoch) return 0;
    if (this.holdsBack) return leaderId;
    const { lastEpoch, logEnd, config } = leader.disk.replicas.get(key)!;
    Object.assign(replica, { promisedEpoch: leaderEpoch, lastEpoch, logEnd, config, suspect: false });
    return leaderId;
  }

  /** The epoch that it leads; undefined when it does not. */
  leads(key: string): number | undefined {
    return this.#leading.get(key);
  }

  #register(): BrokerRegister {
    const { brokerId, directoryId, incarnation, replicas, topics, tombstones } = this.disk;
    return BrokerRegister.fromPartial({
      clusterId: this.#options.clusterId,
      protocolVersion: PEER_PROTOCOL_VERSION,
      brokerId,
      directoryId,
      incarnation,
      address: `127.0.0.1:${9000 + brokerId}`,
      peerAddress: this.#peerAddress,
      inventory: [...replicas.keys()].flatMap((key) => this.#report(key) ?? []),
      topics: [...topics.values()],
      tombstones: [...tombstones.values()],
      version: '0.1.0',
      settings: this.disk.settings,
    });
  }

  #report(key: string): ReplicaInventory | undefined {
    const replica = this.disk.replicas.get(key);
    if (replica === undefined) return undefined;
    const followingId = this.#follow(key, replica);
    const { made, config, promisedEpoch, lastEpoch, logEnd: logEndOffset, suspect } = replica;
    const { topicId, partition, replicaId } = made;
    const leadingEpoch = this.#leading.get(key) ?? 0;
    return ReplicaInventory.fromPartial({
      topicId,
      partition,
      replicaId,
      config,
      configFloor: config.configVersion,
      promisedEpoch,
      lastEpoch,
      logEndOffset,
      highWatermark: logEndOffset,
      logBytes: BYTES_OF_RECORD * logEndOffset,
      suspect,
      leadingEpoch,
      followingId,
    });
  }

  #create(topics: readonly TopicConfig[], replicas: readonly ReplicaToCreate[]): { results: Status[] } {
    if (this.#options.refusesReplicas === true) throw new PartitaError('STORAGE_FULL', 'no space left');
    for (const topic of topics) this.disk.topics.set(topic.topicId, topic);
    return { results: replicas.map((made) => makeReplica(this.disk, made)) };
  }

  /** Followers have it with their next report. */
  #propose({ topicId, partition, leaderEpoch, config }: ProposeConfigRequest): ProposeConfigResponse {
    const key = `${topicId}/${partition}`;
    const replica = this.disk.replicas.get(key);
    if (replica === undefined || config === undefined || this.#leading.get(key) !== leaderEpoch)
      throw new PartitaError('NOT_LEADER', 'this broker does not lead it');
    checkProposal(replica, config, (brokerId) => this.#options.peer(brokerId)?.disk.replicas.get(key));
    replica.config = config;
    replica.logEnd += 1n;
    this.proposed.push(config);
    if (this.unknownProposals > 0) {
      this.unknownProposals -= 1;
      throw new PartitaError('OUTCOME_UNKNOWN', 'as the test wants it');
    }
    return { offset: replica.logEnd - 1n };
  }

  #delete(request: DeleteReplicaRequest): DeleteReplicaResponse {
    deleteReplica(this.disk, request);
    this.#leading.delete(`${request.topicId}/${request.partition}`);
    return {};
  }

  #bury(tombstone: TopicTombstone | undefined): number {
    if (this.takesNoTombstones) throw new PartitaError('STORAGE_FAILED', 'as the test wants it');
    if (tombstone === undefined) throw new PartitaError('INVALID_REQUEST', 'tombstone is required');
    this.disk.tombstones.set(tombstone.topicId, tombstone);
    this.disk.topics.delete(tombstone.topicId);
    const gone = [...this.disk.replicas.keys()].filter((key) => key.startsWith(`${tombstone.topicId}/`));
    for (const key of gone) {
      this.disk.replicas.delete(key);
      this.#leading.delete(key);
    }
    return gone.length;
  }

  #promise({ topicId, partition, replicaId, epoch, nonce }: PromiseEntry): PromiseResult {
    const key = `${topicId}/${partition}`;
    const replica = this.disk.replicas.get(key);
    const { deleteId } = this.disk.tombstones.get(topicId) ?? {};
    if (deleteId !== undefined)
      return PromiseResult.fromPartial({
        error: toRpcStatus(new PartitaError('TOPIC_NOT_FOUND', 'the topic is deleted', { delete_id: deleteId })),
      });
    const floor = this.disk.floors.get(key);
    if (replica?.made.replicaId !== replicaId && floor !== undefined)
      return PromiseResult.fromPartial({ promisedEpoch: floor.epoch, configFloor: floor.configVersion });
    if (replica?.made.replicaId !== replicaId)
      return PromiseResult.fromPartial({ error: { code: 5, message: 'no such replica' } });
    const text = Buffer.from(nonce).toString('hex');
    const granted = epoch > replica.promisedEpoch || (epoch === replica.promisedEpoch && text === replica.nonce);
    if (granted) {
      replica.promisedEpoch = epoch;
      replica.nonce = text;
      this.#leading.delete(key);
    }
    const { promisedEpoch, lastEpoch, logEnd: logEndOffset, suspect, config } = replica;
    const known = { configs: [config], configFloor: config.configVersion };
    return PromiseResult.fromPartial({ granted, promisedEpoch, lastEpoch, logEndOffset, suspect, ...known });
  }

  /** Answers once the successor holds what it holds itself: at once. */
  #pause({ topicId, partition, epoch, replicaId }: LeadEntry): bigint {
    const key = `${topicId}/${partition}`;
    const own = this.disk.replicas.get(key);
    if (own === undefined || this.neverLevel || this.#leading.get(key) !== epoch) return -1n;
    const successor = own.config.replicas.find((replica) => replica.replicaId === replicaId);
    const copy = this.#options.peer(successor?.brokerId ?? 0)?.disk.replicas.get(key);
    if (copy === undefined) return -1n;
    Object.assign(copy, { lastEpoch: own.lastEpoch, logEnd: own.logEnd, config: own.config });
    return own.logEnd;
  }

  #lead({ topicId, partition, epoch, nonce, unclean }: LeadEntry): LeadResult {
    const key = `${topicId}/${partition}`;
    const replica = this.disk.replicas.get(key);
    if (replica === undefined) return LeadResult.fromPartial({});
    const leading =
      replica.promisedEpoch === epoch &&
      replica.nonce === Buffer.from(nonce).toString('hex') &&
      replica.lastEpoch < epoch &&
      (unclean || !replica.suspect);
    if (leading) {
      replica.lastEpoch = epoch;
      replica.logEnd += 1n;
      this.#leading.set(key, epoch);
    }
    return LeadResult.fromPartial({ leading, promisedEpoch: replica.promisedEpoch, config: replica.config });
  }
}
