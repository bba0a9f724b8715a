import { describe, expect, it, vi } from 'vitest';
import { isUuid } from '@partita/domain';
import { systemClock, systemRandom, systemTimers, uuidV7 } from './system-ports.ts';

describe('the system ports', () => {
  it('make UUIDs of version 7 that differ and sort by time', () => {
    const uuid = uuidV7(0x0192_3456_789a);
    expect(uuid).toMatch(/^01923456-789a-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(isUuid(systemRandom.uuid())).toBe(true);
    expect(new Set(Array.from({ length: 1000 }, () => uuidV7(5))).size).toBe(1000);
    expect(uuidV7(1000) < uuidV7(1001)).toBe(true);
  });

  it('tell wall time, monotonic time and a share', () => {
    expect(Math.abs(systemClock.wallMs() - Date.now())).toBeLessThan(1000);
    const before = systemClock.monotonicMs();
    expect(systemClock.monotonicMs()).toBeGreaterThanOrEqual(before);
    const share = systemRandom.next();
    expect(share >= 0 && share < 1).toBe(true);
  });

  it('run work later unless cancelled', async () => {
    const done: string[] = [];
    systemTimers.after(5, () => done.push('cancelled')).cancel();
    await new Promise<void>((resolve) => systemTimers.after(15, resolve));
    expect(done).toEqual([]);
  });

  it('wait longer than setTimeout can', () => {
    vi.useFakeTimers();
    try {
      const days = 60 * 86_400_000;
      let runs = 0;
      systemTimers.after(days, () => (runs += 1));
      const cancelled = systemTimers.after(days, () => (runs += 100));
      vi.advanceTimersByTime(days - 1);
      expect(runs).toBe(0);
      cancelled.cancel();
      vi.advanceTimersByTime(1);
      expect(runs).toBe(1);
    } finally {
      vi.useRealTimers();
    }
  });
});
