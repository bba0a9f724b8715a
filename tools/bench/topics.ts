/** The topics of one bench run: made as needed, all deleted at the end. */
import { randomBytes } from 'node:crypto';
import type { Admin } from '@partita/client';
import { PARTITION_COUNT } from './workload.ts';

export class BenchTopics {
  readonly #admin: Admin;
  readonly #names = new Set<string>();
  #filled: string | undefined;

  constructor(admin: Admin) {
    this.#admin = admin;
  }

  /** A new topic. One replica: the raw chain has no hop for replication. */
  async create(): Promise<string> {
    const name = `bench-${randomBytes(4).toString('hex')}`;
    this.#names.add(name);
    await this.#admin.createTopic({ name, partitionCount: PARTITION_COUNT, replicationFactor: 1 });
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

  async deleteAll(): Promise<void> {
    for (const name of [...this.#names]) await this.delete(name);
  }
}
