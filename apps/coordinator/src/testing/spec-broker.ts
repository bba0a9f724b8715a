/**
 * The coordinator's counterpart in its specs: speaks the peer protocol over real gRPC, keeps what a broker keeps on disk in
 * an object that survives its restarts, and stores no records.
 */
import { randomUUID } from 'node:crypto';
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
  DirectoryUpdate,
  LeadEntry,
  PromiseEntry,
  ReplicaToCreate,
  TopicConfig,
  TopicTombstone,
} from '@partita/protocol';
import { ChannelPool, openBidi } from '@partita/rpc/client';
import type { BidiStream } from '@partita/rpc/client';
import { createRpcServer, implement, unary } from '@partita/rpc/server';
import type { RpcServer } from '@partita/rpc/server';
import { createLogger } from '@partita/runtime';

interface DiskReplica {
  readonly made: ReplicaToCreate;
  promisedEpoch: number;
  nonce: string;
  lastEpoch: number;
}

/** What survives a restart. */
export interface SpecDisk {
  readonly brokerId: number;
  readonly directoryId: string;
  incarnation: bigint;
  readonly topics: Map<string, TopicConfig>;
  readonly replicas: Map<string, DiskReplica>;
  readonly tombstones: Map<string, TopicTombstone>;
}

export function newDisk(brokerId: number): SpecDisk {
  return {
    brokerId,
    directoryId: randomUUID(),
    incarnation: 0n,
    topics: new Map(),
    replicas: new Map(),
    tombstones: new Map(),
  };
}

export interface SpecBrokerOptions {
  readonly disk: SpecDisk;
  readonly clusterId: string;
  readonly coordinator: string;
  /** True = CreateReplicas fails. */
  readonly refusesReplicas?: boolean;
  /** What it takes to make promises durable; default 0. */
  readonly promiseMs?: number;
}

export class SpecBroker {
  readonly disk: SpecDisk;
  readonly directory: DirectoryUpdate[] = [];
  /** Why the last session ended; `open` while it has not. */
  ended: PartitaError | 'open' | undefined = 'open';
  promiseCallCount = 0;
  /** Most calls for promises that were under way at once. */
  promiseCallsAtOnceMax = 0;
  #promiseCallsNow = 0;
  readonly #options: SpecBrokerOptions;
  readonly #pool = new ChannelPool();
  readonly #server: RpcServer;
  /** Epoch that each partition leads, `<topic>/<partition>`; not on disk. */
  readonly #leading = new Map<string, number>();
  #session: BidiStream<BrokerSessionRequest> | undefined;
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
      tracing: false,
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
        leadBatch: unary(({ entries }) => ({ results: entries.map((entry) => this.#lead(entry)) })),
      }),
    );
    this.#server.addService(
      ReplicaServiceService,
      implement(ReplicaServiceService, {
        createReplicas: unary(({ topics, replicas }) => this.#create(topics, replicas)),
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
    this.#session = openBidi<BrokerSessionRequest, BrokerSessionResponse>(
      client,
      BrokerSessionServiceService.brokerSession,
      {
        onMessage: ({ message }) => {
          if (message?.$case === 'directory') this.directory.push(message.directory);
        },
        onClose: (error) => {
          clearInterval(this.#heartbeats);
          this.ended = error;
        },
      },
    );
    this.#session.send({ message: { $case: 'register', register: this.#register() } });
    this.#heartbeats = setInterval(() => this.heartbeat([...this.disk.replicas.keys()]), 200);
  }

  /** Kills the broker: session and server are gone at once. */
  stop(): void {
    this.silence();
    this.#session?.cancel();
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
    this.#session?.send({
      message: { $case: 'heartbeat', heartbeat: { changed, freeBytes: 1000n, wallMs: 0n, draining: false } },
    });
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
    });
  }

  #report(key: string): ReplicaInventory | undefined {
    const replica = this.disk.replicas.get(key);
    if (replica === undefined) return undefined;
    const { made, promisedEpoch, lastEpoch } = replica;
    const { topicId, partition, replicaId, config } = made;
    const leadingEpoch = this.#leading.get(key) ?? 0;
    return ReplicaInventory.fromPartial({
      topicId,
      partition,
      replicaId,
      config: config!,
      promisedEpoch,
      lastEpoch,
      leadingEpoch,
    });
  }

  #create(
    topics: readonly TopicConfig[],
    replicas: readonly ReplicaToCreate[],
  ): { results: { code: number; message: string; details: [] }[] } {
    if (this.#options.refusesReplicas === true) throw new PartitaError('STORAGE_FULL', 'no space left');
    for (const topic of topics) this.disk.topics.set(topic.topicId, topic);
    for (const made of replicas) {
      this.disk.replicas.set(`${made.topicId}/${made.partition}`, { made, promisedEpoch: 0, nonce: '', lastEpoch: 0 });
    }
    return { results: replicas.map(() => ({ code: 0, message: '', details: [] })) };
  }

  #bury(tombstone: TopicTombstone | undefined): number {
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
    if (replica?.made.replicaId !== replicaId)
      return PromiseResult.fromPartial({ error: { code: 5, message: 'no such replica' } });
    const text = Buffer.from(nonce).toString('hex');
    const granted = epoch > replica.promisedEpoch || (epoch === replica.promisedEpoch && text === replica.nonce);
    if (granted) {
      replica.promisedEpoch = epoch;
      replica.nonce = text;
      this.#leading.delete(key);
    }
    return PromiseResult.fromPartial({ granted, promisedEpoch: replica.promisedEpoch, lastEpoch: replica.lastEpoch });
  }

  #lead({ topicId, partition, epoch, nonce }: LeadEntry): LeadResult {
    const key = `${topicId}/${partition}`;
    const replica = this.disk.replicas.get(key);
    if (replica === undefined) return LeadResult.fromPartial({});
    const leading =
      replica.promisedEpoch === epoch &&
      replica.nonce === Buffer.from(nonce).toString('hex') &&
      replica.lastEpoch < epoch;
    if (leading) {
      replica.lastEpoch = epoch;
      this.#leading.set(key, epoch);
    }
    return LeadResult.fromPartial({ leading, promisedEpoch: replica.promisedEpoch, config: replica.made.config! });
  }
}
