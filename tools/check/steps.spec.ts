import { describe, expect, it } from 'vitest';
import { VERIFY_STEPS } from './steps.ts';

describe('the steps of verify', () => {
  it('have names of their own', () => {
    const names = VERIFY_STEPS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });

  it('are repaired by the tool that checks them', () => {
    for (const { check, fix } of VERIFY_STEPS) if (fix !== undefined) expect(fix[0]).toBe(check[0]);
  });
});
