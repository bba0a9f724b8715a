/** The credit of a consumer: a window that the server fills, and what is owed back for what the handler has taken. */
import type { ConsumeCredit } from '@partita/protocol';

export class CreditWindow {
  readonly #records: number;
  readonly #bytes: number;
  #owedRecords = 0;
  #owedBytes = 0;

  constructor(records: number, bytes: number) {
    this.#records = records;
    this.#bytes = bytes;
  }

  /** The credit that opens a stream. */
  get full(): ConsumeCredit {
    return { records: BigInt(this.#records), bytes: BigInt(this.#bytes) };
  }

  /** Counts as the server does: what it took from the credit for the same records. */
  owe(records: number, bytes: number): void {
    this.#owedRecords += records;
    this.#owedBytes += bytes;
  }

  /** The stream is gone: so is its credit. */
  reset(): void {
    this.#owedRecords = 0;
    this.#owedBytes = 0;
  }

  /** The credit to grant now: half the window at once, or all that is owed when nothing is left to hand out. */
  due(isEmpty: boolean): ConsumeCredit | undefined {
    if (this.#owedRecords === 0) return undefined;
    const much = this.#owedRecords * 2 >= this.#records || this.#owedBytes * 2 >= this.#bytes;
    if (!much && !isEmpty) return undefined;
    const credit = { records: BigInt(this.#owedRecords), bytes: BigInt(this.#owedBytes) };
    this.reset();
    return credit;
  }
}
