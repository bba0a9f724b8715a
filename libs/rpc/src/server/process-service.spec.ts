import { LogLevel, ProcessServiceService } from '@partita/protocol';
import { afterEach, describe, expect, it } from 'vitest';
import { callUnary } from '../client/call.ts';
import { closeAll, pool, serve } from '../loopback.fixture.ts';
import { processMethods } from './process-service.ts';
import type { CallContext } from './call-context.ts';
import type { LevelControl } from './process-service.ts';

afterEach(closeAll);

function control() {
  const changes: Readonly<Record<string, unknown>>[] = [];
  let level: ReturnType<LevelControl['level']> = 'info';
  const logger: LevelControl = {
    level: () => level,
    changeLevel(next, fields) {
      const previous = level;
      level = next;
      changes.push({ level, ...fields });
      return previous;
    },
  };
  return { logger, changes };
}

describe('the level of a log', () => {
  it('is told and changed over the wire, and the change names who made it', async () => {
    const { logger, changes } = control();
    const { address } = await serve(ProcessServiceService, processMethods(logger, 'public'));
    const client = pool({ clientId: 'an-operator' }).client(address);
    expect(await callUnary(client, ProcessServiceService.getLogLevel, {})).toEqual({ level: LogLevel.LOG_LEVEL_INFO });
    const level = LogLevel.LOG_LEVEL_DEBUG;
    const answer = await callUnary(client, ProcessServiceService.setLogLevel, { level });
    expect(answer).toEqual({ previous: LogLevel.LOG_LEVEL_INFO });
    expect(logger.level()).toBe('debug');
    expect(changes).toEqual([
      { level: 'debug', clientId: 'an-operator', peer: expect.stringContaining('127.0.0.1') as string },
    ]);
  });

  it.each([0, 99])('%i is refused and changes nothing', async (level) => {
    const { logger, changes } = control();
    const { address } = await serve(ProcessServiceService, processMethods(logger, 'public'));
    const call = callUnary(pool().client(address), ProcessServiceService.setLogLevel, { level: level as LogLevel });
    await expect(call).rejects.toMatchObject({ reason: 'INVALID_REQUEST' });
    expect(changes).toEqual([]);
  });

  it.each([
    ['public', '127.0.0.1:40000', true],
    ['public', '[::1]:40000', true],
    ['public', '[::ffff:127.0.0.1]:40000', true],
    ['public', '10.0.0.7:40000', false],
    ['public', '127.0.0.1.example.org:40000', false],
    ['public', '', false],
    ['peer', '10.0.0.7:40000', true],
  ] as const)('on a %s listener, a caller at "%s" may change it: %s', async (listener, peer, may) => {
    const { logger } = control();
    const method = processMethods(logger, listener).setLogLevel;
    const context = { peer, clientId: '' } as CallContext;
    const change = async () => method?.handle({ level: LogLevel.LOG_LEVEL_WARN }, context);
    if (may) await change();
    else await expect(change()).rejects.toMatchObject({ reason: 'PERMISSION_DENIED' });
    expect(logger.level()).toBe(may ? 'warn' : 'info');
  });
});
