import { afterEach, beforeEach, expect, it } from 'vitest';
import { runCommand } from '../program.ts';
import { recordedTerminal } from '../testing/recorded-terminal.ts';
import { SmallCluster } from '../testing/small-cluster.ts';

let cluster: SmallCluster;

beforeEach(async () => {
  cluster = new SmallCluster();
  await cluster.start();
});
afterEach(() => cluster.close());

async function run(...args: string[]) {
  const terminal = recordedTerminal();
  const code = await runCommand(['--server', cluster.address, 'quota', ...args], terminal);
  return { code, notes: terminal.notes, text: terminal.lines.join('\n') };
}

it('sets quotas of a topic, a client, both and each client, lists them in all pages, and removes them', async () => {
  expect((await run('set', '--topic', 't', '--produce', '10MiB', '--consume', '20MiB/s')).code).toBe(0);
  await run('set', '--client', 'loader', '--produce', '1MiB');
  await run('set', '--topic', 't', '--client', 'loader', '--consume', '4KiB');
  await run('set', '--default', '--produce', '2KiB');
  expect((await run('list')).text.split('\n').map((line) => line.split(/ {2,}/))).toEqual(
    [
      ['TOPIC', 'CLIENT', 'PRODUCE B/S', 'CONSUME B/S'],
      ['t', 'any', '10485760', '20971520'],
      ['any', 'loader', '1048576', '-'],
      ['t', 'loader', '-', '4096'],
      ['any', 'each', '2048', '-'],
    ].map((row) => row.map((cell) => expect.stringContaining(cell.trim()) as string)),
  );
  expect((await run('remove', '--topic', 't')).code).toBe(0);
  const left = (await run('list', '--json')).text.split('\n').map((line) => JSON.parse(line) as object);
  expect(left).toHaveLength(3);
  expect(left[0]).toMatchObject({ topic: '', clientId: 'loader' });
});

it('changes nothing with --dry-run', async () => {
  const { code, notes } = await run('set', '--topic', 't', '--produce', '10MiB', '--dry-run');
  expect([code, notes]).toEqual([0, ['nothing was changed; it would be so:']]);
  expect(cluster.quotas.quotas).toEqual([]);
  expect((await run('set', '--topic', '__groups', '--produce', '10MiB', '--dry-run')).code).toBe(1);
});

it('refuses what says nothing, or not whom', async () => {
  expect((await run('set', '--topic', 't')).notes[0]).toContain('name a rate');
  expect((await run('set', '--produce', '10MiB')).notes[0]).toContain('--default');
  expect((await run('set', '--default', '--topic', 't', '--produce', '10MiB')).code).toBe(2);
  expect((await run('remove')).code).toBe(2);
  expect((await run('set', '--topic', 't', '--produce', 'much')).notes[0]).toContain('10MiB, not "much"');
});
