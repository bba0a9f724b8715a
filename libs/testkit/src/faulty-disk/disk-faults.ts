/** What can go wrong with a FaultyDisk, and the decision about each call. */
import type { SeededRandom } from '../seeded-random.ts';

/** A kind of call that can fail. */
export type DiskCallKind =
  'open' | 'create' | 'read' | 'writev' | 'datasync' | 'truncate' | 'rename' | 'unlink' | 'syncDirectory';

/** Why a call fails by itself. */
export type DiskErrorCode = 'EIO' | 'ENOSPC';

/** Probability of each fault, per call; all 0 at first. */
export interface FaultRates {
  /** A call fails with EIO; a datasync then loses pages as Linux does. */
  ioError: number;
  /** A call that may need space fails with ENOSPC. */
  noSpace: number;
  /** One bit of what a read hands over is wrong, this once. */
  readFlip: number;
  /** Turns that a call takes at most before it is done: how far calls overtake each other. */
  turnsMax: number;
}

const NEEDS_SPACE: readonly DiskCallKind[] = ['create', 'writev', 'datasync', 'rename', 'syncDirectory'];

/** A fault that is due at a certain call. */
interface DueFault {
  callsLeft: number;
  readonly code: DiskErrorCode | 'power';
}

export class DiskFaults {
  readonly rates: FaultRates = { ioError: 0, noSpace: 0, readFlip: 0, turnsMax: 0 };
  readonly #random: SeededRandom;
  #due: DueFault[] = [];

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** The fault comes at the n-th call from now on, 1 being the next. */
  failAt(call: number, code: DiskErrorCode | 'power'): void {
    this.#due.push({ callsLeft: call, code });
  }

  /** Forgets what is due, and everything else that could go wrong. */
  calm(): void {
    this.#due = [];
    Object.assign(this.rates, { ioError: 0, noSpace: 0, readFlip: 0 });
  }

  /** Decides about a call that arrives. */
  next(kind: DiskCallKind): DiskErrorCode | 'power' | undefined {
    for (const due of this.#due) due.callsLeft -= 1;
    const now = this.#due.find(({ callsLeft }) => callsLeft <= 0);
    if (now !== undefined) {
      this.#due = this.#due.filter((due) => due !== now);
      return now.code;
    }
    if (this.rates.ioError > 0 && this.#random.chance(this.rates.ioError)) return 'EIO';
    const mayLackSpace = this.rates.noSpace > 0 && NEEDS_SPACE.includes(kind);
    return mayLackSpace && this.#random.chance(this.rates.noSpace) ? 'ENOSPC' : undefined;
  }

  /** Turns of the event loop that the call takes. */
  turns(): number {
    return this.rates.turnsMax === 0 ? 0 : this.#random.below(this.rates.turnsMax + 1);
  }
}
