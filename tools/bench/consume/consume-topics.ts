/** The topics that the consume bench reads: one for each size of record and number of partitions, filled once. */
import { randomBytes } from 'node:crypto';
import type { Admin } from '@partita/client';
import type { ConsumeWork } from './work.ts';

export class ConsumeTopics {
  readonly #admin: Admin;
  readonly #names = new Set<string>();
  readonly #filled = new Map<string, string>();

  constructor(admin: Admin) {
    this.#admin = admin;
  }

  async create(partitionCount: number): Promise<string> {
    const name = `bench-${randomBytes(4).toString('hex')}`;
    this.#names.add(name);
    await this.#admin.createTopic({ name, partitionCount, replicationFactor: 1 });
    return name;
  }

  async filled(
    { recordBytes, partitionCount }: ConsumeWork,
    fill: (name: string) => Promise<unknown>,
  ): Promise<string> {
    const key = `${recordBytes}/${partitionCount}`;
    let name = this.#filled.get(key);
    if (name === undefined) {
      name = await this.create(partitionCount);
      await fill(name);
      this.#filled.set(key, name);
    }
    return name;
  }

  async deleteAll(): Promise<void> {
    for (const name of [...this.#names]) {
      this.#names.delete(name);
      await this.#admin.deleteTopic(name);
    }
  }
}
