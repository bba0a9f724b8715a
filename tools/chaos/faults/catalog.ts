/** Every fault by its name. */
import type { Abilities } from '../cluster/abilities.ts';
import { CLOCK_JUMPS } from './clock-jumps.ts';
import { DIRECTORIES } from './directories.ts';
import type { Fault } from './fault.ts';
import { FREEZES } from './freezes.ts';
import { KILLS } from './kills.ts';
import { PARTITIONS } from './partitions.ts';
import { REDIS_LOSSES } from './redis-losses.ts';
import { REPLICA_MOVES } from './replica-moves.ts';

export const FAULTS: readonly Fault[] = [
  ...KILLS,
  ...FREEZES,
  ...PARTITIONS,
  ...CLOCK_JUMPS,
  ...REDIS_LOSSES,
  ...DIRECTORIES,
  ...REPLICA_MOVES,
];

/** Faults whose names contain one of the words: `clock`, `leader-isolated`. Throws for a word that none contains. */
export function faultsNamed(words: readonly string[]): Fault[] {
  for (const word of words)
    if (!FAULTS.some(({ name }) => name.includes(word))) throw new Error(`no fault is called ${word}`);
  return FAULTS.filter(({ name }) => words.some((word) => name === word || name.includes(word)));
}

/** Why this machine cannot do it; undefined = it can. */
export function whyNotHere({ needs }: Fault, { noNetwork, noClocks }: Abilities): string | undefined {
  return (needs.includes('network') ? noNetwork : undefined) ?? (needs.includes('clocks') ? noClocks : undefined);
}
