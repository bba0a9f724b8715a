import { expect, it } from 'vitest';
import { LOG_REPEAT_KEY_COUNT_MAX } from '@partita/domain';
import type { LogFields } from './logger.ts';
import { createRepeatedLog } from './repeated-log.ts';

function setUp() {
  const lines: unknown[] = [];
  const clock = { nowMs: 0, monotonicMs: () => clock.nowMs };
  const write = (level: string) => (fields: LogFields | string, message?: string) =>
    void lines.push([level, fields, message]);
  return { lines, clock, repeated: createRepeatedLog({ warn: write('warn'), error: write('error') }, clock, 1000) };
}

it('writes the first at once, then one per interval with the count of those left out', () => {
  const { lines, clock, repeated } = setUp();
  for (clock.nowMs = 0; clock.nowMs < 2000; clock.nowMs += 250) repeated.warn('peer:2', { peer: 2 }, 'refused');
  expect(lines).toEqual([
    ['warn', { peer: 2 }, 'refused'],
    ['warn', { peer: 2, suppressed: 3 }, 'refused'],
  ]);
});

it('keeps keys apart', () => {
  const { lines, repeated } = setUp();
  repeated.warn('a', {}, 'a');
  repeated.error('b', {}, 'b');
  expect(lines).toEqual([['warn', {}, 'a'], ['error', {}, 'b']]); // prettier-ignore
});

it('remembers a bounded number of keys and forgets the oldest', () => {
  const { lines, repeated } = setUp();
  for (let key = 0; key <= LOG_REPEAT_KEY_COUNT_MAX; key += 1) repeated.warn(`k${key}`, {}, 'x');
  lines.length = 0;
  repeated.warn('k1', {}, 'remembered');
  repeated.warn('k0', {}, 'forgotten');
  expect(lines).toEqual([['warn', {}, 'forgotten']]);
});
