/** The topics of one bench run: made as needed, all deleted at the end. */
import { randomBytes } from 'node:crypto';
import type { Admin } from '@partita/client';
import { FlushMode } from '@partita/protocol';
import { pause } from '@partita/client';
import { PARTITION_COUNT } from './workload.ts';

/** How safe a topic is. */
export interface Safety {
  readonly replicationFactor: number;
  readonly flush: 'fsync' | 'os';
}

/** How much a topic keeps; absent = what brokers do by themselves. */
export interface Kept {
  /** Of each partition. */
  readonly retentionBytes?: bigint;
  readonly segmentBytes?: bigint;
}

/** One replica: the raw chain has no hop for replication. */
const ONE_REPLICA: Safety = { replicationFactor: 1, flush: 'fsync' };
const IN_SYNC_MS_MAX = 20_000;
const IN_SYNC_MS_PER_PARTITION = 100;
const POLL_MS = 50;

export class BenchTopics {
  readonly #admin: Admin;
  readonly #names = new Set<string>();
  #filled: string | undefined;

  constructor(admin: Admin) {
    this.#admin = admin;
  }

  /** A new topic, with all its replicas in sync, a majority of which must hold a record. */
  async create(
    { replicationFactor, flush, retentionBytes, segmentBytes }: Safety & Kept = ONE_REPLICA,
    partitionCount: number = PARTITION_COUNT,
  ): Promise<string> {
    const name = `bench-${randomBytes(4).toString('hex')}`;
    this.#names.add(name);
    const settings = {
      minInSyncReplicas: Math.floor(replicationFactor / 2) + 1,
      flush: flush === 'os' ? FlushMode.FLUSH_MODE_OS : FlushMode.FLUSH_MODE_FSYNC,
      ...(retentionBytes === undefined ? {} : { retentionBytes }),
      ...(segmentBytes === undefined ? {} : { segmentBytes }),
    };
    await this.#admin.createTopic({ name, partitionCount, replicationFactor, settings });
    await this.#untilInSync(name, replicationFactor, IN_SYNC_MS_MAX + partitionCount * IN_SYNC_MS_PER_PARTITION);
    return name;
  }

  /** The topic that the rows read, filled by `fill` when it is asked for the first time. */
  async filled(fill: (name: string) => Promise<unknown>): Promise<string> {
    if (this.#filled === undefined) {
      const name = await this.create();
      await fill(name);
      this.#filled = name;
    }
    return this.#filled;
  }

  async delete(name: string): Promise<void> {
    if (this.#names.delete(name)) await this.#admin.deleteTopic(name);
  }

  async #untilInSync(name: string, replicationFactor: number, msMax: number): Promise<void> {
    const deadlineMs = performance.now() + msMax;
    for (;;) {
      const { partitions } = await this.#admin.getTopic(name);
      if (partitions.every(({ inSyncIds }) => inSyncIds.length >= replicationFactor)) return;
      if (performance.now() > deadlineMs) throw new Error(`the replicas of ${name} did not get in sync`);
      await pause(POLL_MS);
    }
  }

  async deleteAll(): Promise<void> {
    for (const name of [...this.#names]) await this.delete(name);
  }
}
