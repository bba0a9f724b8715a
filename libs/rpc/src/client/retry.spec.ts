import { PartitaError } from '@partita/domain';
import type { Random, Timers } from '@partita/domain';
import { expect, test } from 'vitest';
import { backoffDelayMs, retry } from './retry.ts';

const highest: Random = { next: () => 0.999, uuid: () => '' };

function recordingTimers(delays: number[]): Timers {
  return {
    after: (delayMs, work) => {
      delays.push(Math.round(delayMs));
      queueMicrotask(work);
      return { cancel: () => {} };
    },
  };
}

test('pauses grow from 100 ms to 5 s, and jitter is full', () => {
  expect([0, 1, 2, 5, 6, 20].map((attempt) => Math.round(backoffDelayMs(attempt, highest)))).toEqual([
    100, 200, 400, 3197, 4995, 4995,
  ]);
  expect(backoffDelayMs(3, { next: () => 0, uuid: () => '' })).toBe(0);
});

test('what may pass is tried again, at least as late as the server asks', async () => {
  const delays: number[] = [];
  const result = await retry(
    async (attempt) => {
      if (attempt === 0) throw new PartitaError('REBUILDING', '');
      if (attempt === 1) throw new PartitaError('QUEUE_FULL', '', {}, { retryAfterMs: 900 });
      return attempt;
    },
    { random: highest, timers: recordingTimers(delays), attemptCountMax: 5 },
  );
  expect(result).toBe(2);
  expect(delays).toEqual([100, 900]);
});

test('what cannot pass, and the last try, fail as they are', async () => {
  const options = { random: highest, timers: recordingTimers([]), attemptCountMax: 3 };
  let tries = 0;
  const never = retry(async () => {
    tries++;
    throw new PartitaError('INVALID_REQUEST', '');
  }, options);
  await expect(never).rejects.toMatchObject({ reason: 'INVALID_REQUEST' });
  expect(tries).toBe(1);
  const always = retry(async () => {
    tries++;
    throw new PartitaError('REBUILDING', '');
  }, options);
  await expect(always).rejects.toMatchObject({ reason: 'REBUILDING' });
  expect(tries).toBe(4);
});

test('waiting ends when the caller gives up', async () => {
  const controller = new AbortController();
  let cancelled = false;
  const timers: Timers = { after: () => ({ cancel: () => (cancelled = true) }) };
  const waiting = retry(
    async () => {
      queueMicrotask(() => queueMicrotask(() => controller.abort()));
      throw new PartitaError('REBUILDING', '');
    },
    { random: highest, timers, attemptCountMax: 3, signal: controller.signal },
  );
  await expect(waiting).rejects.toMatchObject({ reason: 'CANCELLED' });
  expect(cancelled).toBe(true);
});
