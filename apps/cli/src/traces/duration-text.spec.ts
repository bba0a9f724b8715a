import { describe, expect, it } from 'vitest';
import { nanosText } from './duration-text.ts';

describe('a duration', () => {
  it.each([
    [0, '0 µs'],
    [840_000, '840 µs'],
    [12_340_000, '12.3 ms'],
    [456_000_000, '456 ms'],
    [1_234_000_000, '1.23 s'],
  ])('of %i ns is %s', (nanos, text) => expect(nanosText(nanos)).toBe(text));
});
