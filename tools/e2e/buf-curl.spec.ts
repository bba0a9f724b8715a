/** The gRPC examples of the README, run as they stand there: `buf curl` by reflection, without any proto file. */
import { existsSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ErrorInfo } from '@partita/protocol';
import { type CommandResult, run } from './command.ts';
import { startCluster } from './harness.ts';
import type { Cluster } from './harness.ts';
import { ROOT } from './root.ts';

/** The shell block between the markers of the README, without its fence. */
function readmeCommands(): string {
  const path = join(ROOT, 'README.md');
  const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
  const [, section = ''] = /<!-- curl:begin -->([\s\S]*?)<!-- curl:end -->/.exec(text) ?? [];
  const [, block = ''] = /```sh\n([\s\S]*?)```/.exec(section) ?? [];
  if (block === '') throw new Error('README.md has no sh block between <!-- curl:begin --> and <!-- curl:end -->');
  return block;
}

/** JSON documents that follow one another, as buf prints responses. */
function documents(text: string): Record<string, unknown>[] {
  const found: Record<string, unknown>[] = [];
  let depth = 0;
  let start = 0;
  let quoted = false;
  for (let index = 0; index < text.length; index += 1) {
    const character = text[index];
    if (quoted) {
      if (character === '\\') index += 1;
      else if (character === '"') quoted = false;
    } else if (character === '"') quoted = true;
    else if (character === '{' && depth++ === 0) start = index;
    else if (character === '}' && --depth === 0) {
      found.push(JSON.parse(text.slice(start, index + 1)) as Record<string, unknown>);
    }
  }
  return found;
}

describe('buf curl', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster();
  });
  afterAll(() => cluster.dispose());

  /** One call from a folder without proto files. */
  const curl = (address: string, method: string, request: object): Promise<CommandResult> =>
    run(
      'buf',
      [
        ...['curl', '--protocol', 'grpc', '--http2-prior-knowledge', '-d', JSON.stringify(request)],
        `http://${address}/partita.v1.${method}`,
      ],
      { cwd: tmpdir() },
    );

  it('creates a topic, produces three records and reads them back, by the commands of the README', async () => {
    const result = await run('bash', ['-euo', 'pipefail', '-c', readmeCommands()], {
      env: { PARTITA_HOME: cluster.home },
      secondsMax: 60,
    });
    expect(result, `${result.stdout}\n${result.stderr}`).toMatchObject({ code: 0 });
    const responses = documents(result.stdout);
    expect(responses.some((response) => 'topic' in response)).toBe(true);
    const lists = (field: string): unknown[] =>
      responses.flatMap((response) => (response[field] as unknown[] | undefined) ?? []);
    const acks = lists('results');
    expect(acks.length).toBeGreaterThan(0);
    for (const ack of acks) expect(ack).toMatchObject({ ack: expect.anything() as unknown });
    const records = lists('records');
    expect(records).toHaveLength(3);
    for (const consumed of records)
      expect(consumed).toMatchObject({ record: { value: expect.any(String) as unknown } });
  });

  it('lists the services of every public address by reflection, and describes a method', async () => {
    const own = {
      gateway: 'ProducerService',
      broker: 'BrokerService',
      coordinator: 'TopicService',
      consumerGroup: 'GroupService',
    } as const;
    for (const [service, address] of Object.entries(cluster.addresses)) {
      const args = ['curl', '--protocol', 'grpc', '--http2-prior-knowledge', '--list-methods', `http://${address}`];
      const { stdout, stderr } = await run('buf', args, { cwd: tmpdir() });
      expect(stdout, stderr).toContain(`partita.v1.${own[service as keyof typeof own]}/`);
      expect(stdout).toContain('partita.v1.ClusterService/GetCluster');
      expect(stdout).not.toContain('partita.peer');
    }
  });

  it('shows a typed error, whose google.rpc.ErrorInfo has the reason', async () => {
    const { code, stderr } = await curl(cluster.addresses.coordinator, 'TopicService/GetTopic', { topic: 'none' });
    expect(code).not.toBe(0);
    const error = documents(stderr)[0];
    expect(error).toMatchObject({ code: 'not_found', details: [{ type: 'google.rpc.ErrorInfo' }] });
    const [detail] = error?.['details'] as [{ value: string }];
    expect(ErrorInfo.decode(Buffer.from(detail.value, 'base64'))).toMatchObject({
      ...{ reason: 'TOPIC_NOT_FOUND', domain: 'partita', metadata: { topic: 'none' } },
    });
  });

  it('asks every public address where everything is', async () => {
    for (const address of Object.values(cluster.addresses)) {
      const { stdout, stderr } = await curl(address, 'ClusterService/GetCluster', {});
      const [answer] = documents(stdout);
      expect(answer, stderr).toBeDefined();
      const endpoints = JSON.stringify(answer?.['endpoints']);
      for (const known of Object.values(cluster.addresses)) expect(endpoints).toContain(known);
    }
  });
});
