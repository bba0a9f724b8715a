/** Many seeds, one after the other or in several processes, and what they add up to. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { loadCluster } from './cluster/loading.ts';
import { COMMIT_BY_MINIMUM } from './core/mutants.ts';
import { runChangesSeed, runCoreSeed } from './core/run-seed.ts';
import { loadVariant } from './core/variants.ts';
import { runGroupsSeed } from './groups/run-seed.ts';
import { runJournalSeed } from './journal-run.ts';
import { runLogSeed } from './log-run.ts';
import type { RunOptions, RunResult } from './seed-run.ts';

/** What can be simulated. */
export type Subject = 'log' | 'journal' | 'core' | 'core-by-minimum' | 'changes' | 'groups' | 'cluster';

export const RUNNERS: Readonly<Record<Subject, (seed: number, options?: RunOptions) => Promise<RunResult>>> = {
  log: runLogSeed,
  journal: runJournalSeed,
  core: runCoreSeed,
  changes: runChangesSeed,
  groups: runGroupsSeed,
  cluster: async (seed, options) => (await loadCluster())(seed, options),
  'core-by-minimum': async (seed) => (await loadVariant(COMMIT_BY_MINIMUM))(seed),
};

/** What a number of seeds added up to. */
export interface Campaign {
  readonly seedCount: number;
  readonly seconds: number;
  /** Seeds that broke a promise, with it and the command that replays them. */
  readonly violations: readonly string[];
  /** How often each thing was done or seen. */
  readonly counts: Readonly<Record<string, number>>;
}

/** Runs seeds `from` .. `from + count - 1` in this process. */
export async function runSeeds(subject: Subject, from: number, count: number): Promise<Campaign> {
  const begin = performance.now();
  const violations: string[] = [];
  const counts: Record<string, number> = {};
  for (let seed = from; seed < from + count; seed += 1) {
    const { violation, tally } = await RUNNERS[subject](seed);
    for (const [name, times] of tally.counts) counts[name] = (counts[name] ?? 0) + times;
    if (violation !== undefined) violations.push(`${violation}; replay: ${replayCommand(subject, seed)}`);
  }
  return { seedCount: count, seconds: (performance.now() - begin) / 1000, violations, counts };
}

/** The command that runs the seed again and prints every step of it. */
export function replayCommand(subject: Subject, seed: number): string {
  return `node tools/sim/main.ts ${subject} ${seed}`;
}

/** Runs seeds `first` .. `first + count - 1` in so many processes at once; each takes its share of them. */
export async function runInProcesses(
  subject: Subject,
  count: number,
  processCount: number,
  first = 1,
): Promise<Campaign> {
  const begin = performance.now();
  const share = Math.ceil(count / processCount);
  const shares = Array.from({ length: processCount }, (_, number) => ({
    from: first + number * share,
    count: Math.min(share, count - number * share),
  }));
  const parts = await Promise.all(shares.map((part) => runElsewhere(subject, part.from, part.count)));
  const counts: Record<string, number> = {};
  for (const part of parts) {
    for (const [name, times] of Object.entries(part.counts)) counts[name] = (counts[name] ?? 0) + times;
  }
  const violations = parts.flatMap((part) => part.violations);
  return { seedCount: count, seconds: (performance.now() - begin) / 1000, violations, counts };
}

async function runElsewhere(subject: Subject, from: number, count: number): Promise<Campaign> {
  const main = join(import.meta.dirname, 'main.ts');
  const options = { maxBuffer: 64 * 1024 * 1024 };
  const { stdout } = await promisify(execFile)(process.execPath, [main, subject, String(from), String(count)], options);
  return JSON.parse(stdout) as Campaign;
}
