/** What running one seed takes and gives. */
import type { Mutant } from './mutants.ts';
import { Violation } from './trace.ts';
import type { Tally, Trace } from './trace.ts';

export interface RunOptions {
  readonly keepsTrace?: boolean;
  readonly mutant?: Mutant;
}

export interface RunResult {
  readonly seed: number;
  /** What promise was broken; undefined when none was. */
  readonly violation: string | undefined;
  /** Equal when two runs were the same. */
  readonly traceHash: string;
  readonly trace: readonly string[];
  readonly tally: Tally;
}

/** Runs the work of a seed and says how it ended. Never throws for what the product did. */
export async function runToResult(
  seed: number,
  { trace, tally }: { readonly trace: Trace; readonly tally: Tally },
  work: () => Promise<void>,
): Promise<RunResult> {
  let violation: string | undefined;
  try {
    await work();
  } catch (error) {
    violation = error instanceof Violation ? error.message : `unexpected: ${String(error)}`;
    trace.note(error instanceof Error ? (error.stack ?? violation) : violation);
  }
  if (tally.get('steps') === 0) tally.add('steps', trace.count);
  return { seed, violation, traceHash: trace.hash, trace: trace.lines, tally };
}
