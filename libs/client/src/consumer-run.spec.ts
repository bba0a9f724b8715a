import { afterEach, describe, expect, test } from 'vitest';
import type { ConsumerOptions, ReceivedRecord } from './index.ts';
import { closeAll, until } from './testing/loopback.ts';
import { SpecGroup, startConsumer, text } from './testing/spec-group.ts';

afterEach(closeAll);

/** Handlers that end when the spec says so. */
class Gate {
  readonly begun: string[] = [];
  readonly #open = new Map<string, () => void>();

  readonly handler = ({ partition, offset }: ReceivedRecord): Promise<void> => {
    const name = `${partition}:${offset}`;
    this.begun.push(name);
    return new Promise((resolve) => this.#open.set(name, resolve));
  };

  finish(name: string): void {
    const open = this.#open.get(name);
    if (open === undefined) throw new Error(`no handler has ${name}`);
    open();
  }
}

/** A member of three partitions with the records 0 to 2 of each. */
async function withThree(options: Partial<ConsumerOptions> = {}) {
  const started = await startConsumer(options);
  const { group } = started;
  group.onInitial = () => {
    group.join();
    const held = [0, 1, 2].map((partition) => [partition, 1] as const);
    group.assign(held);
    for (const [partition] of held) group.deliver(partition, 0, 3);
  };
  return started;
}

function left(group: SpecGroup): string[] | undefined {
  return group.all('leave')[0]?.leave.offsets.map(text);
}

describe('run with concurrency', () => {
  test('handles partitions side by side, each in order', async () => {
    const { consumer } = await withThree();
    const gate = new Gate();
    const running = consumer.run(gate.handler, { concurrency: 3 });
    await until(() => gate.begun.length === 3);
    expect(gate.begun.toSorted()).toEqual(['0:0', '1:0', '2:0']);
    gate.finish('1:0');
    await until(() => gate.begun.length === 4);
    expect(gate.begun.at(-1)).toBe('1:1');
    await consumer.close();
    for (const name of ['0:0', '1:1', '2:0']) gate.finish(name);
    await running;
  });

  test('has no more handlers at work than it was told', async () => {
    const { consumer } = await withThree();
    const gate = new Gate();
    const running = consumer.run(gate.handler, { concurrency: 2 });
    await until(() => gate.begun.length === 2);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(gate.begun).toHaveLength(2);
    await consumer.close();
    for (const name of gate.begun) gate.finish(name);
    await running;
  });

  test('commits what is done, and commit() nothing that a handler still has', async () => {
    const { group, consumer } = await withThree();
    const gate = new Gate();
    const running = consumer.run(gate.handler, { concurrency: 3 });
    await until(() => gate.begun.length === 3);
    gate.finish('2:0');
    await until(() => gate.begun.includes('2:1'));
    await consumer.commit();
    expect(group.acked).toEqual(['2:1']);
    await consumer.close();
    for (const name of ['0:0', '1:0', '2:1']) gate.finish(name);
    await running;
    expect(left(group)).toEqual(['2:1']);
  });

  test('ends when a handler throws: the others finish, and its record is not committed', async () => {
    const { group, consumer } = await withThree();
    const gate = new Gate();
    let fail = (): void => undefined;
    const failing = new Promise<void>((_, reject) => (fail = () => reject(new Error('cannot process'))));
    const running = consumer.run(
      (record) => (record.partition === 0 && record.offset === 1n ? failing : gate.handler(record)),
      { concurrency: 3 },
    );
    running.catch(() => undefined);
    await until(() => gate.begun.length === 3);
    gate.finish('0:0');
    await new Promise((resolve) => setTimeout(resolve, 20));
    fail();
    gate.finish('1:0');
    gate.finish('2:0');
    await expect(running).rejects.toThrow('cannot process');
    const partitions = new Map(left(group)?.map((commit) => commit.split(':') as [string, string]));
    expect(partitions.get('0')).toBe('1');
    expect(gate.begun).not.toContain('0:2');
  });

  test('gives a partition up when its own handler is done, not when all are', async () => {
    const { group, consumer } = await withThree();
    const gate = new Gate();
    const running = consumer.run(gate.handler, { concurrency: 3 });
    await until(() => gate.begun.length === 3);
    const held = [0, 1, 2].map((partition) => [partition, 1] as const);
    group.assign(held, [[1, 1]], 2);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(group.all('revoked')).toEqual([]);
    gate.finish('1:0');
    await until(() => group.all('revoked').length === 1);
    expect(group.all('revoked')[0]?.revoked.offsets.map(text)).toEqual(['1:1']);
    await consumer.close();
    for (const name of ['0:0', '2:0']) gate.finish(name);
    await running;
  });

  test('runs once at a time', async () => {
    const { consumer } = await withThree();
    const running = consumer.run(() => undefined);
    await expect(consumer.run(() => undefined)).rejects.toMatchObject({ reason: 'INVALID_REQUEST' });
    await consumer.close();
    await running;
  });
});

describe('runBatches', () => {
  test('hands records of one partition at a time, and commits them together', async () => {
    const { group, consumer } = await withThree();
    const seen: string[] = [];
    const running = consumer.runBatches(
      ({ partition, records }) => void seen.push(`${partition}: ${records.map(({ offset }) => offset).join(' ')}`),
      { maxRecords: 2 },
    );
    await until(() => seen.length === 6);
    expect(seen).toEqual(['0: 0 1', '0: 2', '1: 0 1', '1: 2', '2: 0 1', '2: 2']);
    await until(() => group.acked.length >= 3);
    await consumer.close();
    await running;
    expect(group.committed).toEqual(new Map([0, 1, 2].map((partition) => [partition, 3n])));
  });
});

describe('the end', () => {
  test('of a static member is a commit and no leaving', async () => {
    const { group, consumer, records } = await startConsumer({ instanceId: 'worker-1' });
    const first = records.next();
    await until(() => group.streamCount === 1);
    group.deliver(0, 0, 2);
    await first;
    void records.next();
    await consumer.close();
    expect([group.all('leave'), group.endCount, group.acked.at(-1)]).toEqual([[], 1, '0:1']);
  });

  test('comes with the signal', async () => {
    const ending = new AbortController();
    const { group, consumer } = await startConsumer({ signal: ending.signal });
    const running = consumer.run(() => undefined);
    await until(() => group.streamCount === 1);
    group.deliver(0, 0, 2);
    await until(() => group.acked.length === 1);
    ending.abort();
    await running;
    expect([consumer.closed, left(group)]).toEqual([true, ['0:2']]);
  });
});

test('a consumer whose signal was given before it began joins nothing', async () => {
  const { group, consumer, records } = await startConsumer({ signal: AbortSignal.abort() });
  expect((await records.next()).done).toBe(true);
  await consumer.run(() => undefined);
  expect([group.streamCount, consumer.closed]).toEqual([0, true]);
});

test('a handler that takes longer than the session time-out does not keep the heartbeats back', async () => {
  const { group, consumer } = await startConsumer({ sessionTimeoutMs: 1000 });
  const gate = new Gate();
  const running = consumer.run(gate.handler);
  await until(() => group.streamCount === 1);
  group.deliver(0, 0, 2);
  await until(() => gate.begun.length === 1);
  const before = group.all('heartbeat').length;
  await new Promise((resolve) => setTimeout(resolve, 1500));
  expect(group.all('heartbeat').length - before).toBeGreaterThanOrEqual(3);
  gate.finish('0:0');
  await until(() => gate.begun.length === 2);
  gate.finish('0:1');
  await until(() => group.acked.includes('0:2'));
  await consumer.close();
  await running;
});
