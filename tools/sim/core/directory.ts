/**
 * Redis as the coordinators meet it: a lease with a number that grows, and who leads what in which epoch. It may not answer,
 * may lose its last writes or all of them, and may answer a write with silence after doing it.
 */
import { LEASE_TTL_MS } from '@partita/cluster';
import type { World } from './world.ts';

/** What is published of a partition. */
export interface DirectoryEntry {
  readonly epoch: number;
  readonly leader: number;
  readonly inSync: readonly number[];
  readonly inSyncVersion: number;
}

interface Content {
  readonly leaseNumber: number;
  readonly holder: string;
  readonly leaseUntilMs: number;
  readonly entries: ReadonlyMap<number, DirectoryEntry>;
}

const EMPTY: Content = { leaseNumber: 0, holder: '', leaseUntilMs: 0, entries: new Map() };
/** Writes that a failover may lose. */
const UNDO_COUNT_MAX = 20;

export class Directory {
  readonly #world: World;
  #content = EMPTY;
  readonly #past: Content[] = [];
  isAway = false;

  constructor(world: World) {
    this.#world = world;
  }

  get entries(): ReadonlyMap<number, DirectoryEntry> {
    return this.#content.entries;
  }

  /** The number of the lease, or undefined when another holds it. */
  acquire(holder: string): number | undefined {
    const { nowMs } = this.#world;
    const { holder: current, leaseUntilMs, leaseNumber } = this.#content;
    const isOwn = current === holder;
    if (!isOwn && nowMs < leaseUntilMs) return undefined;
    const number = isOwn ? leaseNumber : leaseNumber + 1;
    this.#write({ ...this.#content, holder, leaseNumber: number, leaseUntilMs: nowMs + LEASE_TTL_MS });
    return number;
  }

  /** Writes for the holder of the lease alone (I20), and never backwards. */
  publish(holder: string, leaseNumber: number, partition: number, entry: DirectoryEntry): void {
    const content = this.#content;
    if (content.holder !== holder || content.leaseNumber !== leaseNumber) {
      this.#world.tally.add('directory writes of a lapsed lease refused');
      return;
    }
    const known = content.entries.get(partition);
    if (known !== undefined && !isNewer(entry, known)) return;
    this.#write({ ...content, entries: new Map(content.entries).set(partition, entry) });
  }

  rollBack(): void {
    const count = this.#world.random.between(1, 8);
    for (let undone = 0; undone < count; undone += 1) this.#content = this.#past.pop() ?? this.#content;
  }

  wipe(): void {
    this.#content = EMPTY;
    this.#past.length = 0;
  }

  #write(content: Content): void {
    this.#past.push(this.#content);
    if (this.#past.length > UNDO_COUNT_MAX) this.#past.shift();
    this.#content = content;
  }
}

function isNewer(entry: DirectoryEntry, known: DirectoryEntry): boolean {
  if (entry.epoch !== known.epoch) return entry.epoch > known.epoch;
  return entry.inSyncVersion > known.inSyncVersion;
}
