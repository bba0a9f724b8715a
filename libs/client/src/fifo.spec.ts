import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Fifo } from './fifo.ts';

const step = fc.oneof(
  fc.record({ kind: fc.constant('push' as const), item: fc.nat() }),
  fc.constant({ kind: 'shift' as const }),
  fc.record({ kind: fc.constant('putBack' as const), items: fc.array(fc.nat(), { maxLength: 5 }) }),
);

test('a queue holds what a plain array would, whatever is done to it', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const queue = new Fifo<number>();
      const model: number[] = [];
      for (const action of steps) {
        if (action.kind === 'push') {
          queue.push(action.item);
          model.push(action.item);
        } else if (action.kind === 'shift') expect(queue.shift()).toBe(model.shift());
        else {
          queue.putBack(action.items);
          model.unshift(...action.items);
        }
        expect([queue.length, queue.first]).toEqual([model.length, model[0]]);
      }
      expect(queue.clear()).toEqual(model);
    }),
  );
});

test('a long queue is compacted while it is emptied', () => {
  const queue = new Fifo<number>();
  for (let index = 0; index < 5000; index += 1) queue.push(index);
  for (let index = 0; index < 5000; index += 1) expect(queue.shift()).toBe(index);
  expect([queue.length, queue.shift()]).toEqual([0, undefined]);
});

test('a queue holds nothing that was taken', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const queue = new Fifo<object>();
  const taken = Array.from({ length: 10 }, () => {
    const item = { bytes: new Uint8Array(1000) };
    queue.push(item);
    return new WeakRef(item);
  });
  for (let count = 0; count < 9; count += 1) queue.shift();
  await new Promise((resolve) => setTimeout(resolve));
  collect();
  expect(taken.map((ref) => ref.deref() !== undefined)).toEqual([...Array<boolean>(9).fill(false), true]);
});
