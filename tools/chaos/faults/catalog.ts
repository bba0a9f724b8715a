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

/** Faults by their names, or by parts of them: `clock`, `leader-isolated`. Throws for a word that is in none. */
export function faultsNamed(words: readonly string[]): Fault[] {
  const wanted = words.map((word) => {
    const exact = FAULTS.filter(({ name }) => name === word);
    const found = exact.length > 0 ? exact : FAULTS.filter(({ name }) => name.includes(word));
    if (found.length === 0) throw new Error(`no fault is called ${word}`);
    return found;
  });
  return FAULTS.filter((fault) => wanted.flat().includes(fault));
}

/** Why this machine cannot do it; undefined = it can. */
export function whyNotHere({ needs }: Fault, { noNetwork, noClocks }: Abilities): string | undefined {
  return (needs.includes('network') ? noNetwork : undefined) ?? (needs.includes('clocks') ? noClocks : undefined);
}
