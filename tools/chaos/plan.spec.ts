import { describe, expect, it } from 'vitest';
import { FAULTS, faultsNamed, whyNotHere } from './faults/catalog.ts';
import { planMix, planRounds, spellMs, spellText } from './plan.ts';

describe('a plan', () => {
  it('is the same for the same seed, and another for another', () => {
    expect(planMix(FAULTS, 7, 60)).toEqual(planMix(FAULTS, 7, 60));
    expect(planMix(FAULTS, 8, 60)).not.toEqual(planMix(FAULTS, 7, 60));
  });

  it('fills its time with spells of one to three different faults that mix', () => {
    const spells = planMix(FAULTS, 3, 300);
    const plannedMs = spells.reduce((sum, spell) => sum + spellMs(spell) + spell.quietMs, 0);
    expect(plannedMs).toBeGreaterThanOrEqual(300_000);
    expect(plannedMs).toBeLessThan(300_000 + 15_000);
    for (const { faults } of spells) {
      expect(faults.length).toBeGreaterThanOrEqual(1);
      expect(faults.length).toBeLessThanOrEqual(3);
      expect(new Set(faults.map(({ fault }) => fault.name)).size).toBe(faults.length);
      expect(faults.every(({ fault }) => fault.mixes)).toBe(true);
    }
    expect(new Set(spells.map(({ faults }) => faults.length))).toEqual(new Set([1, 2, 3]));
  });

  it('of rounds has each fault alone as often as there are rounds', () => {
    const spells = planRounds(FAULTS.slice(0, 2), 3, 5000, 1000);
    expect(spells).toHaveLength(6);
    expect(spellText(spells[0]!)).toBe(`${FAULTS[0]?.name} after 0 s for 5 s, then 1 s quiet`);
  });
});

describe('the faults', () => {
  it('have names of their own, by which they and their likes are found', () => {
    expect(new Set(FAULTS.map(({ name }) => name)).size).toBe(FAULTS.length);
    expect(faultsNamed(['leader-killed']).map(({ name }) => name)).toEqual(['leader-killed']);
    expect(faultsNamed(['isolated']).length).toBeGreaterThan(3);
    expect(() => faultsNamed(['nothing-like-it'])).toThrow('no fault is called nothing-like-it');
  });

  it('that need what a machine has not are left out, and it says why', () => {
    const poor = { noNetwork: 'no root', noClocks: 'no faketime', clockLibrary: undefined };
    const left = FAULTS.filter((fault) => whyNotHere(fault, poor) === undefined);
    expect(left.length).toBeGreaterThan(5);
    expect(left.flatMap(({ needs }) => needs)).toEqual([]);
    expect(whyNotHere(faultsNamed(['leader-isolated'])[0]!, poor)).toBe('no root');
  });
});
