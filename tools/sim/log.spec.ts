import { figure } from '@partita/tool-e2e/figures.ts';
import { LONG } from '@partita/tool-e2e/root.ts';
import { expect, it } from 'vitest';
import { runInProcesses, runSeeds } from './campaign.ts';
import { runLogSeed } from './log-run.ts';
import { ROLL_STEPS } from './log-world.ts';
import { reportCampaign } from './report-campaign.ts';

const SEED_COUNT = LONG ? 12_000 : 300;
const MINUTES_MAX = 25;

/** States that a campaign must have met, or it proves little. */
const SIGHTS = [
  'torn tail cut',
  'batches behind a torn one',
  'crash during recovery',
  ...ROLL_STEPS.map(([step]) => `crash in a roll, ${step}`),
  'snapshot made again',
  'index made again',
  'read flip caught',
  'no space in a write',
  'resumed after no space',
  'opened after a failed sync',
  'cut across segments',
  'last segment unborn',
  'last segment empty',
  'clean stop',
  'suspect',
  'damaged log refused',
  'damaged batch not served',
  'crash during a trim',
  'trim finished at a start',
  'crash during a pass',
  'crash during a swap',
  'swap completed at a start',
  'leftovers of a compaction removed',
  'batch behind a hole',
  'cut in a hole',
  'restart completed at a start',
];

it(
  'a partition log loses nothing, serves no wrong byte and is never refused without damage, through many lives',
  async () => {
    const campaign = LONG ? await runInProcesses('log', SEED_COUNT, 2) : await runSeeds('log', 1, SEED_COUNT);
    if (LONG) reportCampaign('log', campaign);
    expect(campaign.violations).toEqual([]);
    const missed = SIGHTS.filter((sight) => (campaign.counts[`seen: ${sight}`] ?? 0) === 0);
    expect(missed).toEqual([]);
    for (const phase of ['start', 'run', 'cut', 'stop'])
      expect(campaign.counts[`crash in ${phase}`]).toBeGreaterThan(0);
    if (LONG) figure('disk', 'log: states that must be met, met', `${SIGHTS.length} of ${SIGHTS.length}`);
  },
  MINUTES_MAX * 60_000,
);

it('the same seed gives the same run, another one another', async () => {
  const hashes = new Set<string>();
  for (let seed = 1; seed <= 20; seed += 1) {
    const first = await runLogSeed(seed);
    expect((await runLogSeed(seed, { keepsTrace: true })).traceHash).toBe(first.traceHash);
    hashes.add(first.traceHash);
  }
  expect(hashes.size).toBe(20);
});
