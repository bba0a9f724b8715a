/**
 * What becomes of partitions, as log lines: their leaders, and their in-sync sets. A coordinator that does not elect says
 * nothing; one that takes over begins with what it finds.
 */
import type { ClusterPartition } from '@partita/cluster';
import { partitionKey } from '@partita/domain';
import type { TopicPartition } from '@partita/domain';
import type { StateLines } from '@partita/runtime';
import type { ClusterModel } from './cluster-model.ts';
import type { Lease } from './directory/lease.ts';

export interface PartitionNewsOptions {
  readonly model: ClusterModel;
  readonly lease: Pick<Lease, 'mayOrder' | 'onChange'>;
  readonly lines: StateLines;
}

type Known = Pick<ClusterPartition, 'live' | 'epoch' | 'leader' | 'inSync'>;

export class PartitionNews {
  readonly #options: PartitionNewsOptions;
  /** As last told, by partitionKey; empty while another coordinator elects. */
  readonly #told = new Map<string, Known>();
  /** Partitions with an election under way: that tells of them at its end, within its trace. */
  readonly #held = new Set<string>();
  #isTelling = false;
  #isStopped = false;

  constructor(options: PartitionNewsOptions) {
    this.#options = options;
  }

  start(): void {
    const { model, lease } = this.#options;
    model.onChange(({ partitions }) => {
      if (!this.#begun()) return;
      for (const [key, at] of partitions) if (!this.#held.has(key)) this.#tell(key, at);
    });
    lease.onChange(() => this.#begun());
  }

  /** Brokers leave a coordinator that stops: that tells nothing of partitions. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Does the work of an election, and tells then what came of it. */
  async during<Result>(partitions: readonly TopicPartition[], work: () => Promise<Result>): Promise<Result> {
    const keys = partitions.map(partitionKey);
    for (const key of keys) this.#held.add(key);
    try {
      return await work();
    } finally {
      for (const key of keys) this.#held.delete(key);
      if (this.#begun()) partitions.forEach((at, index) => this.#tell(keys[index] ?? '', at));
    }
  }

  /** True while there is something to tell. Takes what is there for told when that begins. */
  #begun(): boolean {
    const isTelling = !this.#isStopped && this.#options.lease.mayOrder();
    if (isTelling && !this.#isTelling) this.#takeAll();
    if (!isTelling) this.#told.clear();
    this.#isTelling = isTelling;
    return isTelling;
  }

  #takeAll(): void {
    for (const { definition, partitions } of this.#options.model.state.topics())
      for (const known of partitions)
        this.#told.set(partitionKey({ topicId: definition.topicId, partition: known.partition }), known);
  }

  #tell(key: string, { topicId, partition }: TopicPartition): void {
    const { state } = this.#options.model;
    const now = state.partition(topicId, partition);
    const before = this.#told.get(key);
    if (now === undefined) {
      this.#told.delete(key);
      return;
    }
    const { live, epoch, leader, inSync } = now;
    this.#told.set(key, { live, epoch, leader, inSync });
    const topic = state.topicById(topicId)?.name ?? topicId;
    const fields = { topic, partition, epoch, leader, in_sync: inSync };
    const { lines } = this.#options;
    if (before?.live !== true && !live) return;
    if (!live) return lines.write('partition is offline', fields);
    if (before?.live !== true || before.epoch !== epoch || before.leader !== leader)
      return lines.write('partition has a leader', fields);
    const left = before.inSync.filter((id) => !inSync.includes(id));
    const joined = inSync.filter((id) => !before.inSync.includes(id));
    if (left.length > 0) lines.write('in-sync set shrank', { ...fields, left });
    if (joined.length > 0) lines.write('in-sync set grew', { ...fields, joined });
  }
}
