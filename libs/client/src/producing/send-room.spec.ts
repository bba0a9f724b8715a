import { CLIENT_WAITING_SEND_COUNT_MAX } from '@partita/domain';
import type { PartitaError } from '@partita/domain';
import { expect, test } from 'vitest';
import { SendRoom } from './send-room.ts';
import type { WaitingSend } from './send-room.ts';

function waiting(bytes: number, log: string[], name: string, deadlineAtMs = Infinity): WaitingSend {
  return {
    bytes,
    deadlineAtMs,
    cancelled: false,
    enter: () => log.push(name),
    fail: (error: PartitaError) => log.push(`${name}: ${error.reason}`),
  };
}

test('calls enter in their order, also small ones that would fit beside a large one that waits', () => {
  const room = new SendRoom(100);
  const log: string[] = [];
  expect(room.tryEnter(90)).toBe(true);
  room.wait(waiting(50, log, 'large'));
  expect(room.tryEnter(5)).toBe(false);
  room.wait(waiting(5, log, 'small'));
  expect(log).toEqual([]);
  room.leave(90);
  expect(log).toEqual(['large', 'small']);
});

test('something larger than all the room gets in when it is empty', () => {
  const room = new SendRoom(100);
  expect(room.tryEnter(1000)).toBe(true);
  expect(room.tryEnter(1)).toBe(false);
});

test('a call that was given up, or whose time is over, is passed by', () => {
  const room = new SendRoom(100);
  const log: string[] = [];
  room.tryEnter(100);
  const given = waiting(10, log, 'given up');
  room.wait(waiting(10, log, 'late', 5));
  room.wait(given);
  room.wait(waiting(10, log, 'patient'));
  given.cancelled = true;
  room.expire(10);
  room.leave(100);
  expect(log).toEqual(['late: TIMED_OUT', 'patient']);
});

test('too many waiting calls are refused', () => {
  const room = new SendRoom(1);
  const log: string[] = [];
  room.tryEnter(1);
  for (let index = 0; index <= CLIENT_WAITING_SEND_COUNT_MAX; index += 1) room.wait(waiting(1, log, String(index)));
  expect(log).toEqual([`${CLIENT_WAITING_SEND_COUNT_MAX}: QUEUE_FULL`]);
});
