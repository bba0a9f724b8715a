/** Runs the storage rows in the load's process. One row is prepared at a time; the next one takes its place. */
import { mkdir, rm } from 'node:fs/promises';
import type { LoadRunner } from '../loads/load-runner.ts';
import type { Job, Sample } from '../sample.ts';
import { STORAGE_ROWS } from '../storage/rows.ts';
import type { StorageRow } from '../storage/rows.ts';
import { AppendLoad } from './append-load.ts';
import { CodecLoad } from './codec-load.ts';
import { DirtyLoad } from './dirty-load.ts';
import { ReadLoad } from './read-load.ts';
import type { StorageLoad, StorageSide } from './storage-load.ts';

export class StorageLoads implements LoadRunner {
  readonly #directory: string;
  #prepared: { readonly name: string; readonly load: StorageLoad } | undefined;

  /** `directory` must exist; what is left in it at the end is its owner's to remove. */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /** A job's load is a row's name and a side, with a space between. */
  async run({ load, seconds }: Job): Promise<Sample> {
    const [name = '', side] = load.split(' ');
    if (side !== 'ours' && side !== 'raw') throw new Error(`a row has the sides ours and raw, not "${side ?? ''}"`);
    return (await this.#prepare(name)).run(side satisfies StorageSide, seconds);
  }

  async #prepare(name: string): Promise<StorageLoad> {
    if (this.#prepared?.name === name) return this.#prepared.load;
    if (this.#prepared !== undefined) {
      await this.#prepared.load.close();
      await rm(`${this.#directory}/${this.#prepared.name}`, { recursive: true });
      this.#prepared = undefined;
    }
    const row = STORAGE_ROWS.find((candidate) => candidate.name === name);
    if (row === undefined) throw new Error(`no storage row is called "${name}"`);
    const directory = `${this.#directory}/${name}`;
    await mkdir(directory);
    const load = await loadOf(row, directory);
    this.#prepared = { name, load };
    return load;
  }
}

async function loadOf(row: StorageRow, directory: string): Promise<StorageLoad> {
  switch (row.kind) {
    case 'append':
      return AppendLoad.create(row, directory);
    case 'read':
      return ReadLoad.create(row, directory);
    case 'dirty':
      return DirtyLoad.create(row, directory);
    case 'codec':
      return new CodecLoad(row);
  }
}
