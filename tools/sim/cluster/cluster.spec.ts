import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { figure } from '@partita/tool-e2e/figures.ts';
import { LONG, ROOT } from '@partita/tool-e2e/root.ts';
import { expect, it } from 'vitest';
import { runInProcesses } from '../campaign.ts';
import { reportCampaign } from '../report-campaign.ts';

const SEED_COUNT = LONG ? 20_000 : 500;
const MINUTES_MAX = LONG ? 180 : 6;

/** What 500 seeds must have met at least so often, or they prove little. */
const SIGHTS: Readonly<Record<string, number>> = {
  'seen: directory lost with topics': 100,
  'seen: duplicate answered': 20,
  'seen: OUTCOME_UNKNOWN kept': 100,
  'replica sets changed': 50,
  'fault: broker wiped': 10,
  'fault: store split': 50,
  'fault: store rolled back': 50,
  'fault: store away': 50,
  'fault: all brokers without power': 50,
  'topics deleted': 200,
  'topics updated': 500,
};

it(
  'brokers and coordinators as they ship keep every promise through everything that goes wrong, and come back',
  async () => {
    const campaign = await runInProcesses('cluster', SEED_COUNT, 2);
    if (LONG) reportCampaign('cluster', campaign);
    expect(campaign.violations).toEqual([]);
    const missed = Object.entries(SIGHTS).filter(([sight, least]) => (campaign.counts[sight] ?? 0) < least);
    expect(missed).toEqual([]);
    if (LONG) figure('cluster', 'cluster: states that must be met, met', Object.keys(SIGHTS).length);
  },
  MINUTES_MAX * 60_000,
);

it('the same seed gives the same run, step by step, in any process, and another one another', async () => {
  const traces = new Set<string>();
  const seeds = [3, 5, 8];
  for (const seed of seeds) {
    const first = await replay(seed);
    expect(await replay(seed)).toBe(first);
    traces.add(first);
  }
  expect(traces.size).toBe(seeds.length);
}, 120_000);

/** A program of its own: a test runner loads modules its own way, where none can be replaced. */
async function replay(seed: number): Promise<string> {
  const main = join(ROOT, 'tools/sim/main.ts');
  const args = [main, 'cluster', String(seed)];
  const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 2 ** 26 });
  return stdout;
}
