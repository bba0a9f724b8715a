import { PartitaError, RETRIES_PER_SECOND_MIN, RETRIES_SAVED_COUNT_MAX } from '@partita/domain';
import { describe, expect, it } from 'vitest';
import { isPaid, RetryBudget } from './retry-budget.ts';

function setUp() {
  let nowMs = 1000;
  const budget = new RetryBudget(() => nowMs);
  const spendAll = (): number => {
    let count = 0;
    while (budget.trySpend()) count += 1;
    return count;
  };
  return { budget, spendAll, pass: (ms: number) => void (nowMs += ms) };
}

describe('a retry budget', () => {
  it('allows a fifth of the calls to be repeated, however many there are', () => {
    const { budget, spendAll } = setUp();
    spendAll();
    let repeated = 0;
    for (let call = 0; call < 10_000; call += 1) {
      budget.called();
      if (budget.trySpend()) repeated += 1;
    }
    expect(repeated).toBeGreaterThan(1990);
    expect(repeated).toBeLessThanOrEqual(2000);
  });

  it('allows a few in each second where nothing is called for the first time', () => {
    const { spendAll, pass } = setUp();
    expect(spendAll()).toBe(RETRIES_PER_SECOND_MIN);
    pass(500);
    expect(spendAll()).toBe(RETRIES_PER_SECOND_MIN / 2);
    pass(3_600_000);
    expect(spendAll()).toBe(RETRIES_PER_SECOND_MIN);
  });

  it('saves no more than so many', () => {
    const { budget, spendAll } = setUp();
    for (let call = 0; call < 100_000; call += 1) budget.called();
    expect(spendAll()).toBe(RETRIES_SAVED_COUNT_MAX);
  });

  it('spends all of what is asked or nothing', () => {
    const { budget, spendAll } = setUp();
    expect(budget.trySpend(RETRIES_PER_SECOND_MIN + 1)).toBe(false);
    expect(spendAll()).toBe(RETRIES_PER_SECOND_MIN);
  });

  it('is not asked for what a failover consists of', () => {
    const paid = (reason: ConstructorParameters<typeof PartitaError>[0]) => isPaid(new PartitaError(reason, ''));
    expect(paid('QUEUE_FULL')).toBe(true);
    for (const reason of [
      'NOT_LEADER',
      'LEADER_NOT_AVAILABLE',
      'SERVICE_UNREACHABLE',
      'SHUTTING_DOWN',
      'OUTCOME_UNKNOWN',
      'NOT_ENOUGH_REPLICAS',
    ] as const)
      expect(paid(reason), reason).toBe(false);
  });
});
