/** A cluster under load and a plan of faults, and what came of it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SeededRandom } from '@partita/testkit';
import { checkHistory } from '@partita/tool-history/checker.ts';
import type { Verdict } from '@partita/tool-history/checker.ts';
import type { HistoryEvent } from '@partita/tool-history/history.ts';
import type { ChaosCluster } from './cluster/chaos-cluster.ts';
import { checkDirectory } from './load/directory-check.ts';
import { createTopic, Load } from './load/load.ts';
import { checkReplicas } from './load/replica-check.ts';
import { carryOut } from './nemesis.ts';
import type { PastSpell } from './nemesis.ts';
import type { Spell } from './plan.ts';
import { untilAtRest, untilInSync, untilRecovered } from './recovery.ts';
import { Roles } from './roles.ts';

const RECOVERY_SECONDS_MAX = 90;
const REPLICA_COUNT = 3;

export interface TrialOptions {
  readonly cluster: ChaosCluster;
  /** Names the topic, the group and the files. */
  readonly name: string;
  readonly partitionCount: number;
  readonly spells: readonly Spell[];
  readonly seed: number;
  readonly log: (line: string) => void;
}

export interface TrialResult {
  readonly name: string;
  readonly history: readonly HistoryEvent[];
  readonly verdict: Verdict;
  readonly spells: readonly PastSpell[];
  /** Equal on all replicas. */
  readonly batchCount: number;
  /** Whose entries in the directory were compared. */
  readonly directoryPartitionCount: number;
  /** In words; empty for a good trial. */
  readonly problems: readonly string[];
}

/** Rejects only when the trial could not be made; what went wrong in it are its problems. */
export async function runTrial(options: TrialOptions): Promise<TrialResult> {
  const { cluster, name, partitionCount, spells, seed, log } = options;
  const subject = { topic: name, group: `of-${name}` };
  const wanted = { topic: name, partitionCount, replicaCount: REPLICA_COUNT };
  await createTopic(cluster, name, partitionCount);
  await untilInSync(cluster, wanted, RECOVERY_SECONDS_MAX);
  const roles = new Roles(cluster, subject, new SeededRandom(seed));
  const load = await Load.start({ cluster, subject, partitionCount });
  const problems: string[] = [];
  let past: PastSpell[] = [];
  try {
    const { events } = load;
    const recovered = (): Promise<void> =>
      untilRecovered(cluster, wanted, { events, secondsMax: RECOVERY_SECONDS_MAX });
    await recovered();
    log(`${name}: all clients work`);
    const stage = { cluster, roles, random: new SeededRandom(seed) };
    past = await carryOut(spells, { stage, recovered, log });
    problems.push(
      ...past.flatMap(({ injections }) => injections.flatMap(({ wrong }) => (wrong === '' ? [] : [wrong]))),
    );
    problems.push(...(await load.finish()));
  } catch (error) {
    problems.push(String(error));
    await load.abandon();
  } finally {
    roles.close();
  }
  log(`${name}: reading and checking`);
  await untilAtRest(cluster, RECOVERY_SECONDS_MAX).catch((error: unknown) => problems.push(String(error)));
  const history = load.history();
  const verdict = checkHistory(history);
  const replicas = await checkReplicas(cluster, name).catch(failure);
  const directory = await checkDirectory(cluster).catch(failure);
  problems.push(...anomaliesOf(verdict), ...replicas.problems, ...directory.problems);
  if (problems.length > 0) log(`history in ${keepHistory(cluster.home, name, history)}`);
  return {
    ...{ name, history, verdict, spells: past, problems },
    batchCount: replicas.batchCount,
    directoryPartitionCount: directory.partitionCount,
  };
}

function failure(error: unknown) {
  return { batchCount: 0, partitionCount: 0, problems: [String(error)] };
}

function anomaliesOf({ anomalies, unseenCount }: Verdict): string[] {
  const named = Object.entries(anomalies).map(
    ([anomaly, { count, examples }]) => `${anomaly}: ${count}, as ${examples.slice(0, 2).join('; ')}`,
  );
  return unseenCount === 0 ? named : [...named, `${unseenCount} acknowledged values were never read`];
}

function keepHistory(home: string, name: string, history: readonly HistoryEvent[]): string {
  const folder = join(home, 'histories');
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${name}.jsonl`);
  writeFileSync(path, history.map((event) => `${JSON.stringify(event)}\n`).join(''));
  return path;
}
