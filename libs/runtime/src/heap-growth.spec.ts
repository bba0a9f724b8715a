import { expect, it } from 'vitest';
import { growingPercent } from './heap-growth.ts';

const MIB = 1024 * 1024;

it.each([
  [10 * MIB, 400],
  [40 * MIB, 400],
  [80 * MIB, 200],
  [320 * MIB, 50],
  [4096 * MIB, 30],
])('a process that uses %i bytes may grow by %i %%', (usedBytes, percent) => {
  expect(growingPercent(usedBytes)).toBe(percent);
});
