/**
 * Faults on real processes, each in a network of its own, under a checked history: nothing acknowledged is lost, doubled or
 * reordered, replicas are equal, and the directory is what the disks say. In the long form each fault by itself, several
 * times, and mixes by seeds; here each kind once, several at a time.
 */
import { ChaosCluster } from '@partita/tool-chaos/cluster/chaos-cluster.ts';
import { abilities } from '@partita/tool-chaos/cluster/abilities.ts';
import { FAULTS, faultsNamed, whyNotHere } from '@partita/tool-chaos/faults/catalog.ts';
import type { Fault } from '@partita/tool-chaos/faults/fault.ts';
import { ROW_HEAD, rowCells, rowOf } from '@partita/tool-chaos/fault-row.ts';
import { planMix, planRounds } from '@partita/tool-chaos/plan.ts';
import type { Spell } from '@partita/tool-chaos/plan.ts';
import { runTrial } from '@partita/tool-chaos/trial.ts';
import type { TrialResult } from '@partita/tool-chaos/trial.ts';
import type { RedisCommand } from '@partita/tool-dev/redis-server.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { figureRow } from './figures.ts';
import { redisBinary } from './redis-binary.ts';
import { LONG } from './root.ts';

const PARTITION_COUNT = 3;
const ROUND_COUNT = 5;
const LONG_SECONDS = 10;
const LONG_QUIET_MS = 2000;
const MIX_SEEDS = [1, 2, 3, 4, 5];
const MIX_SECONDS = 60;
const TRIAL_MS_MAX = 15 * 60_000;
/** In the short form each row is one spell: faults that happen at once, on different roles. */
const SHORT_SPELLS: readonly (readonly string[])[] = [
  ['leader-isolated', 'gateway-clock-ahead'],
  ['follower-killed', 'coordinators-apart', 'shard-owner-clock-behind'],
  ['leader-mute', 'redis-flushed', 'gateway-killed'],
  ['leader-restarted-ahead', 'coordinator-stopped', 'shard-owner-isolated'],
  ['brokers-bridged', 'coordinator-clock-behind', 'gateway-isolated'],
];
const SHORT_MS = 4000;
const SHORT_QUIET_MS = 500;

interface Hurt {
  /** Name of the row. */
  readonly what: string;
  readonly spells: readonly Spell[];
  readonly seed?: number;
  /** That does it again. */
  readonly command: string;
}

const able = await abilities();
const binary = await redisBinary();
const possible = FAULTS.filter((fault) => whyNotHere(fault, able) === undefined);
const impossible = FAULTS.filter((fault) => !possible.includes(fault));

if (typeof binary === 'string') {
  it.skip('faults on a cluster are not tested', ({ skip }) => skip(binary));
} else {
  describe('under a checked history, nothing is lost by', () => suite(binary));
}

function suite(redisCommand: RedisCommand): void {
  let cluster: ChaosCluster;
  let trialCount = 0;
  let isUnhurt = true;
  beforeAll(async () => {
    cluster = await ChaosCluster.start({ abilities: able, redisCommand });
  });
  afterAll(async () => {
    await cluster.stop();
    if (isUnhurt && process.env['PARTITA_TEST_KEEP'] !== 'on') cluster.removeHome();
    else console.log(`kept ${cluster.home}`);
  });

  const survive = async ({ what, spells, seed = 1, command }: Hurt): Promise<TrialResult> => {
    trialCount += 1;
    const name = `chaos-${trialCount}`;
    isUnhurt = false;
    const result = await runTrial({ cluster, name, partitionCount: PARTITION_COUNT, spells, seed, log: console.log });
    figureRow('reliability', [...ROW_HEAD, 'command'], [...rowCells(rowOf(what, result)), `\`${command}\``]);
    expect(result.problems).toEqual([]);
    expect(result.verdict.ackedCount).toBeGreaterThan(100);
    expect(result.batchCount).toBeGreaterThan(100);
    isUnhurt = true;
    return result;
  };

  for (const fault of impossible) it.skip(fault.name, ({ skip }) => skip(whyNotHere(fault, able)));

  if (!LONG) {
    it(
      'each kind of fault',
      async () => {
        const spells = SHORT_SPELLS.map((names) =>
          spellOf(faultsNamed(names).filter((fault) => possible.includes(fault))),
        );
        const { spells: past } = await survive({
          what: 'several at once',
          spells: spells.filter(({ faults }) => faults.length > 0),
          command: 'PARTITA_TEST_E2E=on vitest run tools/e2e/chaos.spec.ts',
        });
        const missed = past.flatMap(({ injections }) => injections).filter(({ target }) => target === undefined);
        expect(missed).toEqual([]);
      },
      TRIAL_MS_MAX,
    );
    return;
  }

  it.each(possible.map((fault) => [fault.name, fault] as const))(
    '%s',
    async (name, fault) => {
      const spells = planRounds([fault], ROUND_COUNT, LONG_SECONDS * 1000, LONG_QUIET_MS);
      const command = `npm run chaos -- --faults ${name} --each --rounds ${ROUND_COUNT} --seconds ${LONG_SECONDS}`;
      const { spells: past } = await survive({ what: name, spells, command });
      expect(past.flatMap(({ injections }) => injections).filter(({ target }) => target === undefined)).toEqual([]);
    },
    TRIAL_MS_MAX,
  );

  it.each(MIX_SEEDS)(
    'a mix of all of them, seed %d',
    async (seed) => {
      const spells = planMix(possible, seed, MIX_SECONDS);
      const command = `npm run chaos -- --seed ${seed} --seconds ${MIX_SECONDS}`;
      await survive({ what: `mix of seed ${seed}`, spells, seed, command });
    },
    TRIAL_MS_MAX,
  );
}

/** All at once. */
function spellOf(faults: readonly Fault[]): Spell {
  return { faults: faults.map((fault) => ({ fault, afterMs: 0, lastMs: SHORT_MS })), quietMs: SHORT_QUIET_MS };
}
