/** What happened in a simulation, in order: its hash says whether two runs were the same, its lines are for people. */
import { crc32c } from '@partita/batch';

/** Thrown when the product broke a promise. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

export class Trace {
  /** Every line, when they are kept. */
  readonly lines: string[] = [];
  readonly #keeps: boolean;
  #hash = 0;
  #count = 0;

  constructor(keeps: boolean) {
    this.#keeps = keeps;
  }

  /** Lines noted so far. */
  get count(): number {
    return this.#count;
  }

  /** Of all lines in their order. */
  get hash(): string {
    return `${this.#count}-${this.#hash.toString(16)}`;
  }

  note(line: string): void {
    this.#count += 1;
    this.#hash = crc32c(Buffer.from(line), this.#hash);
    if (this.#keeps) this.lines.push(line);
  }
}

/** How often each thing was seen. */
export class Tally {
  readonly counts = new Map<string, number>();

  add(name: string, count = 1): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + count);
  }

  get(name: string): number {
    return this.counts.get(name) ?? 0;
  }
}
