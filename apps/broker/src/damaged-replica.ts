/**
 * A replica whose files cannot be opened: damage where the log was once durable, or a disk that fails. Its files are
 * left as they are for the operator. It is told to coordinators as suspect, so that nobody counts on it, and requests
 * learn why it does not serve.
 */
import { rename, rm } from 'node:fs/promises';
import type { PartitaError, TopicPartition } from '@partita/domain';
import type { ReplicaInventory, ReplicaMeta } from '@partita/protocol';

/** Keeps the files of a damaged log for the operator, those of the last damage only. */
export async function putAside(dir: string): Promise<void> {
  await rm(`${dir}.damaged`, { recursive: true, force: true });
  await rename(dir, `${dir}.damaged`);
}

export class DamagedReplica implements TopicPartition {
  readonly topicId: string;
  readonly partition: number;
  /** What is wrong with it. */
  readonly error: PartitaError;
  readonly #meta: ReplicaMeta;

  constructor(place: TopicPartition, meta: ReplicaMeta, error: PartitaError) {
    this.topicId = place.topicId;
    this.partition = place.partition;
    this.error = error;
    this.#meta = meta;
  }

  /** As coordinators are told of it: it holds nothing that counts, but keeps its promise and its configs. */
  inventory(): ReplicaInventory {
    const { replicaId, promisedEpoch, initialConfig, committedConfig, configFloor } = this.#meta;
    return {
      topicId: this.topicId,
      partition: this.partition,
      replicaId,
      promisedEpoch,
      lastEpoch: 0,
      logEndOffset: 0n,
      highWatermark: 0n,
      logStartOffset: 0n,
      suspect: true,
      config: committedConfig ?? initialConfig,
      configFloor,
      leadingEpoch: 0,
      logBytes: 0n,
      followingId: 0,
    };
  }
}
