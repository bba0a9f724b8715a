import { figure } from '@partita/tool-e2e/figures.ts';
import { LONG } from '@partita/tool-e2e/root.ts';
import { expect, it } from 'vitest';
import { runInProcesses } from '../campaign.ts';
import { reportCampaign } from '../report-campaign.ts';
import { runCoreSeed } from './run-seed.ts';

const SEED_COUNT = LONG ? 100_000 : 20_000;
const MINUTES_MAX = LONG ? 30 : 6;

/** What 20,000 seeds must have met at least so often, or they prove little. */
const SIGHTS: Readonly<Record<string, number>> = {
  'stale leader elected': 3,
  'truncation of uncommitted records': 300,
  'join across 3 epochs': 1000,
  'suspect cleared': 1000,
  'follower started from a snapshot': 50,
  'lead refused because the log changed': 15,
  'promise duel': 1000,
  'OUTCOME_UNKNOWN kept': 10_000,
  'OUTCOME_UNKNOWN lost': 1000,
  'held append released': 5000,
  'leader resigned by stall': 50,
  'fenced leader': 500,
  'in-sync set shrank and regrew': 2000,
  'unclean lead': 300,
  'duplicate answered': 3000,
  'duplicate answered by a later leader': 200,
  'duplicate waited for its original': 1000,
  'change committed': 20_000,
  'change rolled back by a truncation': 15,
  'leader crashed while a change was uncommitted': 400,
  'learner promoted': 2000,
  'member removed': 4000,
  'min in-sync changed': 2500,
  'blank replica joined': 3500,
  'election under two configs in force': 500,
  'replica deleted and made again': 2500,
  'floor of a deleted replica answered': 250,
};

it(
  'a replicated partition keeps its promises through everything that goes wrong, and comes back',
  async () => {
    const campaign = await runInProcesses('core', SEED_COUNT, 2);
    if (LONG) reportCampaign('core', campaign);
    expect(campaign.violations).toEqual([]);
    const missed = Object.entries(SIGHTS).filter(([sight, least]) => (campaign.counts[`seen: ${sight}`] ?? 0) < least);
    expect(missed).toEqual([]);
    if (LONG) figure('core', 'core: states that must be met, met', Object.keys(SIGHTS).length);
  },
  MINUTES_MAX * 60_000,
);

it('the same seed gives the same run, step by step, and another one another', async () => {
  const hashes = new Set<string>();
  for (let seed = 1; seed <= 20; seed += 1) {
    const first = await runCoreSeed(seed, { keepsTrace: true });
    const second = await runCoreSeed(seed, { keepsTrace: true });
    expect(second.trace.join('\n')).toBe(first.trace.join('\n'));
    expect((await runCoreSeed(seed)).tally.counts).toEqual(first.tally.counts);
    hashes.add(first.traceHash);
  }
  expect(hashes.size).toBe(20);
});
