/** Runs mutants: the seed that is known to kill each, or a hunt for one. */
import type { Mutant } from './mutants.ts';
import type { SeedRunner } from './variants.ts';

/** The mutants of a simulation, and what runs a seed of it. */
export interface MutantSuite {
  readonly mutants: readonly Mutant[];
  /** Loads a mutant, and what runs a seed of it. */
  readonly load: (mutant: Mutant) => Promise<SeedRunner>;
  /** On the code as it is. */
  readonly run: SeedRunner;
}

/** What became of a mutant. */
export interface MutantVerdict {
  readonly name: string;
  /** Undefined = none kills it. */
  readonly seed: number | undefined;
  /** What the seed finds with the guard taken away; undefined = nothing. */
  readonly violation: string | undefined;
}

/** Replays the seed that kills each mutant; those without one are left out. */
export async function replayMutants({ mutants, load }: MutantSuite): Promise<MutantVerdict[]> {
  const verdicts: MutantVerdict[] = [];
  for (const mutant of mutants) {
    const { name, seed } = mutant;
    const run = await load(mutant);
    if (seed !== undefined) verdicts.push({ name, seed, violation: (await run(seed)).violation });
  }
  return verdicts;
}

/** Looks for the first seed that kills each, up to `seedCount`. A seed that fails as the code is does not count. */
export async function huntMutants(
  { mutants, load, run: runAsIs }: MutantSuite,
  seedCount: number,
): Promise<MutantVerdict[]> {
  const verdicts: MutantVerdict[] = [];
  for (const mutant of mutants) {
    const { name } = mutant;
    const run = await load(mutant);
    let seed: number | undefined;
    let violation: string | undefined;
    for (let tried = 1; tried <= seedCount && violation === undefined; tried += 1) {
      ({ violation } = await run(tried));
      if (violation === undefined) continue;
      if ((await runAsIs(tried)).violation === undefined) seed = tried;
      else violation = undefined;
    }
    console.error(`${name}: ${seed ?? 'none'} ${violation ?? ''}`);
    verdicts.push({ name, seed, violation });
  }
  return verdicts;
}
