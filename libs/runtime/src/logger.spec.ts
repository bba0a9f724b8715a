import { context, createContextKey, ROOT_CONTEXT, trace, TraceFlags } from '@opentelemetry/api';
import type { Context, ContextManager } from '@opentelemetry/api';
import { afterEach, describe, expect, it } from 'vitest';
import { PartitaError } from '@partita/domain';
import { createLogger } from './logger.ts';
import type { LoggerOptions } from './logger.ts';

function logged(options: Partial<LoggerOptions> = {}) {
  const lines: string[] = [];
  const output = { write: (line: string) => void lines.push(line) };
  const logger = createLogger({ service: 'broker', instance: '1', pretty: false, output, ...options });
  return { logger, lines, entries: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

afterEach(() => context.disable());

describe('the logger', () => {
  it('writes a JSON line with level, UTC time, service, instance, fields and message', () => {
    const { logger, lines, entries } = logged();
    logger.info({ topic: 'a' }, 'created');
    logger.warn('plain');
    expect(lines.every((line) => line.endsWith('}\n'))).toBe(true);
    expect(entries()).toEqual([
      { level: 'info', time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string, service: 'broker', instance: '1', topic: 'a', msg: 'created' }, // prettier-ignore
      expect.objectContaining({ level: 'warn', msg: 'plain' }),
    ]);
  });

  it('writes errors with stack, reason and cause', () => {
    const { logger, entries } = logged();
    logger.error(
      { err: new PartitaError('NOT_LEADER', 'ask 2', { leader: '2' }, { cause: new Error('root') }) },
      'failed',
    );
    expect(entries()[0]?.['err']).toMatchObject({
      message: 'ask 2: root',
      reason: 'NOT_LEADER',
      metadata: { leader: '2' },
      stack: expect.stringContaining('logger.spec.ts') as string,
    });
  });

  it('changes its level at run time, for children made before too', () => {
    const { logger, entries } = logged({ level: 'warn' });
    const child = logger.child({ partition: 3 }).child({ role: 'leader' });
    child.info('unseen');
    expect(child.isLevelEnabled('info')).toBe(false);
    logger.setLevel('debug');
    expect(logger.level()).toBe('debug');
    child.debug('seen');
    logger.setLevel('silent');
    child.fatal('unseen');
    expect(entries()).toEqual([expect.objectContaining({ level: 'debug', partition: 3, role: 'leader', msg: 'seen' })]);
  });

  it('names the active trace', () => {
    const spanContext = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), traceFlags: TraceFlags.SAMPLED };
    const { logger, entries } = logged();
    const active = trace.setSpanContext(ROOT_CONTEXT, spanContext);
    context.setGlobalContextManager(fixedContext(active));
    logger.info('inside');
    context.disable();
    context.setGlobalContextManager(fixedContext(ROOT_CONTEXT.setValue(createContextKey('other'), 1)));
    logger.info('outside');
    expect(entries()[0]).toMatchObject({ trace_id: spanContext.traceId, span_id: spanContext.spanId });
    expect(entries()[1]).not.toHaveProperty('trace_id');
  });

  it('writes readable lines when asked to', () => {
    const { logger, lines } = logged({ pretty: true });
    logger.info({ topic: 'a' }, 'created');
    expect(lines.join('')).toMatch(/^\[\d\d:\d\d:\d\d\.\d{3}\] INFO: created\n +topic: "a"\n$/);
  });
});

/** A context manager in which one context is always active. */
function fixedContext(active: Context): ContextManager {
  const manager: ContextManager = {
    active: () => active,
    with: (_context, work, self, ...args) => work.apply(self, args),
    bind: (_context, target) => target,
    enable: () => manager,
    disable: () => manager,
  };
  return manager;
}
