/** What `log verify` prints: a line per finding as it comes, progress meanwhile, a summary at the end. */
import { EXIT } from '../exit-code.ts';
import { jsonLine } from '../output/json.ts';
import { count } from '../output/table.ts';
import type { Terminal } from '../terminal.ts';
import { pathBelow } from './path-below.ts';

const PROGRESS_MS = 500;

/** A line. */
export interface VerifyFinding {
  readonly severity: 'ok' | 'note' | 'damage';
  readonly check: string;
  readonly path: string;
  readonly position?: number | undefined;
  readonly message: string;
}

/** What was read of a partition. */
export interface VerifyTotals {
  readonly segments: number;
  readonly batches: number;
  readonly records: number;
  readonly bytes: number;
}

export class VerifyReport {
  readonly #terminal: Terminal;
  readonly #root: string;
  readonly #json: boolean;
  readonly #startMs = performance.now();
  readonly #counts = { ok: 0, note: 0, damage: 0 };
  readonly #totals = { partitions: 0, segments: 0, batches: 0, records: 0, bytes: 0 };
  #readBytes = 0;
  #shownMs = 0;

  /** Paths are printed as they are below `root`. */
  constructor(terminal: Terminal, root: string, json: boolean) {
    this.#terminal = terminal;
    this.#root = root;
    this.#json = json;
  }

  async add(finding: VerifyFinding): Promise<void> {
    const { severity, check, position, message } = finding;
    this.#counts[severity] += 1;
    const path = pathBelow(this.#root, finding.path);
    this.#clearProgress();
    if (this.#json) return this.#terminal.line(jsonLine({ severity, check, path, position, message }));
    const place = position === undefined ? path : `${path}:${position}`;
    return this.#terminal.line(`${severity.padEnd(6)}  ${check.padEnd(14)}  ${place}  ${message}`);
  }

  /** Notes that more has been read, for the progress line. Throws once the command is interrupted. */
  read(bytes: number): void {
    this.#readBytes += bytes;
    const nowMs = performance.now();
    if (nowMs - this.#shownMs < PROGRESS_MS) return;
    this.#terminal.interrupted.throwIfAborted();
    if (this.#shownMs > 0) this.#terminal.progress(`${count(this.#readBytes)} bytes read, ${this.#found()}`);
    this.#shownMs = nowMs;
  }

  partition(totals: VerifyTotals): void {
    this.#totals.partitions += 1;
    this.#totals.segments += totals.segments;
    this.#totals.batches += totals.batches;
    this.#totals.records += totals.records;
    this.#totals.bytes += totals.bytes;
  }

  /** Prints the summary; the exit code. */
  async finish(): Promise<number> {
    this.#clearProgress();
    const seconds = Number(((performance.now() - this.#startMs) / 1000).toFixed(1));
    const { note: notes, damage } = this.#counts;
    if (this.#json) await this.#terminal.line(jsonLine({ summary: { ...this.#totals, seconds, notes, damage } }));
    else {
      const parts = Object.entries(this.#totals).map(([name, value]) => `${count(value)} ${name}`);
      await this.#terminal.line(`${parts.join(', ')} in ${seconds} s: ${this.#found()}`);
    }
    return damage === 0 ? EXIT.ok : EXIT.failed;
  }

  #found(): string {
    const { note, damage } = this.#counts;
    return `${damage === 0 ? 'no damage' : `damage in ${count(damage)} places`}, ${count(note)} notes`;
  }

  #clearProgress(): void {
    if (this.#shownMs > 0) this.#terminal.progress('');
  }
}
