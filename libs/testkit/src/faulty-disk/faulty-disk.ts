/**
 * A disk in memory that fails as real ones do, decided by one seed. `start()` gives the disk to a program; its life ends
 * by `kill()` (the page cache stays) or by a power cut (what was not synced is lost as cached-file.ts and name-table.ts
 * say), at once, or at the n-th call from now. After that everything the program still tries fails with POWER_OFF.
 * It has the shape of libs/log's `Disk` without importing it, and passes disk.conformance.ts there.
 */
import { SeededRandom } from '../seeded-random.ts';
import { diskError } from './disk-error.ts';
import { DiskFaults } from './disk-faults.ts';
import type { DiskCallKind, DiskErrorCode, FaultRates } from './disk-faults.ts';
import { DiskLife } from './disk-life.ts';
import { NameTable } from './name-table.ts';

/** What became of a call: `ok`, an error code, or `POWER_OFF` when the power went at it. */
export interface DiskCall {
  readonly kind: DiskCallKind;
  readonly path: string;
  readonly outcome: 'ok' | 'read flip' | 'POWER_OFF' | DiskErrorCode;
}

export interface FaultyDiskOptions {
  readonly seed: number;
  /** Called for each call when its fate is known, in that order. */
  readonly onCall?: (call: DiskCall) => void;
}

export class FaultyDisk {
  readonly names = new NameTable();
  readonly faults: DiskFaults;
  readonly random: SeededRandom;
  /** Bytes that the disk holds before writes fail with ENOSPC. */
  capacityBytes = 1024 ** 4;
  readonly #onCall: (call: DiskCall) => void;
  #life: DiskLife | undefined;
  #wasCut = false;
  /** What calls under way would do; when a life ends, each of them is done or not. */
  readonly #underWay = new Set<() => void>();

  constructor(options: FaultyDiskOptions) {
    this.random = new SeededRandom(options.seed);
    this.faults = new DiskFaults(this.random.fork());
    this.#onCall = options.onCall ?? ((): void => undefined);
  }

  /** Probabilities of faults; may be changed at any time. */
  get rates(): FaultRates {
    return this.faults.rates;
  }

  /** True while a program runs on it. */
  get isRunning(): boolean {
    return this.#life !== undefined;
  }

  /** True when the last life ended by a power cut. */
  get wasCut(): boolean {
    return this.#wasCut;
  }

  /** Starts a program: the disk that it gets works until its life ends. Ends the one before, if that still runs. */
  start(): DiskLife {
    if (this.#life !== undefined) this.kill();
    this.#wasCut = false;
    this.#life = new DiskLife(this);
    return this.#life;
  }

  /** Ends the program. What it wrote stays in the page cache. */
  kill(): void {
    this.#life = undefined;
    for (const effect of this.#underWay) if (this.random.chance(0.5)) effect();
    this.#underWay.clear();
  }

  /** Cuts the power. */
  cutPower(): void {
    this.kill();
    this.#wasCut = true;
    this.names.crash(this.random);
    for (const [, file] of this.names.files()) file.crash(this.random);
  }

  /** Flips a random bit of the file; answers where, or undefined when it is empty. */
  flip(path: string): number | undefined {
    const file = this.names.file(path);
    if (file === undefined || file.size === 0) return undefined;
    const position = this.random.below(file.size);
    file.flip(position, this.random.below(8));
    return position;
  }

  /** Bytes of all files. */
  usedBytes(): number {
    return this.names.files().reduce((sum, [, { size }]) => sum + size, 0);
  }

  /** Throws POWER_OFF when the life is over. Called by the life. */
  checkAlive(life: DiskLife, path: string): void {
    if (life !== this.#life) throw diskError('POWER_OFF', path);
  }

  /** Decides about a call that arrives; `effect` is what it would do. Called by the life. */
  arrive(kind: DiskCallKind, path: string, effect: () => void): DiskErrorCode | undefined {
    const fault = this.faults.next(kind);
    if (fault !== 'power') return fault;
    this.#onCall({ kind, path, outcome: 'POWER_OFF' });
    if (this.random.chance(0.5)) effect();
    this.cutPower();
    throw diskError('POWER_OFF', path);
  }

  /** Waits for a call's turn; it may not come. Called by the life. */
  async wait(effect: () => void): Promise<void> {
    const turns = this.faults.turns();
    this.#underWay.add(effect);
    for (let turn = 0; turn <= turns; turn += 1) await Promise.resolve();
    this.#underWay.delete(effect);
  }

  /** Notes what became of a call. Called by the life. */
  note(call: DiskCall): void {
    this.#onCall(call);
  }
}
