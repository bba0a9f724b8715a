import { expect, it } from 'vitest';
import { growingPercent } from './heap-growth.ts';

const MIB = 1024 * 1024;

it.each([
  [10 * MIB, 160 * MIB, 400],
  [40 * MIB, 160 * MIB, 400],
  [80 * MIB, 160 * MIB, 200],
  [80 * MIB, 64 * MIB, 80],
  [320 * MIB, 160 * MIB, 50],
  [4096 * MIB, 160 * MIB, 30],
])('a process that uses %i bytes and may grow by %i of them may grow by %i %%', (usedBytes, growthBytes, percent) => {
  expect(growingPercent(usedBytes, growthBytes)).toBe(percent);
});
