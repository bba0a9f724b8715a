import { LONG } from '@partita/tool-e2e/root.ts';
import { expect, it } from 'vitest';
import { runInProcesses, runSeeds } from './campaign.ts';
import { runJournalSeed } from './journal-run.ts';
import { reportCampaign } from './report-campaign.ts';

const SEED_COUNT = LONG ? 10_000 : 400;
const MINUTES_MAX = 10;

const SIGHTS = [
  'crash during the start',
  'unanswered change gone',
  'read flip caught',
  'damaged journal refused',
  'damaged last entry taken for torn',
];

it(
  'a journal holds what it answered through many lives, and is never refused without damage',
  async () => {
    const campaign = LONG ? await runInProcesses('journal', SEED_COUNT, 2) : await runSeeds('journal', 1, SEED_COUNT);
    if (LONG) reportCampaign('journal', campaign);
    expect(campaign.violations).toEqual([]);
    expect(SIGHTS.filter((sight) => (campaign.counts[`seen: ${sight}`] ?? 0) === 0)).toEqual([]);
  },
  MINUTES_MAX * 60_000,
);

it('the same seed gives the same run', async () => {
  for (let seed = 1; seed <= 20; seed += 1) {
    expect((await runJournalSeed(seed)).traceHash).toBe((await runJournalSeed(seed)).traceHash);
  }
});
