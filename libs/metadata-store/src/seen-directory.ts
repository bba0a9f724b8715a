/**
 * What one store has seen of the directory, to tell when it was wiped or restored old. The generation is replaced only
 * by a reader of the whole picture or by a rebuild; within one generation the revision only grows.
 */
import type { DirectoryMeta } from './metadata-store.ts';

/** What had been seen at one moment. */
export interface SeenMark {
  readonly generation: string | undefined;
  readonly revision: number;
  readonly leaseNumber: number;
}

export class SeenDirectory {
  #generation: string | undefined;
  #revision = 0;
  #leaseNumber = 0;

  /** Undefined until the directory was read or built. */
  get generation(): string | undefined {
    return this.#generation;
  }

  /** Invariant: never falls within one generation. */
  get revision(): number {
    return this.#revision;
  }

  /** The highest token number that this store ever held, or saw another hold; 0 if none. */
  get leaseNumber(): number {
    return this.#leaseNumber;
  }

  /** Takes over what was read or built. An older revision of the same generation is not forgotten. */
  adopt(generation: string, revision: number): void {
    this.#revision = generation === this.#generation ? Math.max(this.#revision, revision) : revision;
    this.#generation = generation;
  }

  /** A write of this store made `revision`. */
  wrote(revision: number): void {
    if (this.#generation !== undefined) this.#revision = Math.max(this.#revision, revision);
  }

  leaseGiven(number: number): void {
    this.#leaseNumber = Math.max(this.#leaseNumber, number);
  }

  /** Take it before a reading is asked for: what is written meanwhile says nothing about the answer. */
  get mark(): SeenMark {
    return { generation: this.#generation, revision: this.#revision, leaseNumber: this.#leaseNumber };
  }
}

/** True when what was read is older than what had been seen before it was asked for, or of another build. */
export function isRolledBack(seen: SeenMark, meta: DirectoryMeta, leaseNumberGiven: number): boolean {
  return (
    isOlder(seen, meta, leaseNumberGiven) || (seen.generation !== undefined && meta.generation !== seen.generation)
  );
}

/** The same for a reader of the whole picture, who takes another build over. */
export function isOlder(seen: SeenMark, meta: DirectoryMeta, leaseNumberGiven: number): boolean {
  if (leaseNumberGiven < seen.leaseNumber) return true;
  return meta.generation === seen.generation && meta.revision < seen.revision;
}
