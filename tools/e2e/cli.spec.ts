/** The CLI as a user and as a script runs it: data on stdout, the rest on stderr, exit codes that can be relied on. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { outputOf, partita } from './command.ts';
import type { CommandOptions, CommandResult } from './command.ts';
import { startCluster } from './harness.ts';
import type { Cluster } from './harness.ts';

let cluster: Cluster;
let folder: string;
beforeAll(async () => {
  cluster = await startCluster({ brokers: 2 });
  folder = mkdtempSync(join(tmpdir(), 'partita-cli-'));
  await outputOf(cli(['topic', 'create', 'flights', '--partitions', '3']));
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await cluster.dispose();
});

/** With the cluster found by its home, as after `npm start`. */
const cli = (args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> =>
  partita(args, { ...options, env: { PARTITA_HOME: cluster.home, NO_COLOR: '1', ...options.env } });

const lines = (text: string): Record<string, unknown>[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe('partita produce and consume', () => {
  it('carry ndjson records there and back, with key, value and headers', async () => {
    const records = [
      { key: 'BOS', value: 'delayed', headers: { source: 'test' } },
      { key: 'SFO', value: 'on time — ✈' },
      { value: 'no key' },
    ];
    await outputOf(cli(['produce', 'flights'], { input: records.map((record) => JSON.stringify(record)).join('\n') }));
    const read = lines(await outputOf(cli(['consume', 'flights', '--from', 'earliest', '--max', '3', '--json'])));
    expect(read).toHaveLength(3);
    for (const record of records) {
      expect(read).toContainEqual(
        expect.objectContaining({ value: record.value, ...(record.key === undefined ? {} : { key: record.key }) }),
      );
    }
    expect(JSON.stringify(read)).toContain('source');
  });

  it('carry lines of a file, and a group goes on after what it has read', async () => {
    await outputOf(cli(['topic', 'create', 'lines', '--partitions', '1']));
    const file = join(folder, 'lines.txt');
    writeFileSync(file, 'one\ntwo\nthree\nfour\n');
    await outputOf(cli(['produce', 'lines', '--file', file, '--format', 'lines']));
    const take = async (max: number): Promise<unknown[]> =>
      lines(await outputOf(cli(['consume', 'lines', '--group', 'readers', '--max', String(max), '--json']))).map(
        ({ value }) => value,
      );
    expect(await take(3)).toEqual(['one', 'two', 'three']);
    expect(await take(1)).toEqual(['four']);
  });

  it('keep data and messages apart', async () => {
    const { stdout, stderr, code } = await cli(['produce', 'flights', '--json'], { input: '{"value": "x"}\n' });
    expect(code, stderr).toBe(0);
    for (const line of stdout.split('\n').filter((text) => text !== ''))
      expect(() => JSON.parse(line) as unknown).not.toThrow();
  });
});

describe('partita topic and cluster', () => {
  it('print one JSON object a line with --json', async () => {
    const topics = lines(await outputOf(cli(['topic', 'list', '--json'])));
    expect(topics.map(({ name }) => name)).toContain('flights');
    const [topic] = lines(await outputOf(cli(['topic', 'describe', 'flights', '--json'])));
    expect(topic).toMatchObject({ name: 'flights' });
    const described = await outputOf(cli(['cluster', 'describe', '--json']));
    expect(lines(described).length).toBeGreaterThan(0);
    for (const { address } of cluster.file.brokers) expect(described).toContain(address);
  });

  it('print tables for people, without colours where there is no terminal', async () => {
    const listed = await outputOf(cli(['topic', 'list']));
    expect(listed).toContain('flights');
    const described = await outputOf(cli(['cluster', 'describe']));
    for (const { address } of cluster.file.brokers) expect(described).toContain(address);
    expect(listed + described).not.toContain('\u001b[');
  });

  it('delete a topic only when asked twice, or told --yes', async () => {
    await outputOf(cli(['topic', 'create', 'gone', '--partitions', '1']));
    const { code } = await cli(['topic', 'delete', 'gone']);
    expect(code).not.toBe(0);
    await outputOf(cli(['topic', 'delete', 'gone', '--yes']));
    expect((await cli(['topic', 'describe', 'gone'])).code).toBe(4);
  });
});

// Each test is a few short processes of its own, which leave a core free when they come one by one.
describe.concurrent('partita --server', () => {
  it.for(['gateway', 'consumerGroup', 'coordinator', 'broker'] as const)(
    'takes the address of a %s',
    async (service) => {
      const server = ['--server', cluster.addresses[service]];
      const elsewhere = { PARTITA_HOME: folder };
      const listed = await outputOf(cli([...server, 'topic', 'list', '--json'], { env: elsewhere }));
      expect(lines(listed).map(({ name }) => name)).toContain('flights');
      await outputOf(cli([...server, 'produce', 'flights'], { env: elsewhere, input: '{"value": "by address"}\n' }));
      const read = await outputOf(
        cli([...server, 'consume', 'flights', '--from', 'earliest', '--max', '1', '--json'], { env: elsewhere }),
      );
      expect(lines(read)).toHaveLength(1);
    },
  );

  it('takes several by comma and goes on when the first is dead', async () => {
    const server = `127.0.0.1:1,${cluster.addresses.gateway}`;
    expect(await outputOf(cli(['--server', server, 'topic', 'list']))).toContain('flights');
  });
});

describe.concurrent('the exit code of partita', () => {
  it.for<[number, string, string[], RegExp]>([
    [2, 'an unknown command', ['topics'], /topic/],
    [2, 'an unknown option', ['topic', 'list', '--jason'], /--jason/],
    [2, 'a count that is none', ['topic', 'create', 'x', '--partitions', 'many'], /partitions/],
    [2, 'a position that is none', ['consume', 'flights', '--from', 'yesterday'], /earliest/],
    [4, 'a topic that does not exist', ['topic', 'describe', 'none'], /none/],
    [4, 'consuming what does not exist', ['consume', 'none', '--max', '1'], /none does not exist.*create/],
    [1, 'a topic that exists already', ['topic', 'create', 'flights', '--partitions', '1'], /TOPIC_ALREADY_EXISTS/],
  ])('is %i for %s, and the message helps', async ([code, , args, message]) => {
    const result = await cli(args);
    expect(result.stderr).toMatch(message);
    expect(result.code, result.stderr).toBe(code);
    expect(result.stdout).toBe('');
  });

  it('is 3 when nobody answers, by address and by home', async () => {
    const byAddress = await cli(['--server', '127.0.0.1:1', 'topic', 'list']);
    expect(byAddress.stderr).toMatch(/127\.0\.0\.1:1/);
    expect(byAddress.code).toBe(3);
    const byHome = await cli(['topic', 'list'], { env: { PARTITA_HOME: join(folder, 'nowhere') } });
    expect(byHome.stderr).toMatch(/npm start/);
    expect(byHome.code).toBe(3);
  });

  it('is 5 when fewer records come than --max within the time', async () => {
    await outputOf(cli(['topic', 'create', 'few', '--partitions', '1']));
    await outputOf(cli(['produce', 'few'], { input: '{"value": "only"}\n' }));
    const { code, stdout } = await cli([
      'consume',
      'few',
      '--from',
      'earliest',
      '--max',
      '2',
      '--timeout',
      '2s',
      '--json',
    ]);
    expect(lines(stdout)).toHaveLength(1);
    expect(code).toBe(5);
  });

  it('is 0 for --help and --version', async () => {
    expect(await outputOf(cli(['--help']))).toMatch(/topic[\s\S]*produce[\s\S]*consume/);
    expect(await outputOf(cli(['--version']))).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});
