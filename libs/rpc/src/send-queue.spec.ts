import { expect, test } from 'vitest';
import { SendQueue } from './send-queue.ts';

function slowSink() {
  const written: (() => void)[] = [];
  return { written, write: (_message: string, done: () => void) => void written.push(done) };
}

test('is full at its bytes, and drains once when half is written', () => {
  const sink = slowSink();
  let drains = 0;
  const queue = new SendQueue<string>(sink, { pendingBytesMax: 100, onDrain: () => drains++, onOverrun: () => {} });
  expect([queue.send('a', 60), queue.send('b', 60), queue.writable]).toEqual([true, false, false]);
  expect(queue.pendingBytes).toBe(120);
  sink.written[0]?.();
  expect(drains).toBe(0);
  sink.written[1]?.();
  expect([drains, queue.writable, queue.pendingBytes]).toEqual([1, true, 0]);
});

test('a spent budget fills every queue that shares it, and an empty queue always goes on', () => {
  const budget = { pendingBytes: 0, bytesMax: 100 };
  const sinks = [slowSink(), slowSink()];
  const queues = sinks.map((sink) => new SendQueue<string>(sink, { budget, onDrain: () => {}, onOverrun: () => {} }));
  expect(queues[0]?.send('a', 100)).toBe(false);
  expect(queues[1]?.send('b', 1)).toBe(false);
  sinks[1]?.written[0]?.();
  expect(queues[1]?.writable).toBe(true);
  queues[0]?.close();
  expect(budget.pendingBytes).toBe(0);
});
