/** What happens when: faults in spells, and quiet between them. A seed decides all of it, so that it can be had again. */
import { SeededRandom } from '@partita/testkit';
import type { Fault } from './faults/fault.ts';

export interface PlannedFault {
  readonly fault: Fault;
  /** From the beginning of the spell. */
  readonly afterMs: number;
  readonly lastMs: number;
}

export interface Spell {
  readonly faults: readonly PlannedFault[];
  /** After all is healed, and the cluster has recovered. */
  readonly quietMs: number;
}

const FAULTS_PER_SPELL_MAX = 3;
const STAGGER_MS_MAX = 2000;
const LAST_MS_MIN = 2000;
const LAST_MS_MAX = 9000;
const QUIET_MS_MIN = 1000;
const QUIET_MS_MAX = 4000;

/** Spells of one to three kinds of faults, until they and the quiet make up the time. */
export function planMix(faults: readonly Fault[], seed: number, seconds: number): Spell[] {
  const random = new SeededRandom(seed);
  const mixing = faults.filter(({ mixes }) => mixes);
  const spells: Spell[] = [];
  for (let plannedMs = 0; plannedMs < seconds * 1000 && mixing.length > 0;) {
    const spell = planSpell(mixing, random);
    spells.push(spell);
    plannedMs += spellMs(spell) + spell.quietMs;
  }
  return spells;
}

/** Each of them alone, so many times. */
export function planRounds(faults: readonly Fault[], rounds: number, lastMs: number, quietMs: number): Spell[] {
  return Array.from({ length: rounds }, () =>
    faults.map((fault) => ({ faults: [{ fault, afterMs: 0, lastMs }], quietMs })),
  ).flat();
}

/** Until the last of its faults is over. */
export function spellMs({ faults }: Spell): number {
  return Math.max(...faults.map(({ afterMs, lastMs }) => afterMs + lastMs));
}

/** One line for people. */
export function spellText(spell: Spell): string {
  const parts = spell.faults.map(
    ({ fault, afterMs, lastMs }) => `${fault.name} after ${afterMs / 1000} s for ${lastMs / 1000} s`,
  );
  return `${parts.join(' + ')}, then ${spell.quietMs / 1000} s quiet`;
}

function planSpell(faults: readonly Fault[], random: SeededRandom): Spell {
  const count = Math.min(random.between(1, FAULTS_PER_SPELL_MAX), faults.length);
  const left = [...faults];
  const planned = Array.from({ length: count }, (_, index): PlannedFault => {
    const fault = random.pick(left);
    left.splice(left.indexOf(fault), 1);
    const afterMs = index === 0 ? 0 : random.below(STAGGER_MS_MAX);
    return { fault, afterMs, lastMs: random.between(LAST_MS_MIN, LAST_MS_MAX) };
  });
  return { faults: planned, quietMs: random.between(QUIET_MS_MIN, QUIET_MS_MAX) };
}
