/** A coordinator's hand to change the replica set of the one partition of a ReplicaSet, step by step. */
import { randomBytes, randomUUID } from 'node:crypto';
import { ElectionServiceService, FlushMode, ReplicaServiceService } from '@partita/protocol';
import type {
  PromiseResult,
  ProposeConfigResponse,
  Replica,
  ReplicaConfigRecord,
  ReplicaInventory,
} from '@partita/protocol';
import { PartitaError } from '@partita/domain';
import { fromRpcStatus } from '@partita/rpc';
import { callUnary } from '@partita/rpc/client';
import { batchOf, CLUSTER_ID, entryFor, reasonOf } from './broker.fixture.ts';
import { TOPIC_ID } from './replica-set.fixture.ts';
import type { ReplicaSet } from './replica-set.fixture.ts';

const UNTIL_MS_MAX = 15_000;

export class ReplicaChange {
  readonly #set: ReplicaSet;
  /** The last that was committed. */
  config: ReplicaConfigRecord;

  constructor(set: ReplicaSet) {
    this.#set = set;
    const { minInSyncReplicas } = set;
    const flush = FlushMode.FLUSH_MODE_FSYNC;
    this.config = { configVersion: 1, replicas: [...set.replicas], learners: [], minInSyncReplicas, flush };
  }

  /** An id for a replica that is yet to be made. */
  async freshReplica(brokerId: number): Promise<Replica> {
    return { brokerId, directoryId: await this.#set.broker(brokerId).directoryId(), replicaId: randomUUID() };
  }

  next(change: Partial<ReplicaConfigRecord>): ReplicaConfigRecord {
    return { ...this.config, configVersion: this.config.configVersion + 1, ...change };
  }

  /** Asks the broker to append the set, whatever it is. */
  async propose(leaderId: number, config: ReplicaConfigRecord, deadlineMs = 5000): Promise<ProposeConfigResponse> {
    const { epoch: leaderEpoch } = this.#set;
    const request = { clusterId: CLUSTER_ID, topicId: TOPIC_ID, partition: 0, leaderEpoch, config };
    const { peer } = this.#set.broker(leaderId);
    return callUnary(peer, ReplicaServiceService.proposeConfig, request, { deadlineMs });
  }

  /** Changes the set, as soon as the leader takes it. */
  async change(leaderId: number, change: Partial<ReplicaConfigRecord>): Promise<bigint> {
    const config = this.next(change);
    for (const endMs = performance.now() + UNTIL_MS_MAX; ;) {
      try {
        const { offset } = await this.propose(leaderId, config);
        this.config = config;
        this.#set.replicas = [...config.replicas];
        return offset;
      } catch (error) {
        const isLater = error instanceof PartitaError && error.reason === 'REPLICA_CHANGE_REFUSED';
        if (!isLater || performance.now() > endMs) throw error;
        // A broker that was started meanwhile has to hear it again.
        this.#set.tell(leaderId);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  /** Makes the replica on its broker, of the set that is given; throws why not. */
  async make(
    { brokerId, replicaId }: Replica,
    config: ReplicaConfigRecord = this.config,
    promisedEpoch: number = this.#set.epoch,
  ): Promise<void> {
    const { results } = await callUnary(this.#set.broker(brokerId).peer, ReplicaServiceService.createReplicas, {
      clusterId: CLUSTER_ID,
      topics: [this.#set.topicConfig()],
      replicas: [{ topicId: TOPIC_ID, partition: 0, replicaId, config, promisedEpoch }],
    });
    const [status] = results;
    if (status === undefined || status.code !== 0) throw fromRpcStatus(status ?? { code: 2, message: '', details: [] });
  }

  async delete(
    { brokerId, replicaId }: Replica,
    configVersion: number = this.config.configVersion,
    leaderEpoch: number = this.#set.epoch,
  ): Promise<void> {
    await callUnary(this.#set.broker(brokerId).peer, ReplicaServiceService.deleteReplica, {
      clusterId: CLUSTER_ID,
      topicId: TOPIC_ID,
      partition: 0,
      replicaId,
      configVersion,
      leaderEpoch,
    });
  }

  /** The answer to a request for a promise, granted or not. */
  async ask({ brokerId, replicaId }: Replica, epoch: number): Promise<PromiseResult> {
    const { results } = await callUnary(this.#set.broker(brokerId).peer, ElectionServiceService.promiseBatch, {
      clusterId: CLUSTER_ID,
      coordinatorRunId: randomUUID(),
      entries: [{ topicId: TOPIC_ID, partition: 0, replicaId, epoch, nonce: randomBytes(16) }],
    });
    const [result] = results;
    if (result === undefined) throw new Error('no answer for the entry');
    return result;
  }

  /** What the broker has said of its replica last; undefined before. */
  reported({ replicaId }: Replica): ReplicaInventory | undefined {
    const said = this.#set.coordinator.received.flatMap((message): ReplicaInventory[] => {
      if (message?.$case === 'register') return message.register.inventory;
      return message?.$case === 'heartbeat' ? message.heartbeat.changed : [];
    });
    return said.findLast((report) => report.replicaId === replicaId);
  }
}

/** Appends one record after the other to whoever leads, and again what was refused. */
export class Appending {
  readonly #set: ReplicaSet;
  leaderId: number;
  acknowledged = 0;
  /** Refusals that were met, by reason. */
  readonly refusals = new Map<string, number>();
  /** Behind the last one acknowledged. */
  end = 0n;
  #isOver = false;
  readonly #running: Promise<void>;

  constructor(set: ReplicaSet, leaderId: number) {
    this.#set = set;
    this.leaderId = leaderId;
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      const entry = entryFor(this.#set.topic, batchOf(`record ${this.acknowledged}`));
      const [result] = await this.#set.broker(this.leaderId).append(entry);
      if (result?.outcome?.$case === 'ack') {
        this.acknowledged += 1;
        this.end = result.outcome.ack.baseOffset + 1n;
      } else this.refusals.set(reasonOf(result), (this.refusals.get(reasonOf(result)) ?? 0) + 1);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}
