import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PRODUCT_VERSION } from '@partita/runtime';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { runCommand } from './program.ts';
import { recordedTerminal } from './testing/recorded-terminal.ts';
import { SmallCluster } from './testing/small-cluster.ts';

let cluster: SmallCluster;
let home: string;

beforeEach(async () => {
  // Records without a key go to the first partition.
  vi.spyOn(Math, 'random').mockReturnValue(0);
  cluster = new SmallCluster();
  await cluster.start();
  home = mkdtempSync(join(tmpdir(), 'partita-cli-'));
});

afterEach(() => {
  vi.restoreAllMocks();
  cluster.close();
  rmSync(home, { recursive: true });
});

/** Runs a command against the small cluster. */
async function run(args: readonly string[], input = '') {
  const terminal = recordedTerminal(input, { PARTITA_SERVER: cluster.address });
  const code = await runCommand(args, terminal);
  return { code, lines: terminal.lines, notes: terminal.notes.join('\n') };
}

describe('usage', () => {
  test('a mistyped command is suggested', async () => {
    const { code, notes } = await run(['topc', 'list']);
    expect([code, notes]).toEqual([2, expect.stringContaining('Did you mean topic?')]);
  });

  test('help and version are no failures', async () => {
    expect(await run(['--version'])).toMatchObject({ code: 0, lines: [PRODUCT_VERSION] });
    const { code, lines } = await run(['produce', '--help']);
    expect([code, lines.join('\n')]).toEqual([0, expect.stringContaining('Examples:')]);
  });

  test('a wrong option says how to write it', async () => {
    expect(await run(['topic', 'create', 't', '--partitions', '0'])).toMatchObject({
      code: 2,
      notes: expect.stringContaining('from 1 to 10000'),
    });
    expect(await run(['consume', 't', '--group', 'g', '--partition', '1'])).toMatchObject({ code: 2 });
    expect(await run(['consume'])).toMatchObject({ code: 2 });
    expect(await run(['consume', '--topic-pattern', 't.*'])).toMatchObject({ code: 2 });
    expect(await run(['consume', 't', '--group', 'g', '--topic-pattern', 't.*'])).toMatchObject({ code: 2 });
  });
});

describe('the cluster', () => {
  test('is found by its ready-file', async () => {
    writeFileSync(
      join(home, 'cluster.json'),
      JSON.stringify({ gateway: cluster.address, consumerGroup: '127.0.0.1:1', coordinators: [] }),
    );
    const terminal = recordedTerminal();
    expect(await runCommand(['topic', 'list', '--home', home], terminal)).toBe(0);
    expect(terminal.lines[0]).toContain('TOPIC');
  });

  test('that does not run is exit code 3 and the command that starts one', async () => {
    for (const args of [
      ['--home', home],
      ['--server', '127.0.0.1:1'],
    ]) {
      const terminal = recordedTerminal();
      expect(await runCommand(['topic', 'list', ...args], terminal)).toBe(3);
      expect(terminal.notes.join('\n')).toMatch(/start a cluster: npm start.*SERVICE_UNREACHABLE/);
    }
  });

  test('takes an address only as host:port', async () => {
    const terminal = recordedTerminal();
    expect(await runCommand(['topic', 'list', '--server', 'localhost'], terminal)).toBe(2);
  });
});

describe('topic', () => {
  test('create answers with what was made, as text or JSON', async () => {
    expect(await run(['topic', 'create', 'a', '--partitions', '6'])).toMatchObject({
      code: 0,
      lines: ['created a: 6 partitions, 3 replicas each'],
    });
    const { lines } = await run(['topic', 'create', 'a', '--json']);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ name: 'a', partitionCount: 1, state: 'active' });
  });

  test('describe of a topic that is not there is exit code 4, with the reason', async () => {
    expect(await run(['topic', 'describe', 'nope'])).toMatchObject({
      code: 4,
      lines: [],
      notes: expect.stringContaining('(TOPIC_NOT_FOUND)'),
    });
    const { notes } = await run(['topic', 'describe', 'nope', '--json']);
    expect(JSON.parse(notes)).toMatchObject({
      error: { reason: 'TOPIC_NOT_FOUND', metadata: { topic: 'nope' }, outcome: 'rejected', retryable: false },
    });
  });

  test('delete wants --yes', async () => {
    expect(await run(['topic', 'delete', 't'])).toMatchObject({ code: 2 });
    expect(await run(['topic', 'delete', 't', '--yes'])).toMatchObject({ code: 0, lines: ['deleted t'] });
  });
});

describe('produce', () => {
  test('prints where each record is with --json, and a summary beside the data', async () => {
    const { code, lines, notes } = await run(
      ['produce', 't', '--json'],
      '{"key":"a","value":"1"}\n\n{"value":"2"}\n{"key":"a"}\n',
    );
    expect(code).toBe(0);
    // In order within a partition.
    const places = lines.map((line) => JSON.parse(line) as { partition: number; offset: number });
    expect(places.filter(({ partition }) => partition === 1)).toEqual([
      { topic: 't', partition: 1, offset: 0 },
      { topic: 't', partition: 1, offset: 1 },
    ]);
    expect(places.filter(({ partition }) => partition === 0)).toEqual([{ topic: 't', partition: 0, offset: 0 }]);
    expect(notes).toContain('sent 3 records');
  });

  test('names a wrong line, and loses nothing before it', async () => {
    const { code, notes } = await run(['produce', 't'], '{"key":"a","value":"1"}\n{"key":1}\n{"key":"b"}\n');
    expect([code, notes]).toEqual([1, expect.stringContaining('line 2: "key" is no text')]);
    expect(cluster.logs[1].length).toBe(1);
  });

  test('takes lines as values, from a file, into one partition', async () => {
    const path = join(home, 'in.txt');
    writeFileSync(path, 'one\ntwo');
    expect((await run(['produce', 't', '--format', 'lines', '--file', path, '--partition', '1'])).code).toBe(0);
    expect(cluster.logs[1].map(({ value }) => Buffer.from(value ?? []).toString())).toEqual(['one', 'two']);
    expect(await run(['produce', 't', '--file', join(home, 'none')])).toMatchObject({ code: 2 });
  });

  test('keeps to a rate', async () => {
    const startMs = performance.now();
    await run(['produce', 't', '--format', 'lines', '--rate', '20'], 'a\nb\nc\nd\n');
    expect(performance.now() - startMs).toBeGreaterThan(140);
  });

  test('to a topic that is not there is exit code 4', async () => {
    expect(await run(['produce', 'nope'], '{"value":"1"}\n')).toMatchObject({ code: 4 });
  });
});

describe('consume', () => {
  test('prints records until --max, as text or JSON', async () => {
    await run(['produce', 't'], '{"key":"a","value":"x\\ty"}\n{"key":"a"}\n');
    expect(await run(['consume', 't', '--max', '2'])).toMatchObject({
      code: 0,
      lines: ['1/0\ta\tx\\ty', '1/1\ta\t(deleted)'],
    });
    const { lines } = await run(['consume', 't', '--max', '1', '--from', '1', '--partition', '1', '--json']);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ partition: 1, offset: 1, key: 'a', value: null });
  });

  test('is exit code 5 when fewer than --max come in time', async () => {
    await run(['produce', 't'], '{"value":"1"}\n');
    expect(await run(['consume', 't', '--max', '2', '--timeout', '300ms'])).toMatchObject({
      code: 5,
      lines: ['0/0\t-\t1'],
    });
    expect((await run(['consume', 't', '--timeout', '200ms'])).code).toBe(0);
  });

  test('is exit code 130 after Ctrl-C', async () => {
    const terminal = recordedTerminal('', { PARTITA_SERVER: cluster.address });
    const running = runCommand(['consume', 't'], terminal);
    setTimeout(() => terminal.interrupt(), 100);
    expect(await running).toBe(130);
  });
});
