import { describe, expect, it } from 'vitest';
import { checkNoTwin } from './session-rules.ts';

const present = { incarnation: 4n, heardAtMs: 1000 };

describe('a broker whose id and directory another process has', () => {
  it('is refused as long as that one is heard, since one of them runs on a copy', () => {
    expect(() => checkNoTwin({ brokerId: 1, incarnation: 5n }, present, 1900)).toThrow('one of the two runs on a copy');
  });

  it('is its next start when that one has fallen silent, or is gone', () => {
    expect(() => checkNoTwin({ brokerId: 1, incarnation: 5n }, present, 2000)).not.toThrow();
    expect(() => checkNoTwin({ brokerId: 1, incarnation: 1n }, undefined, 1000)).not.toThrow();
  });

  it('is itself when it comes in the same life', () => {
    expect(() => checkNoTwin({ brokerId: 1, incarnation: 4n }, present, 1001)).not.toThrow();
  });
});
