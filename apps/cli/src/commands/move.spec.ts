import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FindingSeverity } from '@partita/protocol';
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
  const code = await runCommand(['--server', cluster.address, ...args], terminal);
  const { lines, notes } = terminal;
  return { code, lines, notes, text: lines.join('\n') };
}

describe('partition move', () => {
  it('moves several replicas, waits for the end and shows it', async () => {
    const { code, text, notes } = await run('partition', 'move', 't/0', 't/1', '--from', '1', '--to', '2');
    expect(code).toBe(0);
    const [{ moves }] = cluster.moving.created as [{ moves: unknown[] }];
    expect(moves).toMatchObject([
      { partition: { topic: 't', partition: 0 }, fromBrokerId: 1, toBrokerId: 2 },
      { partition: { topic: 't', partition: 1 }, fromBrokerId: 1, toBrokerId: 2 },
    ]);
    expect(text).toBe('PARTITION  FROM  TO  STATE\nt/0           1   2  succeeded\nt/1           1   2  succeeded');
    expect(notes.at(-1)).toBe('2 of 2 moves done, 3.0 of 3.0 MiB copied');
  });

  it('only asks with --dry-run, and only begins with --no-wait', async () => {
    const asked = await run('partition', 'move', 't/0', '--from', '1', '--to', '2', '--dry-run');
    expect([asked.code, asked.notes[0]]).toEqual([0, 'would move 1 replicas, 3.0 MiB']);
    expect(cluster.moving.reassignments.size).toBe(0);
    const begun = await run('partition', 'move', 't/0', '--from', '1', '--to', '2', '--no-wait');
    expect([begun.code, begun.lines]).toEqual([0, ['r1']]);
  });

  it('lists, shows and cancels what was begun; a cancelled one has not succeeded', async () => {
    await run('partition', 'move', 't/0', '--from', '1', '--to', '2', '--no-wait');
    expect((await run('partition', 'move', 'list')).text).toContain('r1');
    const cancelled = await run('partition', 'move', 'cancel', 'r1', '--json');
    expect(JSON.parse(cancelled.text)).toMatchObject({ reassignmentId: 'r1', state: 'cancelled' });
    expect((await run('partition', 'move', 'show', 'r2')).code).toBe(4);
  });

  it('refuses what is no partition, and says how to write one', async () => {
    const { code, notes } = await run('partition', 'move', 'flights', '--from', '1', '--to', '2');
    expect([code, notes[0]]).toEqual([2, 'error: "flights" is no partition: write topic/number, for example flights/3']);
    expect((await run('partition', 'move', 't/0', '--from', '1')).code).toBe(2);
    expect((await run('partition', 'move', 't/0', '--from', '1', '--to', '9')).code).toBe(4);
  });

  it('goes on in the cluster when Ctrl-C is pressed, and says how to look', async () => {
    const terminal = recordedTerminal();
    cluster.moving.stepping = false;
    const running = runCommand(
      ['--server', cluster.address, 'partition', 'move', 't/0', '--from', '1', '--to', '2'],
      terminal,
    );
    while (cluster.moving.reassignments.size === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    await new Promise((resolve) => setTimeout(resolve, 100));
    terminal.interrupt();
    expect(await running).toBe(130);
    expect(terminal.notes.join('\n')).toContain('partita partition move show r1');
  });
});

describe('broker', () => {
  it('lists brokers with what they hold, and who is being emptied', async () => {
    const { text } = await run('broker', 'list');
    expect(text).toContain('3  b3:1     r     up, being emptied');
  });

  it('drains one and waits until it is empty', async () => {
    const { code, lines, notes } = await run('broker', 'drain', '3');
    expect([code, lines]).toEqual([0, ['broker 3 is empty']]);
    expect(notes[0]).toBe('moving 1 replicas and 1 leaders off broker 3');
    expect(cluster.moving.drains).toEqual([{ brokerId: 3, replicas: true, validateOnly: false, cancel: false }]);
  });

  it('shows what would move, moves leaders only, and ends the draining', async () => {
    expect((await run('broker', 'drain', '3', '--dry-run')).text).toContain('t/0');
    expect((await run('broker', 'drain', '3', '--leaders-only')).lines).toEqual(['broker 3 leads nothing']);
    expect((await run('broker', 'drain', '3', '--cancel')).lines).toEqual(['broker 3 is used again']);
    expect(cluster.moving.drains.map(({ replicas, validateOnly, cancel }) => [replicas, validateOnly, cancel])).toEqual([
      [true, true, false],
      [false, false, false],
      [true, false, true],
    ]);
  });

  it('forgets one only with --yes, and one that is not empty not at all', async () => {
    expect((await run('broker', 'remove', '3')).code).toBe(2);
    expect((await run('broker', 'remove', '1', '--yes')).code).toBe(1);
    expect((await run('broker', 'remove', '3', '--yes')).lines).toEqual(['broker 3 is forgotten']);
    expect(cluster.moving.removed).toEqual([3]);
  });
});

describe('cluster', () => {
  it('rebalances: shows the moves, or makes them', async () => {
    const asked = await run('cluster', 'rebalance', '--dry-run');
    expect(asked.text).toBe('PARTITION  FROM    TO  STATE\nt/0        1        2  running\nt/1        leader   2  running');
    const made = await run('cluster', 'rebalance', '--json');
    expect([made.code, JSON.parse(made.text)]).toMatchObject([0, { state: 'succeeded' }]);
  });

  it('shows and changes the settings of the cluster', async () => {
    const { text } = await run('cluster', 'settings', '--auto-balance', 'off', '--move-rate', '64MiB/s');
    expect(text).toContain('auto_balance         off    cluster');
    expect(cluster.moving.changes).toMatchObject([{ autoBalance: false, moveBytesPerSecond: 64n * 1024n * 1024n }]);
    expect((await run('cluster', 'settings', '--auto-balance', 'maybe')).code).toBe(2);
  });

  it('ends with 1 when the doctor finds an error, with 0 when only less', async () => {
    expect(await run('cluster', 'doctor')).toMatchObject({ code: 0, notes: ['looked at 12 things: nothing is wrong'] });
    const { FINDING_SEVERITY_ERROR: error, FINDING_SEVERITY_NOTE: note } = FindingSeverity;
    cluster.moving.severities = [note];
    expect((await run('cluster', 'doctor')).code).toBe(0);
    cluster.moving.severities = [error, note];
    const { code, lines, notes } = await run('cluster', 'doctor');
    expect(code).toBe(1);
    expect(lines[0]).toBe('error    broker 1 is full [disk-filling]\n         partita broker drain 1');
    expect(notes).toEqual(['looked at 12 things: 2 findings, 1 errors']);
    expect(JSON.parse((await run('cluster', 'doctor', '--json')).lines[0] ?? '')).toMatchObject({ severity: 'error' });
  });
});
