import { readFileSync } from 'node:fs';
import { STATE_LINES_PER_SECOND_COUNT_MAX } from '@partita/domain';
import { describe, expect, it } from 'vitest';
import { createLogger } from './logger.ts';
import { LEFT_OUT, STATE_LINES, StateLines } from './state-lines.ts';

function written() {
  const lines: Record<string, unknown>[] = [];
  const logger = createLogger({
    ...{ service: 'broker', instance: '1', pretty: false },
    output: { write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>) },
  });
  let fire = (): void => undefined;
  const timers = {
    after: (_delayMs: number, work: () => void) => {
      fire = work;
      return { cancel: () => (fire = () => undefined) };
    },
  };
  return { lines, state: new StateLines(logger, timers), tick: () => fire() };
}

const led = (partition: number) => ({ topic: 't', partition, epoch: 1 });

describe('lines of state', () => {
  it('are written as they are, with their level', () => {
    const { lines, state } = written();
    state.write('replica leads', led(3));
    state.write('replica is suspect', led(3));
    expect(lines).toMatchObject([
      { level: 'info', msg: 'replica leads', topic: 't', partition: 3, epoch: 1 },
      { level: 'warn', msg: 'replica is suspect' },
    ]);
  });

  it('of a thousand changes within a second are a few, and one that counts the others, by kind', () => {
    const { lines, state, tick } = written();
    for (let partition = 0; partition < 1000; partition += 1) state.write('replica leads', led(partition));
    state.write('replica is suspect', led(1));
    expect(lines).toHaveLength(STATE_LINES_PER_SECOND_COUNT_MAX + 1);
    tick();
    const count = 1000 - STATE_LINES_PER_SECOND_COUNT_MAX;
    expect(lines.at(-1)).toMatchObject({ level: 'info', msg: LEFT_OUT, line: 'replica leads', count });
    expect(lines).toHaveLength(STATE_LINES_PER_SECOND_COUNT_MAX + 2);
    // A second later they are written again.
    state.write('replica leads', led(1));
    expect(lines.at(-1)).toMatchObject({ msg: 'replica leads' });
  });

  it('say at the end what was left out, without waiting for the second to end', () => {
    const { lines, state, tick } = written();
    for (let partition = 0; partition < 100; partition += 1) state.write('replica leads', led(partition));
    state.flush();
    tick();
    expect(lines.filter(({ msg }) => msg === LEFT_OUT)).toHaveLength(1);
  });

  it('are the table of docs/operating.md', () => {
    const text = readFileSync(new URL('../../../docs/operating.md', import.meta.url), 'utf8');
    const rows = [...text.matchAll(/^\| `([^`]+)` \| ([a-z-]+) \| (info|warn) \| ((?:`[a-z_]+`(?:, )?)+) \|/gm)];
    const documented = rows.map(([, line, service, level, fields = '']) => ({
      line,
      service,
      level,
      fields: [...fields.matchAll(/`([a-z_]+)`/g)].map(([, field]) => field),
    }));
    expect(documented).toEqual(
      Object.entries(STATE_LINES).map(([line, { service, level, fields }]) => ({ line, service, level, fields })),
    );
    expect(text).toContain(LEFT_OUT);
  });
});
