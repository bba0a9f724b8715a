/** What became of the records of a `produce`: progress on a terminal, and a summary per partition at the end. */
import { count, table } from './output/table.ts';
import type { Terminal } from './terminal.ts';

const PROGRESS_MS = 500;

interface PartitionCount {
  records: number;
  first: bigint;
  last: bigint;
}

export class ProduceReport {
  readonly #terminal: Terminal;
  readonly #startMs = performance.now();
  readonly #partitions = new Map<number, PartitionCount>();
  readonly #failedLines: number[] = [];
  #shownMs = 0;
  #stored = 0;
  /** Records handed to the producer. */
  begun = 0;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  begin(): void {
    this.begun += 1;
  }

  stored(partition: number, offset: bigint): void {
    this.#stored += 1;
    const known = this.#partitions.get(partition);
    if (known === undefined) this.#partitions.set(partition, { records: 1, first: offset, last: offset });
    else {
      known.records += 1;
      if (offset < known.first) known.first = offset;
      if (offset > known.last) known.last = offset;
    }
    const nowMs = performance.now();
    if (nowMs - this.#shownMs < PROGRESS_MS) return;
    this.#shownMs = nowMs;
    this.#terminal.progress(`${count(this.#stored)} sent, ${this.#rate()}`);
  }

  failed(lineNumber: number): void {
    this.#failedLines.push(lineNumber);
  }

  /** Prints the summary. */
  end(): void {
    const seconds = ((performance.now() - this.#startMs) / 1000).toFixed(1);
    this.#terminal.note(
      `sent ${count(this.#stored)} ${this.#stored === 1 ? 'record' : 'records'} in ${seconds} s (${this.#rate()})`,
    );
    const rows = [...this.#partitions]
      .sort(([left], [right]) => left - right)
      .map(([partition, { records, first, last }]) => [String(partition), count(records), String(first), String(last)]);
    if (rows.length > 0) this.#terminal.note(table(['PARTITION', 'RECORDS', 'FIRST OFFSET', 'LAST OFFSET'], rows));
    const first = Math.min(...this.#failedLines);
    if (this.#failedLines.length > 0)
      this.#terminal.note(`not sent, or in doubt: ${count(this.#failedLines.length)}, the first is line ${first}`);
  }

  #rate(): string {
    const seconds = (performance.now() - this.#startMs) / 1000;
    return `${count(Math.round(this.#stored / Math.max(seconds, 0.001)))}/s`;
  }
}
