/** What an operator does when a partition cannot help itself: every copy suspect, or all but one lost. */
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CHECKPOINT_MS } from '@partita/domain';
import { Api, valueOf } from './api.ts';
import { outputOf, partita } from './command.ts';
import { whyNot } from '@partita/tool-dev/debian-package.ts';
import { newHome, startCluster } from './harness.ts';
import type { Cluster } from './harness.ts';
import { anotherBoot } from './private-boot.ts';
import { killNow } from './processes.ts';
import { until } from './until.ts';

const LOST = [/lost acknowledged records/];
const RECORD_COUNT = 30;
const ACCEPT = ['--accept-data-loss', '--reason', 'a test', '--yes'];
const reason = await whyNot(['unshare']);
const home = newHome();
let cluster: Cluster;

const start = async () => startCluster({ home, wrap: anotherBoot(join(home, 'boot-id')) });
const cli = (...args: string[]) => partita(args, { env: { PARTITA_HOME: home, NO_COLOR: '1' } });

async function fill(topic: string): Promise<string[]> {
  const api = new Api(cluster);
  const values = Array.from({ length: RECORD_COUNT }, () => randomUUID());
  for (const value of values) await api.produce(topic, [{ value }], { partition: 0 });
  api.close();
  return values;
}

async function readAll(topic: string): Promise<string[]> {
  const api = new Api(cluster);
  try {
    return (await api.readPartition(topic, 0)).map(valueOf);
  } finally {
    api.close();
  }
}

const offline = async () => outputOf(cli('cluster', 'describe', '--offline'));

if (reason !== undefined) it.skip('operators cannot be tested', ({ skip }) => skip(reason));
else describe('an operator', suite);

function suite(): void {
  beforeAll(async () => {
    cluster = await start();
    await outputOf(cli('topic', 'create', 'fast', '--partitions', '1', '--setting', 'flush=os'));
    await outputOf(cli('topic', 'create', 'safe', '--partitions', '1'));
  });
  afterAll(() => cluster.dispose(LOST));

  it('elects the best of logs that are all suspect, and the partition is whole again', async () => {
    const values = await fill('fast');
    await cluster.killEverything();
    cluster = await start();
    await until('that partition alone to be offline', 30, async () => {
      const table = await offline();
      return table.includes('fast') && !table.includes('safe');
    });
    const unsure = await cli('partition', 'recover', 'fast', '0');
    expect(unsure.code).toBe(2);
    expect(unsure.stderr).toContain('--accept-data-loss');
    await outputOf(cli('partition', 'recover', 'fast', '0', ...ACCEPT));
    await until('all replicas in sync', 30, async () => {
      const table = await outputOf(cli('topic', 'describe', 'fast'));
      expect(table).toMatch(/[123],[123],[123] +[123],[123],[123]/);
      return true;
    });
    await until('the records', 10, async () => (await readAll('fast')).join() === values.join());
    expect(await outputOf(cli('cluster', 'audit'))).toMatch(/recover.*fast/s);
    const more = await fill('fast');
    expect(await readAll('fast')).toEqual([...values, ...more]);
  });

  it('makes the last copy leader, and reads what it has', async () => {
    const values = await fill('safe');
    const api = new Api(cluster);
    const { partitions } = await api.getTopic('safe');
    api.close();
    const survivor = partitions[0]?.replicas.at(-1)?.brokerId ?? 0;
    await sleep(2 * CHECKPOINT_MS);
    const lost = cluster.file.brokers.filter(({ id }) => id !== survivor);
    for (const { pid } of lost) process.kill(pid, 'SIGSTOP');
    for (const { dataDir } of lost) rmSync(dataDir, { recursive: true, force: true });
    killNow(lost.map(({ pid }) => pid));
    await until('the brokers to be back', 60, () => {
      const { broker: pids } = cluster.file.pids;
      return pids.length === 3 && !lost.some(({ pid }) => pids.includes(pid));
    });
    await until('the partition to be offline', 30, async () => (await offline()).includes('safe'));
    const elected = await cli('partition', 'elect', 'safe', '0');
    expect(elected.code).toBe(1);
    await outputOf(cli('partition', 'force-leader', 'safe', '0', '--broker', String(survivor), ...ACCEPT));
    expect(await outputOf(cli('cluster', 'describe'))).toMatch(/safe\/0 +lossy/);
    expect(await outputOf(cli('cluster', 'audit'))).toMatch(/force.*safe/s);
    await until('the records', 10, async () => (await readAll('safe')).join() === values.join());
  });
}
