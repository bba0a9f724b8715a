import { afterEach, beforeEach, describe, expect, test } from 'vitest';
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
  const terminal = recordedTerminal('', { PARTITA_SERVER: cluster.address });
  const code = await runCommand(args, terminal);
  return { code, text: terminal.lines.join('\n'), lines: terminal.lines, notes: terminal.notes.join('\n') };
}

describe('cluster describe', () => {
  test('shows partitions with leaders, in-sync sets and lags', async () => {
    const { code, text } = await run('cluster', 'describe');
    expect(code).toBe(0);
    expect(text).toMatch(/PARTITION +STATE +LEADER +EPOCH +REPLICAS +IN SYNC +COMMITTED +LAG/);
    expect(text).toMatch(/t\/0 +online +1 +2 +1,2 +1,2 +9/);
    expect(text).toMatch(/t\/1 +offline +none +2 +1,2 +1 +9 +2:7! for 12 s/);
  });

  test.each(['--under-replicated', '--offline'])('%s leaves out the others', async (filter) => {
    const [json = ''] = (await run('cluster', 'describe', filter, '--json')).lines;
    const { partitions } = JSON.parse(json) as { partitions: { partition: number }[] };
    expect(partitions).toMatchObject([{ partition: 1, lags: [{ brokerId: 2, lagRecords: 7, lagMs: 12_000 }] }]);
  });

  test('audit shows the newest first, as many as asked for', async () => {
    expect((await run('cluster', 'audit')).text).toMatch(/1970-01-01T00:00:01.000Z +topic_create +t +ann/);
    const { lines } = await run('cluster', 'audit', '--max', '1', '--json');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([{ details: { partitions: 2 } }]);
  });
});

describe('partition', () => {
  test('producers lists the sessions of all pages, and counts requests', async () => {
    const { code, text, notes } = await run('partition', 'producers', 't', '0');
    expect(code).toBe(0);
    expect(text).toMatch(/01010101-0101-0101-0101-010101010101 +0 +6 +8 +1970-01-01T00:00:00.000Z/);
    expect(text).toContain('02020202-0202');
    expect(notes).toContain('t/0 remembers 2 producer sessions, and 3 requests with an id');
  });

  test('elect tells the leader, and ends with 1 when it is not as wished', async () => {
    expect(await run('partition', 'elect', 't', '0')).toMatchObject({
      code: 0,
      text: expect.stringMatching(/t\/0 +1 +2/),
    });
    expect(await run('partition', 'elect', 't', '0', '--broker', '9')).toMatchObject({
      code: 1,
      text: expect.stringContaining('REPLICA_NOT_FOUND'),
    });
    expect(await run('partition', 'elect', '--all-preferred')).toMatchObject({ code: 0 });
  });

  test.each([[['t']], [[]], [['t', '0', '--all-preferred']], [['--all-preferred', '--broker', '1']], [['t', 'x']]])(
    'elect %j is no way to write it',
    async (args) => expect((await run('partition', 'elect', ...args)).code).toBe(2),
  );

  test('force-leader and recover want consent, a reason and --yes', async () => {
    const force = ['partition', 'force-leader', 't', '0', '--broker', '2'];
    for (const given of [[], ['--accept-data-loss'], ['--accept-data-loss', '--yes'], ['--reason', 'r', '--yes']])
      expect(await run(...force, ...given)).toMatchObject({
        code: 2,
        notes: expect.stringContaining('--accept-data-loss'),
      });
    expect(cluster.reasons).toEqual([]);
    const consent = ['--accept-data-loss', '--reason', 'disk gone', '--yes'];
    expect((await run(...force, ...consent)).text).toBe('broker 2 leads t/0 in epoch 3');
    expect((await run('partition', 'recover', 't', '1', ...consent)).text).toBe('broker 2 leads t/1 in epoch 4');
    expect(cluster.reasons).toEqual(['disk gone', 'disk gone']);
  });
});
