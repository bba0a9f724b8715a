/**
 * One reader of a workload. It lives several lives: in each it has all partitions or some of them, goes on where it was,
 * and now and then crashes: a new client goes some records back, under a new process.
 */
import { pause } from '@partita/client';
import type { PartitaClient } from '@partita/client';
import { connectSoon, pollPartition } from './assigned-reading.ts';
import { keyOf } from './history.ts';
import type { Site } from './site.ts';

const LIFE_MS = 2000;
/** Between two rounds over partitions that had nothing new. */
const IDLE_MS = 50;
/** Every so many lives end in a crash. */
const CRASH_EVERY = 4;
/** Records that the next process reads again. */
const BACK_RECORD_COUNT = 100;

/**
 * Reads until it is told to stop. Never rejects. Of two neighbours by `number` one always has all partitions, so that what
 * is acknowledged is soon read.
 */
export async function readPartitions(site: Site, number: number): Promise<void> {
  const positions = new Map(Array.from({ length: site.partitionCount }, (_, partition) => [partition, 0]));
  for (let life = number + 1; ;) {
    const client = await connectSoon(site);
    if (client === undefined) return;
    const reader = new AssignedReader(site, client, positions);
    do {
      const wanted = [...positions.keys()].filter((partition) => life % 2 === 1 || (partition + life) % 3 > 0);
      await reader.live(wanted);
      life += 1;
    } while (life % CRASH_EVERY > 0 && reader.mayGoOn);
    await reader.end();
    if (!reader.mayGoOn) return;
    for (const [partition, position] of positions) positions.set(partition, Math.max(0, position - BACK_RECORD_COUNT));
  }
}

/** One process. */
class AssignedReader {
  readonly #site: Site;
  readonly #client: PartitaClient;
  readonly #process: number;
  /** Next offset of each partition. */
  readonly #positions: Map<number, number>;
  #held: readonly number[] = [];

  constructor(site: Site, client: PartitaClient, positions: Map<number, number>) {
    this.#site = site;
    this.#client = client;
    this.#process = site.recorder.newProcess();
    this.#positions = positions;
  }

  get mayGoOn(): boolean {
    return !this.#site.stopping.aborted && this.#site.recorder.hasRoom;
  }

  /** Takes these partitions and reads them for a while. */
  async live(partitions: readonly number[]): Promise<void> {
    this.#assign(partitions);
    const endMs = performance.now() + LIFE_MS;
    while (performance.now() < endMs && this.mayGoOn) {
      let readCount = 0;
      for (const partition of partitions) readCount += await this.#poll(partition);
      if (readCount === 0) await pause(IDLE_MS, this.#site.stopping);
    }
  }

  async end(): Promise<void> {
    this.#site.recorder.note({ f: 'crash', process: this.#process });
    await this.#client.close();
  }

  /** How many offsets it got further. */
  async #poll(partition: number): Promise<number> {
    const before = this.#positions.get(partition) ?? 0;
    const what = { client: this.#client, process: this.#process, partition, position: before };
    const position = await pollPartition(this.#site, what);
    this.#positions.set(partition, position);
    return position - before;
  }

  /** Notes which keys the process has from now on; those that are new begin at their positions. */
  #assign(partitions: readonly number[]): void {
    const { recorder, topic } = this.#site;
    const added = partitions.filter((partition) => !this.#held.includes(partition));
    const seeks = added.map((partition) => [keyOf(topic, partition), this.#positions.get(partition) ?? 0] as const);
    const keys = partitions.map((partition) => keyOf(topic, partition));
    const told = { f: 'assign' as const, process: this.#process, keys, seeks: Object.fromEntries(seeks) };
    recorder.complete(recorder.invoke(told), 'ok', told);
    this.#held = partitions;
  }
}
