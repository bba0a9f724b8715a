import { expect, it } from 'vitest';
import { nearest } from './nearest.ts';

it('names the candidate with the fewest edits, or none when all are far', () => {
  expect(nearest('lisen', ['insecure', 'listen', 'help'])).toBe('listen');
  expect(nearest('fetch_wait_max', ['fetch-wait-min', 'fetch-wait-max'])).toBe('fetch-wait-max');
  expect(nearest('xyz', ['listen'])).toBeUndefined();
  expect(nearest('ab', ['cde'])).toBeUndefined();
  expect(nearest('listen', [])).toBeUndefined();
});
