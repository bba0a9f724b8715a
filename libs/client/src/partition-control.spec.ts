import { ConsumePosition } from '@partita/protocol';
import { PartitaError } from '@partita/domain';
import { toRpcStatus } from '@partita/rpc';
import { afterEach, describe, expect, test } from 'vitest';
import type { ConsumerOptions } from './index.ts';
import { closeAll, until } from './testing/loopback.ts';
import { offsets, SpecGroup, startConsumer } from './testing/spec-group.ts';

afterEach(closeAll);

const PARTITION = { topic: 't', partition: 0 };

/** A consumer that has handed out offset 0 of offsets 0 to 3. */
async function started(options: Partial<ConsumerOptions> = {}) {
  const started = await startConsumer(options);
  const { group, records } = started;
  const first = records.next();
  await until(() => group.streamCount === 1);
  group.deliver(0, 0, 4);
  await first;
  return started;
}

/** The seeks that were heard, as offset and number. */
function seeks(group: SpecGroup): (bigint | undefined)[] {
  return group
    .all('seek')
    .flatMap(({ seek }) =>
      seek.entries.map(({ position }) =>
        position?.position?.$case === 'offset' ? position.position.offset : undefined,
      ),
    );
}

function lastSeekId(group: SpecGroup): bigint {
  return group.all('seek').at(-1)?.seek.entries[0]?.seekId ?? 0n;
}

async function reconnected(group: SpecGroup): Promise<void> {
  const before = group.streamCount;
  group.stream?.end(new PartitaError('SHUTTING_DOWN', 'bye'));
  await until(() => group.streamCount > before);
}

describe('a seek', () => {
  test('drops what was delivered before it, and does not commit what is in progress', async () => {
    const { group, consumer, records } = await started();
    consumer.seek(PARTITION, 100n);
    expect(consumer.position(PARTITION)).toBe(100n);
    await until(() => group.all('seek').length === 1);
    group.deliver(0, 4, 6);
    group.deliver(0, 100, 102, 1, '', lastSeekId(group));
    expect(await offsets(records, 2)).toEqual(['0:100', '0:101']);
    await until(() => group.acked.length > 0);
    expect(group.acked).toEqual(['0:101']);
  });

  test('back that was not committed yet outlives a lost stream', async () => {
    const { group, consumer, records } = await started();
    await offsets(records, 3);
    await consumer.commit();
    consumer.seek(PARTITION, 1n);
    await until(() => group.all('seek').length === 1);
    await reconnected(group);
    await until(() => group.all('seek').length === 2);
    expect(seeks(group)).toEqual([1n, 1n]);
    group.deliver(0, 4, 5);
    group.deliver(0, 1, 3, 1, '', lastSeekId(group));
    expect(await offsets(records, 2)).toEqual(['0:1', '0:2']);
  });

  test('in onAssigned comes before the first record', async () => {
    let seekFirst = (): void => undefined;
    const started = await startConsumer({ onAssigned: () => seekFirst() });
    seekFirst = () => started.consumer.seek(PARTITION, 'latest');
    const first = started.records.next();
    await until(() => started.group.all('seek').length === 1);
    expect(started.consumer.position(PARTITION)).toBeUndefined();
    started.group.deliver(0, 0, 1);
    started.group.deliver(0, 7, 8, 1, '', lastSeekId(started.group));
    expect((await first).value?.offset).toBe(7n);
  });

  test('of a partition that is not held is refused', async () => {
    const { consumer } = await started();
    expect(() => consumer.seek({ topic: 't', partition: 5 }, 0n)).toThrow(/does not hold partition 5/);
  });
});

describe('a paused partition', () => {
  test('gives its credit back, and goes on where it was', async () => {
    const { group, consumer, records } = await started({ delivery: 'records', bufferRecordCount: 4 });
    consumer.pause([PARTITION]);
    await until(() => group.all('pause').length === 1 && group.all('credit').length === 1);
    expect(group.all('credit')[0]?.credit.records).toBe(4n);
    group.deliver(0, 4, 5);
    const next = records.next();
    consumer.resume([PARTITION]);
    await until(() => group.all('resume').length === 1);
    expect(seeks(group)).toEqual([1n]);
    group.deliver(0, 1, 2, 1, '', lastSeekId(group));
    expect((await next).value?.offset).toBe(1n);
  });

  test('stays paused over a lost stream', async () => {
    const { group, consumer } = await started();
    consumer.pause([PARTITION]);
    await until(() => group.all('pause').length === 1);
    await reconnected(group);
    await until(() => group.all('pause').length === 2);
  });
});

describe('positions that somebody else moved while the stream was away', () => {
  test('back are followed', async () => {
    const { group, consumer, records } = await started();
    await offsets(records, 3);
    await consumer.commit();
    group.committed.set(0, 1n);
    await reconnected(group);
    group.deliver(0, 1, 2);
    expect(await offsets(records, 1)).toEqual(['0:1']);
  });

  test('forth are followed', async () => {
    const { group, consumer } = await started();
    group.committed.set(0, 50n);
    await reconnected(group);
    await until(() => consumer.position(PARTITION) === 50n);
  });
});

describe('a consumer tells', () => {
  test('where it stands, from what it heard last', async () => {
    const { group, consumer } = await started();
    const positions = [ConsumePosition.fromPartial({ topic: 't', partition: 0, highWatermark: 10n })];
    group.say({ $case: 'heartbeat', heartbeat: { positions } });
    await until(() => consumer.lag()[0]?.highWatermark === 10n);
    expect(consumer.lag()).toEqual([{ topic: 't', partition: 0, position: 1n, highWatermark: 10n, lagRecords: 9n }]);
  });

  test('what its group has committed', async () => {
    const { consumer } = await started();
    expect(await consumer.committed()).toMatchObject([{ topic: 't', partition: 0, nextOffset: 77n }]);
  });
});

describe('a commit of positions', () => {
  test('sends them as they are, with their metadata', async () => {
    const { group, consumer } = await started({ autoCommit: false });
    await consumer.commit([{ ...PARTITION, nextOffset: 3n, metadata: 'file 7' }]);
    expect(group.all('ack')[0]?.ack.offsets).toMatchObject([
      { nextOffset: 3n, metadata: 'file 7', assignmentEpoch: 1, recordEpoch: 0 },
    ]);
  });

  test('that is refused says why', async () => {
    const { group, consumer } = await started({ autoCommit: false });
    const error = toRpcStatus(new PartitaError('OFFSET_OUT_OF_RANGE', 'beyond the log'));
    group.failures = [{ topic: 't', partition: 0, error }];
    await expect(consumer.commit([{ ...PARTITION, nextOffset: 99n }])).rejects.toMatchObject({
      reason: 'OFFSET_OUT_OF_RANGE',
    });
  });

  test('of a partition that is not held is refused', async () => {
    const { consumer } = await started();
    await expect(consumer.commit([{ topic: 'u', partition: 0, nextOffset: 0n }])).rejects.toMatchObject({
      reason: 'STALE_GENERATION',
    });
  });
});

test('a subscription is changed on the stream, and kept for the next', async () => {
  const { group, consumer } = await started({ rack: 'r1', capacity: 3, assignor: 'range' });
  expect(group.all('initial')[0]?.initial).toMatchObject({ rack: 'r1', capacity: 3, assignor: 'range' });
  consumer.subscribe({ topicPattern: 'orders-.*' });
  await until(() => group.all('subscription').length === 1);
  expect(group.all('subscription')[0]?.subscription).toEqual({ topics: [], topicPattern: 'orders-.*' });
  await reconnected(group);
  expect(group.all('initial')[1]?.initial.subscription?.topicPattern).toBe('orders-.*');
});
