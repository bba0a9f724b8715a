import { PartitaError } from '@partita/domain';
import { ClusterServiceService, GetClusterResponse, ProcessServiceService, ServiceKind } from '@partita/protocol';
import { createRpcServer, implement, processMethods, unary } from '@partita/rpc/server';
import type { LevelControl, RpcServer } from '@partita/rpc/server';
import { createLogger } from '@partita/runtime';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCommand } from '../program.ts';
import { recordedTerminal } from '../testing/recorded-terminal.ts';

const quiet = createLogger({ service: 'test', instance: '1', level: 'fatal' });
const servers: RpcServer[] = [];
const levels = new Map<string, LevelControl>();
let gateway = '';
let broker = '';
let guarded = '';

/** A process with a level; it answers GetCluster too. */
async function start(methods?: Parameters<RpcServer['addService']>[1]): Promise<string> {
  const logger = createLogger({ service: 'test', instance: '1', output: { write: () => undefined } });
  const server = createRpcServer({
    ...{ name: 'spec', listen: '127.0.0.1:0', limits: 'public', tracing: 'off' },
    logger: quiet,
  });
  server.addService(ProcessServiceService, methods ?? processMethods(logger, 'public'));
  server.addService(
    ClusterServiceService,
    implement(ClusterServiceService, {
      getCluster: unary(() =>
        GetClusterResponse.fromPartial({
          endpoints: [
            { service: ServiceKind.SERVICE_KIND_GATEWAY, address: gateway },
            { service: ServiceKind.SERVICE_KIND_BROKER, address: broker, brokerId: 1 },
          ],
        }),
      ),
    }),
  );
  servers.push(server);
  const { address } = await server.start();
  levels.set(address, logger);
  return address;
}

beforeAll(async () => {
  gateway = await start();
  broker = await start();
  const refuse = unary(() => {
    throw new PartitaError('PERMISSION_DENIED', 'not from there');
  });
  guarded = await start({ setLogLevel: refuse });
});
afterAll(() => servers.forEach((server) => server.close()));

async function run(...args: string[]) {
  const terminal = recordedTerminal('', { PARTITA_SERVER: gateway });
  const code = await runCommand(['log-level', ...args], terminal);
  return { code, text: terminal.lines.join('\n'), notes: terminal.notes.join('\n') };
}

describe('partita log-level', () => {
  it('shows the level of every service of the cluster', async () => {
    const { code, text } = await run();
    expect(code).toBe(0);
    expect(text).toMatch(new RegExp(`SERVICE +ADDRESS +LEVEL\\s+gateway +${gateway} +info\\s+broker +${broker} +info`));
  });

  it('changes those of one kind, and tells what it was', async () => {
    const { code, text } = await run('debug', '--service', 'broker', '--json');
    expect([code, JSON.parse(text)]).toEqual([
      0,
      { service: 'broker', address: broker, level: 'debug', previous: 'info' },
    ]);
    expect([levels.get(broker)?.level(), levels.get(gateway)?.level()]).toEqual(['debug', 'info']);
  });

  it('asks the address that --server names and no other', async () => {
    const { text } = await run('--server', broker, '--json', 'warn');
    expect(JSON.parse(text)).toMatchObject({ address: broker, level: 'warn', previous: 'debug' });
    expect(levels.get(gateway)?.level()).toBe('info');
  });

  it('fails when one refuses or does not answer, and shows the others', async () => {
    const { code, text } = await run('--server', `${guarded},${gateway}`, 'info');
    expect(code).toBe(1);
    expect(text).toMatch(/error: not from there \(PERMISSION_DENIED\)/);
    expect(text).toMatch(new RegExp(`${gateway} +info`));
    const dead = await run('--server', '127.0.0.1:1');
    expect([dead.code, dead.text.includes('SERVICE_UNREACHABLE')]).toEqual([3, true]);
  });

  it.each([
    [['loud'], /"loud" is no log level: trace, debug/, 2],
    [['--service', 'redis'], /"redis" is none of coordinator, broker/, 2],
    [['--service', 'consumer-group'], /the cluster has no consumer-group/, 4],
  ] as const)('%j is told what is wrong', async (args, message, expected) => {
    const { code, notes } = await run(...args);
    expect(notes).toMatch(message);
    expect(code).toBe(expected);
  });
});
