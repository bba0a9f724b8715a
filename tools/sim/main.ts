/**
 * The simulations from the command line; exit code 1 when a promise was broken, 2 when the command line is wrong.
 *
 *   main.ts [--suite SUITE] --seeds N [--from SEED]              many seeds, what they met, and a last line of figures
 *   main.ts SUBJECT SEED                                         replays a seed and prints every step
 *   main.ts SUBJECT FROM COUNT                                   many seeds in this process, as JSON
 *   main.ts mutants|change-mutants|group-mutants|cluster-mutants [hunt COUNT]   the code with a guard taken away, as JSON
 *
 * SUITE is core (when none is given), changes (the core, with changes of replica sets in every seed), disk (the log), journal,
 * groups (the core of consumer groups), cluster (brokers and coordinators as they ship), or core-by-minimum (the core with the other rule of commitment); SUBJECT is one of these, with log for disk.
 */
import { parseArgs } from 'node:util';
import { RUNNERS, runInProcesses, runSeeds } from './campaign.ts';
import type { Subject } from './campaign.ts';
import { loadCluster } from './cluster/loading.ts';
import { MUTANTS as CLUSTER_MUTANTS } from './cluster/mutants.ts';
import { CHANGE_MUTANTS } from './core/change-mutants.ts';
import { huntMutants, replayMutants } from './core/mutant-runs.ts';
import type { MutantSuite } from './core/mutant-runs.ts';
import { MUTANTS } from './core/mutants.ts';
import { loadVariant } from './core/variants.ts';
import { MUTANTS as GROUP_MUTANTS } from './groups/mutants.ts';

const SUITES: Readonly<Record<string, Subject>> = {
  disk: 'log',
  journal: 'journal',
  core: 'core',
  'core-by-minimum': 'core-by-minimum',
  changes: 'changes',
  groups: 'groups',
  cluster: 'cluster',
};
const MUTANT_SUITES: Readonly<Record<string, MutantSuite>> = {
  mutants: {
    mutants: MUTANTS,
    load: (mutant) => loadVariant(mutant, { file: 'tools/sim/core/run-seed.ts', name: 'runCoreSeed' }),
    run: RUNNERS.core,
  },
  'change-mutants': {
    mutants: CHANGE_MUTANTS,
    load: (mutant) => loadVariant(mutant, { file: 'tools/sim/core/run-seed.ts', name: 'runChangesSeed' }),
    run: RUNNERS.changes,
  },
  'group-mutants': {
    mutants: GROUP_MUTANTS,
    load: (mutant) => loadVariant(mutant, { file: 'tools/sim/groups/run-seed.ts', name: 'runGroupsSeed' }),
    run: RUNNERS.groups,
  },
  'cluster-mutants': { mutants: CLUSTER_MUTANTS, load: loadCluster, run: RUNNERS.cluster },
};
const PROCESS_COUNT = 2;
const USAGE = `usage: npm run sim -- [--suite ${Object.keys(SUITES).join('|')}] --seeds N [--from SEED]
       main.ts ${Object.keys(RUNNERS).join('|')} SEED | FROM COUNT
       main.ts mutants|change-mutants|group-mutants|cluster-mutants [hunt COUNT]`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    suite: { type: 'string', default: 'core' },
    seeds: { type: 'string' },
    from: { type: 'string', default: '1' },
    help: { type: 'boolean', default: false },
  },
});
process.exitCode = await run();

async function run(): Promise<number> {
  const [subject, first, count] = positionals;
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  if (values.seeds !== undefined) return runSuite(SUITES[values.suite], Number(values.seeds), Number(values.from));
  const suite = subject === undefined ? undefined : MUTANT_SUITES[subject];
  if (suite !== undefined) {
    Error.stackTraceLimit = 0;
    console.log(
      JSON.stringify(first === 'hunt' ? await huntMutants(suite, Number(count)) : await replayMutants(suite)),
    );
    return 0;
  }
  const seed = Number(first);
  if (subject === undefined || !isSubject(subject) || !Number.isSafeInteger(seed)) return misuse();
  if (count === undefined) return replay(subject, seed);
  // Refusals are errors, and most of their cost is a stack that only a replay shows.
  Error.stackTraceLimit = 0;
  console.log(JSON.stringify(await runSeeds(subject, seed, Number(count))));
  return 0;
}

async function runSuite(subject: Subject | undefined, seedCount: number, from: number): Promise<number> {
  if (subject === undefined || !Number.isSafeInteger(seedCount) || !Number.isSafeInteger(from)) return misuse();
  const { violations, counts } = await runInProcesses(subject, seedCount, PROCESS_COUNT, from);
  for (const [name, times] of Object.entries(counts).sort()) console.log(`${name}: ${Math.round(times * 100) / 100}`);
  for (const violation of violations) console.log(violation);
  console.log(`seeds ${seedCount}, steps ${counts['steps'] ?? 0}, violations ${violations.length}`);
  return violations.length === 0 ? 0 : 1;
}

async function replay(subject: Subject, seed: number): Promise<number> {
  const { trace, violation, traceHash } = await RUNNERS[subject](seed, { keepsTrace: true });
  console.log([...trace, `${violation ?? 'every promise was kept'} (trace ${traceHash})`].join('\n'));
  return violation === undefined ? 0 : 1;
}

function isSubject(name: string): name is Subject {
  return Object.hasOwn(RUNNERS, name);
}

function misuse(): number {
  console.error(USAGE);
  return 2;
}
