import { expect, it } from 'vitest';
import { ClockGuard } from './clock-guard.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

function world() {
  const time = { wall: 1_700_000_000_000, monotonic: 5000 };
  const clock = { wallMs: () => time.wall, monotonicMs: () => time.monotonic };
  const guard = new ClockGuard(clock);
  return {
    time,
    guard,
    pass: (ms: number) => {
      time.wall += ms;
      time.monotonic += ms;
    },
    hear: (coordinatorMs = 0, brokersMs = 0) =>
      guard.hear({ coordinatorMs: time.wall + coordinatorMs, brokersMs: time.wall + brokersMs }),
  };
}

it('is trusted while the coordinator and most brokers agree', () => {
  const { guard, hear, pass } = world();
  hear(50_000, -50_000);
  pass(9000);
  expect(guard.look()).toEqual({ isTrusted: true });
});

it('is not trusted before a coordinator was heard, nor long after, and says so once', () => {
  const { guard, hear, pass } = world();
  expect(guard.look()).toMatchObject({ isTrusted: false, isNew: true });
  expect(guard.look()).toMatchObject({ isTrusted: false, isNew: false });
  hear();
  expect(guard.look().isTrusted).toBe(true);
  pass(11_000);
  expect(guard.look()).toMatchObject({ isTrusted: false, isNew: true });
});

it('is not trusted when it was wrong from the start', () => {
  const { guard, hear } = world();
  hear(-365 * DAY_MS, -365 * DAY_MS);
  expect(guard.look()).toMatchObject({ isTrusted: false, why: expect.stringContaining("the coordinator's") });
  hear(0, -DAY_MS);
  expect(guard.look()).toMatchObject({ isTrusted: false, why: expect.stringContaining("most brokers'") });
});

it('is not trusted after it was set, until it is set right', () => {
  const { guard, hear, time, pass } = world();
  hear();
  expect(guard.look().isTrusted).toBe(true);
  time.wall += DAY_MS;
  guard.hear({ coordinatorMs: time.wall - DAY_MS, brokersMs: time.wall - DAY_MS });
  expect(guard.look()).toMatchObject({ isTrusted: false, why: expect.stringContaining('86400 s ahead') });
  pass(20_000);
  expect(guard.look()).toMatchObject({ isTrusted: false, why: 'it was set by 86400 s' });
  time.wall -= DAY_MS;
  hear();
  expect(guard.look().isTrusted).toBe(true);
});
