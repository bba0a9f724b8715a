/** Brokers that hold replicas of one partition, and a coordinator's hand to elect leaders and to tell who leads. */
import { randomBytes, randomUUID } from 'node:crypto';
import {
  Broker,
  ElectionServiceService,
  FlushMode,
  ReplicaServiceService,
  ReplicationServiceService,
  TopicRoute,
  TopicSettings,
  WatchRoutesResponse,
} from '@partita/protocol';
import type {
  DigestResponse,
  IsrEntry,
  PromiseResult,
  Replica,
  ReplicaConfigRecord,
  TopicConfig,
} from '@partita/protocol';
import type { TracingMode } from '@partita/rpc';
import { callUnary } from '@partita/rpc/client';
import { parseAddress } from '@partita/runtime';
import { CLUSTER_ID, TestBroker } from './broker.fixture.ts';
import { FakeCoordinator } from './fake-coordinator.ts';

export const TOPIC_ID = '0190a000-0000-7000-8000-00000000aaaa';

/** What a spec wants of the brokers. */
export interface ReplicaSetOptions {
  /** Takes every line of every broker's log, as JSON. */
  readonly onLog?: (line: string) => void;
  readonly tracing?: TracingMode;
  readonly flush?: FlushMode;
}

export class ReplicaSet {
  readonly coordinator: FakeCoordinator;
  readonly brokers: TestBroker[] = [];
  readonly topic = 'flights';
  readonly #address: string;
  /** Who is asked for promises. */
  replicas: Replica[] = [];
  minInSyncReplicas = 1;
  #version = 0n;
  epoch = 0;
  readonly #options: ReplicaSetOptions;

  private constructor(coordinator: FakeCoordinator, address: string, options: ReplicaSetOptions) {
    this.#options = options;
    this.coordinator = coordinator;
    this.#address = address;
  }

  static async start(
    count: number,
    minInSyncReplicas: number,
    settings: Partial<TopicSettings> = {},
    options: ReplicaSetOptions = {},
  ): Promise<ReplicaSet> {
    const coordinator = new FakeCoordinator('127.0.0.1:0');
    const { address } = await coordinator.server.start();
    const set = new ReplicaSet(coordinator, address, options);
    for (let id = 1; id <= count; id += 1) {
      const broker = await set.startBroker(id);
      set.replicas.push({ brokerId: id, directoryId: await broker.directoryId(), replicaId: randomUUID() });
    }
    set.minInSyncReplicas = minInSyncReplicas;
    await set.#createReplicas(settings, options);
    return set;
  }

  /** Starts a broker, on an earlier directory when one is given; it takes the place of the earlier one. */
  async startBroker(id: number, dir?: string): Promise<TestBroker> {
    const { onLog, tracing = 'off' } = this.#options;
    const metricsListen = parseAddress('127.0.0.1:0');
    const coordinators = [parseAddress(this.#address)];
    const broker = await TestBroker.start(dir, { id, coordinators, metricsListen }, onLog, tracing);
    this.brokers[id - 1] = broker;
    return broker;
  }

  broker(id: number): TestBroker {
    const broker = this.brokers[id - 1];
    if (broker === undefined) throw new RangeError(`there is no broker ${id}`);
    return broker;
  }

  async stop(): Promise<void> {
    for (const broker of this.brokers) {
      await broker.stop();
      await broker.remove();
    }
    this.coordinator.server.close();
  }

  /** As it is when it is made. */
  topicConfig(settings: Partial<TopicSettings> = {}): TopicConfig {
    return {
      topic: this.topic,
      topicId: TOPIC_ID,
      version: 1n,
      partitions: [{ partition: 0, hashMin: 0, hashMax: 2 ** 32 - 1 }],
      replicationFactor: this.replicas.length,
      settings: TopicSettings.fromPartial(settings),
      createTimeMs: 1n,
      requestId: '',
    };
  }

  async #createReplicas(
    settings: Partial<TopicSettings>,
    { flush = FlushMode.FLUSH_MODE_FSYNC }: ReplicaSetOptions,
  ): Promise<void> {
    const { minInSyncReplicas } = this;
    const topic = this.topicConfig(settings);
    const config: ReplicaConfigRecord = {
      configVersion: 1,
      replicas: this.replicas,
      learners: [],
      minInSyncReplicas,
      flush,
    };
    for (const { brokerId, replicaId } of this.replicas) {
      await callUnary(this.broker(brokerId).peer, ReplicaServiceService.createReplicas, {
        clusterId: CLUSTER_ID,
        topics: [topic],
        replicas: [{ topicId: TOPIC_ID, partition: 0, replicaId, config, promisedEpoch: 0 }],
      });
    }
  }

  async promise(ids: readonly number[], epoch: number, nonce: Uint8Array): Promise<PromiseResult[]> {
    const asked = this.replicas.filter(({ brokerId }) => ids.includes(brokerId));
    return Promise.all(
      asked.map(async ({ brokerId, replicaId }) => {
        const { results } = await callUnary(this.broker(brokerId).peer, ElectionServiceService.promiseBatch, {
          clusterId: CLUSTER_ID,
          coordinatorRunId: randomUUID(),
          entries: [{ topicId: TOPIC_ID, partition: 0, replicaId, epoch, nonce }],
        });
        if (results[0]?.granted !== true) throw new Error(`broker ${brokerId} does not grant epoch ${epoch}`);
        return results[0];
      }),
    );
  }

  /** Promises from these brokers, the first of which then leads the next epoch; everybody is told. */
  async elect(ids: readonly number[], unclean = false): Promise<void> {
    this.epoch += 1;
    const nonce = randomBytes(16);
    const promises = await this.promise([...ids].sort(), this.epoch, nonce);
    const [leaderId = 0] = ids;
    const reported = promises[[...ids].sort().indexOf(leaderId)];
    const replica = this.replicas.find(({ brokerId }) => brokerId === leaderId);
    const { results } = await callUnary(this.broker(leaderId).peer, ElectionServiceService.leadBatch, {
      clusterId: CLUSTER_ID,
      coordinatorRunId: randomUUID(),
      entries: [
        {
          topicId: TOPIC_ID,
          partition: 0,
          replicaId: replica?.replicaId ?? '',
          epoch: this.epoch,
          nonce,
          lastEpoch: reported?.lastEpoch ?? 0,
          logEndOffset: reported?.logEndOffset ?? 0n,
          unclean,
          configFloor: 0,
        },
      ],
    });
    if (results[0]?.leading !== true) throw new Error(`broker ${leaderId} does not lead epoch ${this.epoch}`);
    this.tell(leaderId);
  }

  tell(leaderId: number): void {
    this.#version += 1n;
    const route = TopicRoute.fromPartial({
      topic: this.topic,
      topicId: TOPIC_ID,
      version: this.#version,
      partitions: [{ partition: 0, leaderId, leaderEpoch: this.epoch }],
    });
    const brokers = this.brokers.map(({ address }, index) => Broker.fromPartial({ brokerId: index + 1, address }));
    const peers = this.brokers.map(({ service }, index) => ({
      brokerId: index + 1,
      peerAddress: String(service.ready['peerAddress']),
    }));
    const routes = WatchRoutesResponse.fromPartial({ reset: true, complete: true, routes: [route], brokers });
    this.coordinator.tell({ routes, leaseToken: 1n, peers });
  }

  /** The last in-sync set that the leader of the epoch has told. */
  get inSyncIds(): number[] {
    const reports = this.coordinator.received.flatMap((message): IsrEntry[] =>
      message?.$case === 'reportIsr' ? message.reportIsr.entries : [],
    );
    return reports.findLast(({ leaderEpoch }) => leaderEpoch === this.epoch)?.inSyncIds ?? [];
  }

  async untilInSync(...ids: number[]): Promise<void> {
    await this.coordinator.until(() => String(this.inSyncIds.toSorted()) === String(ids));
  }

  /** Checksums of everything below the offset. */
  async digest(id: number, endOffset: bigint): Promise<DigestResponse> {
    const request = { clusterId: CLUSTER_ID, topicId: TOPIC_ID, partition: 0, startOffset: 0n, endOffset };
    return callUnary(this.broker(id).peer, ReplicationServiceService.digest, request);
  }

  /** The same on these brokers, once their high watermarks are there. */
  async untilEqual(ids: readonly number[], endOffset: bigint): Promise<void> {
    const endMs = performance.now() + 5000;
    for (;;) {
      try {
        const digests = await Promise.all(ids.map((id) => this.digest(id, endOffset)));
        if (new Set(digests.map(({ crc }) => crc)).size > 1) throw new Error('replicas differ');
        return;
      } catch (error) {
        if (performance.now() > endMs) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }
}
