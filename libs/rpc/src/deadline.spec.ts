import { expect, test } from 'vitest';
import { passedOnDeadlineMs } from './deadline.ts';

test('what is passed on is a little less than what is left, and never nothing', () => {
  expect(passedOnDeadlineMs(30_000)).toBe(28_480);
  expect(passedOnDeadlineMs(100)).toBe(75);
  expect(passedOnDeadlineMs(5)).toBe(1);
});
