import { GroupPartition } from '@partita/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runCommand } from '../program.ts';
import { recordedTerminal } from '../testing/recorded-terminal.ts';
import { SmallCluster } from '../testing/small-cluster.ts';

let cluster: SmallCluster;

beforeEach(async () => {
  cluster = new SmallCluster();
  await cluster.start();
  const age = { seconds: 300n, nanos: 500_000_000 };
  cluster.groups.set('billing', [
    GroupPartition.fromPartial({
      topic: 't',
      partition: 0,
      nextOffset: 2n,
      highWatermark: 1502n,
      lagRecords: 1500n,
      lagBytes: 20_480n,
      lagAge: age,
      memberId: 'm',
    }),
    GroupPartition.fromPartial({ topic: 't', partition: 1, lagBytes: -1n }),
  ]);
});

afterEach(() => cluster.close());

/** `pictures`: Ctrl-C as soon as so many groups were drawn. */
async function run(args: readonly string[], { screen = false, pictures = 0 } = {}) {
  const terminal = recordedTerminal('', { PARTITA_SERVER: cluster.address, SCREEN: screen ? 'on' : 'off' });
  const drawn = (): number => terminal.lines.filter((line) => line.startsWith('group')).length;
  const watch = setInterval(() => pictures > 0 && drawn() >= pictures && terminal.interrupt(), 10);
  const code = await runCommand(['group', ...args], terminal);
  clearInterval(watch);
  return { code, lines: terminal.lines, notes: terminal.notes.join('\n') };
}

const json = (lines: readonly string[]): unknown[] => lines.map((line) => JSON.parse(line) as unknown);

describe('group describe', () => {
  test('shows the lag in records, bytes and age, and dashes where it is not known', async () => {
    const { code, lines } = await run(['describe', 'billing']);
    expect(code).toBe(0);
    const [head, known, unknown] = lines.join('\n').split('\n').slice(-3);
    expect(head).toMatch(/LAG +BYTES +AGE +MEMBER/);
    expect(known?.split(/ +/)).toEqual(['t', '0', '2', '1502', '1,500', '20,480', '5m', 'm']);
    expect(unknown?.split(/ +/)).toEqual(['t', '1', '-', '0', '-', '-', '-', '-']);
  });

  test('tells JSON what it knows', async () => {
    const [view] = json((await run(['describe', 'billing', '--json'])).lines);
    expect(view).toMatchObject({
      id: 'billing',
      partitions: [
        { partition: 0, nextOffset: 2, lagRecords: 1500, lagBytes: 20_480, lagAgeMs: 300_500 },
        { partition: 1 },
      ],
    });
  });

  test('exits with 4 when there is no such group', async () => {
    expect(await run(['describe', 'nobody'])).toMatchObject({ code: 4 });
  });

  test('watches until Ctrl-C, block after block, and ends quietly with 130', async () => {
    const { code, lines, notes } = await run(['describe', 'billing', '--watch', '--interval', '100ms'], {
      pictures: 2,
    });
    expect(code).toBe(130);
    expect(notes).toBe('');
    expect(lines.filter((line) => line.startsWith('group')).length).toBeGreaterThan(1);
    expect(lines.slice(0, 3).map((line) => line.split(' ')[0])).toEqual(['group', '', 'group']);
  });

  test('draws over the picture before on a screen', async () => {
    const { lines } = await run(['describe', 'billing', '--watch', '--interval', '100ms'], {
      screen: true,
      pictures: 2,
    });
    expect(lines.slice(0, 3).map((line) => line.split(' ')[0])).toEqual(['CLEAR', 'group', 'CLEAR']);
  });
});

describe('group reset-offsets', () => {
  test.each([
    [['--to-earliest'], { $case: 'position', position: { position: { $case: 'earliest', earliest: true } } }],
    [['--to-latest'], { $case: 'position', position: { position: { $case: 'latest', latest: true } } }],
    [['--to-offset', '7'], { $case: 'position', position: { position: { $case: 'offset', offset: 7n } } }],
    [
      ['--to-time', '2001-02-03T04:05:06Z'],
      { $case: 'position', position: { position: { $case: 'time', time: { seconds: 981_173_106n, nanos: 0 } } } },
    ],
    [
      ['--by-duration', '5m'],
      { $case: 'position', position: { position: { $case: 'ago', ago: { seconds: 300n, nanos: 0 } } } },
    ],
    [['--shift', '-100'], { $case: 'shift', shift: -100n }],
  ])('takes %j', async (how, target) => {
    const { code } = await run(['reset-offsets', 'billing', '--topic', 't', '--partitions', '0,1', ...how, '--yes']);
    expect(code).toBe(0);
    expect(cluster.resets).toMatchObject([
      { group: 'billing', topic: 't', partitions: [0, 1], target, validateOnly: false },
    ]);
  });

  test('shows where each was and is; with --dry-run moves nothing', async () => {
    const reset = ['reset-offsets', 'billing', '--topic', 't', '--shift', '-1'];
    const dry = await run([...reset, '--dry-run']);
    expect(dry.lines.join('\n').split('\n')[1]?.split(/ +/)).toEqual(['t', '0', '2', '1']);
    expect(dry.notes).toContain('nothing was moved');
    expect(json((await run([...reset, '--yes', '--json'])).lines)).toEqual([
      { group: 'billing', topic: 't', partition: 0, oldOffset: 2, newOffset: 1 },
      { group: 'billing', topic: 't', partition: 1, newOffset: 0 },
    ]);
    expect(cluster.resets.map(({ validateOnly }) => validateOnly)).toEqual([true, false]);
  });

  test.each([
    ['no target', ['--yes']],
    ['two targets', ['--to-earliest', '--shift', '1', '--yes']],
    ['no --yes', ['--to-earliest']],
    ['a time that is none', ['--to-time', 'yesterday', '--yes']],
    ['a shift that is none', ['--shift', '1.5', '--yes']],
    ['a partition that is none', ['--partitions', '0,x', '--to-earliest', '--yes']],
  ])('refuses %s with 2', async (_, options) => {
    expect(await run(['reset-offsets', 'billing', '--topic', 't', ...options])).toMatchObject({ code: 2 });
    expect(cluster.resets).toEqual([]);
  });
});

test('group delete needs --yes, and deletes', async () => {
  expect(await run(['delete', 'billing'])).toMatchObject({ code: 2 });
  expect([...cluster.groups.keys()]).toEqual(['billing']);
  expect((await run(['list', '--json'])).lines).toHaveLength(1);
  expect(await run(['delete', 'billing', '--yes'])).toMatchObject({ code: 0, lines: ['deleted group billing'] });
  expect(await run(['delete', 'billing', '--yes'])).toMatchObject({ code: 4 });
});
