/** One run of `npm run bench`, of whichever command: its options, how it tells what it does, where the report goes. */
import { writeFileSync } from 'node:fs';
import type { CleanUps } from './clean-ups.ts';

/** The options that every command has. */
export interface BenchOptions {
  /** Length of one run. */
  readonly seconds: number;
  /** Pairs of runs for each row, the warm-up not counted. */
  readonly rounds: number;
  readonly rows?: string;
  readonly json: boolean;
  readonly report?: string;
}

export interface BenchRun<Options extends BenchOptions = BenchOptions> {
  readonly options: Options;
  readonly cleanUps: CleanUps;
}

/** What is under way, to stderr: stdout is the report. */
export function progress(text: string): void {
  process.stderr.write(`… ${text}\n`);
}

/** A report as it is written: Markdown in two parts, and the same figures as data. */
export interface Publication {
  readonly header: string;
  readonly tables: string;
  readonly figures: unknown;
}

/** Prints the report, and writes it to the file of --report. */
export function publish(options: BenchOptions, { header, tables, figures }: Publication): void {
  const markdown = `${header}\n${tables}`;
  if (options.report !== undefined) writeFileSync(options.report, markdown);
  process.stdout.write(options.json ? `${JSON.stringify(figures)}\n` : markdown);
}
