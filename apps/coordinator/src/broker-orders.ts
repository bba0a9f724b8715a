/** The coordinator's orders to brokers, as calls. Each is idempotent, so whoever sends one may send it again. */
import type { ReplicaConfig, Tombstone, TopicDefinition } from '@partita/cluster';
import type { ClusterModel } from './cluster-model.ts';
import { LEADER_PAUSE_MS_MAX, PartitaError, PEER_CALL_ENTRY_COUNT_MAX, PEER_CALL_MS_MAX } from '@partita/domain';
import { ElectionServiceService, ReplicaServiceService } from '@partita/protocol';
import type { LeadEntry, LeadResult, PromiseEntry, PromiseResult, ReplicaToCreate } from '@partita/protocol';
import { fromRpcStatus } from '@partita/rpc';
import { callUnary } from '@partita/rpc/client';
import type { ChannelPool } from '@partita/rpc/client';
import { configMessage, definitionMessage, tombstoneMessage } from './peer-messages.ts';

export interface BrokerOrdersOptions {
  readonly clusterId: string;
  readonly coordinatorRunId: string;
  readonly model: ClusterModel;
  readonly pool: ChannelPool;
}

/** A replica to make, with the replica set of its partition. */
export interface NewReplica {
  readonly partition: number;
  readonly replicaId: string;
  readonly config: ReplicaConfig;
  /** Epoch of the leader that took it in as a learner; absent for the first replicas of a topic. */
  readonly promisedEpoch?: number;
}

/** What a leader is asked to put into its log. */
export interface ConfigProposal {
  readonly topicId: string;
  readonly partition: number;
  readonly leaderEpoch: number;
  readonly config: ReplicaConfig;
}

/** A replica that left the set. */
export interface LeftReplica {
  readonly topicId: string;
  readonly partition: number;
  readonly replicaId: string;
  /** Committed, and without it. */
  readonly configVersion: number;
  /** Epoch of the leader that knows that. */
  readonly leaderEpoch: number;
}

export class BrokerOrders {
  readonly #options: BrokerOrdersOptions;

  constructor(options: BrokerOrdersOptions) {
    this.#options = options;
  }

  /** Answers when they are durable. Throws the first fault of any. */
  async createReplicas(brokerId: number, definition: TopicDefinition, replicas: readonly NewReplica[]): Promise<void> {
    const { clusterId } = this.#options;
    const topics = [definitionMessage(definition)];
    for (const chunk of chunks(replicas)) {
      const entries = chunk.map(({ partition, replicaId, config, promisedEpoch = 0 }): ReplicaToCreate => ({
        topicId: definition.topicId,
        partition,
        replicaId,
        config: configMessage(config),
        promisedEpoch,
      }));
      const request = { clusterId, topics, replicas: entries };
      const { results } = await callUnary(this.#client(brokerId), ReplicaServiceService.createReplicas, request, {
        deadlineMs: 2 * PEER_CALL_MS_MAX,
      });
      const fault = results.find(({ code }) => code !== 0);
      if (fault !== undefined) throw fromRpcStatus(fault);
      if (results.length !== entries.length) throw badAnswer(brokerId);
    }
  }

  /** Answers when the set is committed. OUTCOME_UNKNOWN: it may be, or may be yet. */
  async proposeConfig(brokerId: number, { config, ...rest }: ConfigProposal): Promise<void> {
    const request = { clusterId: this.#options.clusterId, ...rest, config: configMessage(config) };
    await callUnary(this.#client(brokerId), ReplicaServiceService.proposeConfig, request, {
      deadlineMs: PEER_CALL_MS_MAX,
    });
  }

  /** Answers when it is gone, also when it was gone before. */
  async deleteReplica(brokerId: number, replica: LeftReplica): Promise<void> {
    const request = { clusterId: this.#options.clusterId, ...replica };
    try {
      await callUnary(this.#client(brokerId), ReplicaServiceService.deleteReplica, request, {
        deadlineMs: PEER_CALL_MS_MAX,
      });
    } catch (error) {
      if (!(error instanceof PartitaError) || error.reason !== 'REPLICA_NOT_FOUND') throw error;
    }
  }

  async deleteTopic(brokerId: number, tombstone: Tombstone): Promise<void> {
    const request = { clusterId: this.#options.clusterId, tombstone: tombstoneMessage(tombstone) };
    await callUnary(this.#client(brokerId), ReplicaServiceService.deleteTopicReplicas, request, {
      deadlineMs: PEER_CALL_MS_MAX,
    });
  }

  async updateTopicConfigs(brokerId: number, definitions: readonly TopicDefinition[]): Promise<void> {
    const request = { clusterId: this.#options.clusterId, topics: definitions.map(definitionMessage) };
    await callUnary(this.#client(brokerId), ReplicaServiceService.updateTopicConfigs, request, {
      deadlineMs: PEER_CALL_MS_MAX,
    });
  }

  async promise(brokerId: number, entries: PromiseEntry[]): Promise<readonly PromiseResult[]> {
    const { clusterId, coordinatorRunId } = this.#options;
    const request = { clusterId, coordinatorRunId, entries };
    const options = { deadlineMs: PEER_CALL_MS_MAX };
    const { results } = await callUnary(this.#client(brokerId), ElectionServiceService.promiseBatch, request, options);
    if (results.length !== entries.length) throw badAnswer(brokerId);
    return results;
  }

  async lead(brokerId: number, entries: LeadEntry[]): Promise<readonly LeadResult[]> {
    const { clusterId, coordinatorRunId } = this.#options;
    const request = { clusterId, coordinatorRunId, entries };
    const options = { deadlineMs: PEER_CALL_MS_MAX };
    const { results } = await callUnary(this.#client(brokerId), ElectionServiceService.leadBatch, request, options);
    if (results.length !== entries.length) throw badAnswer(brokerId);
    return results;
  }

  /** Ends of the logs whose leaders pause, their followers level; -1 where that is not so. */
  async pause(brokerId: number, entries: LeadEntry[]): Promise<readonly bigint[]> {
    const request = { clusterId: this.#options.clusterId, entries };
    // What comes later is of no use: the pauses are over.
    const options = { deadlineMs: LEADER_PAUSE_MS_MAX };
    const client = this.#client(brokerId);
    const { logEndOffsets } = await callUnary(client, ElectionServiceService.pauseAppends, request, options);
    if (logEndOffsets.length !== entries.length) throw badAnswer(brokerId);
    return logEndOffsets;
  }

  #client(brokerId: number): ReturnType<ChannelPool['client']> {
    const facts = this.#options.model.state.broker(brokerId)?.facts;
    if (facts === undefined || facts.status === 'down') {
      throw new PartitaError('SERVICE_UNREACHABLE', `broker ${brokerId} does not answer; its partitions wait for it`, {
        broker_id: String(brokerId),
      });
    }
    return this.#options.pool.client(facts.peerAddress);
  }
}

/** Parts of at most PEER_CALL_ENTRY_COUNT_MAX entries. */
export function chunks<Entry>(entries: readonly Entry[]): Entry[][] {
  const parts: Entry[][] = [];
  for (let start = 0; start < entries.length; start += PEER_CALL_ENTRY_COUNT_MAX) {
    parts.push(entries.slice(start, start + PEER_CALL_ENTRY_COUNT_MAX));
  }
  return parts;
}

function badAnswer(brokerId: number): PartitaError {
  return new PartitaError('INTERNAL', `broker ${brokerId} answered another number of entries than it was asked`, {
    broker_id: String(brokerId),
  });
}
