/** One run of `npm run bench`, of whichever command: its options, how it tells what it does, where the report goes. */
import { writeFileSync } from 'node:fs';
import type { CleanUps } from './clean-ups.ts';

/** Where the report goes. */
export interface ReportOptions {
  readonly json: boolean;
  readonly report?: string;
}

/** The options of commands that measure in rounds. */
export interface BenchOptions extends ReportOptions {
  /** Length of one run. */
  readonly seconds: number;
  /** Pairs of runs for each row, the warm-up not counted. */
  readonly rounds: number;
  readonly rows?: string;
}

export interface BenchRun<Options extends ReportOptions = BenchOptions> {
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
export function publish(options: ReportOptions, { header, tables, figures }: Publication): void {
  const markdown = `${header}\n${tables}`;
  if (options.report !== undefined) writeFileSync(options.report, markdown);
  process.stdout.write(options.json ? `${JSON.stringify(figures)}\n` : markdown);
}
