import { pause } from '@partita/client';
import { describe, expect, it } from 'vitest';
import { dueMs, sendAtRate } from './open-loop.ts';
import type { Schedule } from './open-loop.ts';

function schedule(recordCount: number): Schedule {
  return { startMs: performance.now(), ratePerSecond: 1000, recordCount };
}

describe('an open loop', () => {
  it('hands out every record once, in order, none before it is due', async () => {
    const plan = schedule(50);
    const sent: number[] = [];
    await sendAtRate(plan, async (from, until) => {
      for (let index = from; index < until; index += 1) {
        expect(performance.now()).toBeGreaterThanOrEqual(dueMs(plan, index));
        sent.push(index);
      }
      await pause(0);
    });
    expect(sent).toEqual(Array.from({ length: 50 }, (_, index) => index));
  });

  it('does not wait for answers, and ends with the last of them', async () => {
    let open = 0;
    let openMax = 0;
    await sendAtRate(schedule(40), async () => {
      open += 1;
      openMax = Math.max(openMax, open);
      await pause(100);
      open -= 1;
    });
    expect(openMax).toBeGreaterThan(2);
    expect(open).toBe(0);
  });

  it('makes all records late that were due while it was held up', async () => {
    const plan = schedule(100);
    const lateMs: number[] = [];
    await sendAtRate(plan, async (from, until) => {
      if (from === 0) for (const startMs = performance.now(); performance.now() - startMs < 60;);
      await Promise.resolve();
      for (let index = from; index < until; index += 1) lateMs.push(performance.now() - dueMs(plan, index));
    });
    expect(lateMs).toHaveLength(100);
    expect(lateMs.filter((ms) => ms > 20).length).toBeGreaterThan(30);
  });

  it('fails with the first record that fails, and sends no more', async () => {
    const sent: number[] = [];
    const refused = sendAtRate(schedule(10_000), (from) => {
      sent.push(from);
      return Promise.reject(new Error('refused'));
    });
    await expect(refused).rejects.toThrow('refused');
    expect(sent).toEqual([0]);
  });
});
