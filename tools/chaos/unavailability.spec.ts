import { describe, expect, it } from 'vitest';
import type { HistoryEvent } from '@partita/tool-history/history.ts';
import { awayMs } from './unavailability.ts';

function acks(key: string, times: readonly number[], session = 'probe-1-0'): HistoryEvent[] {
  return times.map((tMonoMs, op) => ({
    f: 'send',
    type: 'ok',
    process: 1,
    op,
    tMonoMs,
    key,
    session,
    value: `${key}-${op}`,
  }));
}

describe('the time that a partition is away', () => {
  it('is that between two acknowledgements of its probe, as far as it is in the window', () => {
    const history = acks('t-0', [0, 100, 200, 3200, 3300]);
    expect(awayMs(history, { fromMs: 100, toMs: 5000 })).toEqual(new Map([['t-0', 3000]]));
    expect(awayMs(history, { fromMs: 1200, toMs: 5000 })).toEqual(new Map([['t-0', 2000]]));
  });

  it('adds up, and knows partitions apart', () => {
    const history = [...acks('t-0', [0, 1000, 1100, 2100]), ...acks('t-1', [0, 100, 200])];
    expect(awayMs(history, { fromMs: 0, toMs: 5000 })).toEqual(new Map([['t-0', 2000]]));
  });

  it('does not count pauses below the threshold, outside of the window, or of others than probes', () => {
    expect(awayMs(acks('t-0', [0, 400, 800]), { fromMs: 0, toMs: 5000 }).size).toBe(0);
    expect(awayMs(acks('t-0', [0, 3000, 3100]), { fromMs: 3050, toMs: 5000 }).size).toBe(0);
    expect(awayMs(acks('t-0', [0, 100, 9000]), { fromMs: 0, toMs: 50 }).size).toBe(0);
    expect(awayMs(acks('t-0', [0, 3000], 'p1'), { fromMs: 0, toMs: 5000 }).size).toBe(0);
  });
});
