import { figure } from '@partita/tool-e2e/figures.ts';
import { LONG } from '@partita/tool-e2e/root.ts';
import { expect, it } from 'vitest';
import { runInProcesses } from '../campaign.ts';
import { reportCampaign } from '../report-campaign.ts';
import { runGroupsSeed } from './run-seed.ts';

const SEED_COUNT = LONG ? 100_000 : 20_000;
const MINUTES_MAX = LONG ? 30 : 6;

/** What 20,000 seeds must have met at least so often, or they prove little. */
const SIGHTS: Readonly<Record<string, number>> = {
  'append sent again': 10_000,
  'repeated append known by its sequence': 5000,
  'late append fenced by a claim': 5000,
  'claim repeated': 5000,
  'replay overtaken by another owner': 15,
  'commit refused': 5000,
  'offset reset': 5000,
  'partition given to its holder anew': 5000,
  'static member replaced': 2000,
  'silent member put out': 5000,
  'member that releases nothing put out': 500,
  'group forgotten': 10,
};

it(
  'groups keep their promises through everything that goes wrong, and come right',
  async () => {
    const campaign = await runInProcesses('groups', SEED_COUNT, 2);
    if (LONG) reportCampaign('groups', campaign);
    expect(campaign.violations).toEqual([]);
    const missed = Object.entries(SIGHTS).filter(([sight, least]) => (campaign.counts[`seen: ${sight}`] ?? 0) < least);
    expect(missed).toEqual([]);
    if (LONG) figure('group-core', 'groups: states that must be met, met', Object.keys(SIGHTS).length);
  },
  MINUTES_MAX * 60_000,
);

it('the same seed gives the same run, step by step, and another one another', async () => {
  const hashes = new Set<string>();
  for (let seed = 1; seed <= 20; seed += 1) {
    const first = await runGroupsSeed(seed, { keepsTrace: true });
    const second = await runGroupsSeed(seed, { keepsTrace: true });
    expect(second.trace.join('\n')).toBe(first.trace.join('\n'));
    expect((await runGroupsSeed(seed)).tally.counts).toEqual(first.tally.counts);
    hashes.add(first.traceHash);
  }
  expect(hashes.size).toBe(20);
});
