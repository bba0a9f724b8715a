import { trace } from '@opentelemetry/api';
import { PartitaError } from '@partita/domain';
import { ConsumeEventKind } from '@partita/protocol';
import { afterEach, describe, expect, test } from 'vitest';
import { closeAll, listen, until } from './testing/loopback.ts';
import { offsets, SpecGroup, startConsumer as start, text } from './testing/spec-group.ts';
import { listSpans } from './testing/span-list.ts';

afterEach(closeAll);

describe('a consumer', () => {
  test('joins with the first record asked for, as it was told', async () => {
    const { group, records, consumer } = await start({ from: 5n, instanceId: 'static-1', sessionTimeoutMs: 2500 });
    expect(group.streamCount).toBe(0);
    group.onInitial = () => {
      group.join();
      group.assign([[0, 1]]);
      group.deliver(0, 5, 6);
    };
    const { value } = await records.next();
    expect(value).toMatchObject({ topic: 't', partition: 0, offset: 5n, leaderEpoch: 3 });
    expect(group.all('initial')[0]?.initial).toMatchObject({
      group: 'g',
      memberId: '',
      instanceId: 'static-1',
      subscription: { topics: ['t'] },
      startPosition: { position: { $case: 'offset', offset: 5n } },
      sessionTimeout: { seconds: 2n, nanos: 500_000_000 },
    });
    expect([consumer.memberId, consumer.assignment]).toEqual(['m-1', [{ topic: 't', partition: 0 }]]);
  });

  test('commits a record by itself only once the next one is asked for', async () => {
    const { group, records } = await start();
    void offsets(records, 0);
    const first = records.next();
    await until(() => group.streamCount === 1);
    group.deliver(0, 0, 3);
    await first;
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(group.acked).toEqual([]);
    await records.next();
    await until(() => group.acked.length > 0);
    expect(group.acked).toEqual(['0:1']);
    expect(group.all('ack')[0]?.ack.offsets[0]).toMatchObject({ assignmentEpoch: 1, recordEpoch: 3 });
  });

  test('commits every 500 records without waiting for the timer', async () => {
    const { group, records } = await start();
    const taking = offsets(records, 1001);
    await until(() => group.streamCount === 1);
    group.deliver(0, 0, 1001);
    await taking;
    await until(() => group.acked.includes('0:1000'));
    expect(group.acked).toContain('0:500');
  });

  test('gives back the credit for what was taken, so that the window stays bounded', async () => {
    const { group, records } = await start({ bufferRecordCount: 100 });
    const taking = offsets(records, 100);
    await until(() => group.streamCount === 1);
    expect(group.all('initial')[0]?.initial.credit?.records).toBe(100n);
    group.deliver(0, 0, 100);
    await taking;
    const granted = () => group.all('credit').reduce((sum, { credit }) => sum + credit.records, 0n);
    await until(() => granted() > 0n);
    expect(granted()).toBeLessThanOrEqual(100n);
    void records.next();
    await until(() => granted() === 100n);
  });

  test('without autoCommit commits what was handed out when told, the record in progress included', async () => {
    const { group, records, consumer } = await start({ autoCommit: false });
    const taking = offsets(records, 2);
    await until(() => group.streamCount === 1);
    group.deliver(0, 0, 3);
    await taking;
    expect(group.acked).toEqual([]);
    await consumer.commit();
    expect(group.acked).toEqual(['0:2']);
  });

  test('leaves with a last commit when it is closed, and its loop ends', async () => {
    const { group, records, consumer } = await start();
    const taking = offsets(records, 3);
    await until(() => group.streamCount === 1);
    group.deliver(0, 0, 2);
    await until(() => group.acked.length > 0 || group.heard.length > 1);
    await consumer.close();
    expect(await taking).toEqual(['0:0', '0:1']);
    expect(group.all('leave')[0]?.leave.offsets.map(text)).toEqual(['0:2']);
    expect((await records.next()).done).toBe(true);
  });

  test('does not commit the record whose handler failed', async () => {
    const { group, consumer } = await start();
    const running = consumer.run((record) => {
      if (record.offset === 1n) throw new Error('cannot process');
    });
    await until(() => group.streamCount === 1);
    group.deliver(0, 0, 3);
    await expect(running).rejects.toThrow('cannot process');
    expect(group.all('leave')[0]?.leave.offsets.map(text)).toEqual(['0:1']);
  });
});

describe('a rebalance', () => {
  test('drops undelivered records, finishes the one in progress, and answers with the last commit', async () => {
    const told: string[] = [];
    const { group, records } = await start({
      onRevoked: (partitions) => void told.push(...partitions.map((name) => String(name.partition))),
    });
    group.onInitial = () => {
      group.join();
      group.assign([
        [0, 1],
        [1, 1],
      ]);
    };
    const first = records.next();
    await until(() => group.streamCount === 1);
    group.deliver(0, 0, 5);
    group.deliver(1, 0, 1);
    expect((await first).value).toMatchObject({ partition: 0, offset: 0n });
    group.assign(
      [
        [0, 1],
        [1, 1],
      ],
      [[0, 1]],
      2,
    );
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(group.all('revoked')).toEqual([]);
    expect((await records.next()).value).toMatchObject({ partition: 1, offset: 0n });
    await until(() => group.all('revoked').length === 1);
    const { revoked } = group.all('revoked')[0]!;
    expect(revoked.offsets.map(text)).toEqual(['0:1']);
    expect(revoked.partitions).toMatchObject([{ topic: 't', partition: 0, assignmentEpoch: 1 }]);
    expect(told).toEqual(['0']);
  });

  test('waits for onRevoked before it answers', async () => {
    let release = (): void => {};
    const waiting = new Promise<void>((resolve) => (release = resolve));
    const { group, records } = await start({ onRevoked: () => waiting });
    void records.next();
    await until(() => group.streamCount === 1);
    group.assign([[0, 1]], [[0, 1]], 2);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(group.all('revoked')).toEqual([]);
    release();
    await until(() => group.all('revoked').length === 1);
  });

  test('that takes a partition away without asking tells of it, and its records are not delivered', async () => {
    const lost: number[] = [];
    const gained: number[] = [];
    const { group, records } = await start({
      onRevoked: (partitions) => void lost.push(...partitions.map((name) => name.partition)),
      onAssigned: (partitions) => gained.push(...partitions.map((name) => name.partition)),
    });
    const first = records.next();
    await until(() => group.streamCount === 1);
    group.assign([[1, 2]], [], 2);
    group.deliver(0, 0, 1);
    group.deliver(1, 7, 8, 1);
    group.deliver(1, 8, 9, 2);
    expect((await first).value).toMatchObject({ partition: 1, offset: 8n });
    expect([gained, lost]).toEqual([[0, 1], [0]]);
  });
});

describe('a lost stream', () => {
  test('is opened again as the same member, and no record is handed out twice', async () => {
    const { group, records } = await start();
    const taking = offsets(records, 2);
    await until(() => group.streamCount === 1);
    group.deliver(0, 0, 4);
    await taking;
    group.onInitial = () => {
      group.join();
      group.assign([[0, 1]]);
      group.deliver(0, 1, 4);
    };
    group.stream?.end(new PartitaError('SHUTTING_DOWN', 'bye'));
    await until(() => group.streamCount === 2);
    expect(await offsets(records, 2)).toEqual(['0:2', '0:3']);
    expect(group.all('initial')[1]?.initial).toMatchObject({ memberId: 'm-1', memberEpoch: 1 });
    await until(() => group.acked.at(-1) === '0:3');
  });

  test('after which the group does not know the member makes a new one, and its partitions are told as lost', async () => {
    const lost: number[] = [];
    const { group, records } = await start({
      onRevoked: (partitions) => void lost.push(...partitions.map((name) => name.partition)),
    });
    const first = records.next();
    await until(() => group.streamCount === 1);
    group.onInitial = ({ memberId }) => {
      if (memberId !== '') return group.stream?.end(new PartitaError('MEMBER_NOT_FOUND', 'unknown member'));
      group.join('m-2');
      group.assign([[0, 9]]);
      group.deliver(0, 0, 1, 9);
    };
    group.stream?.end(new PartitaError('SHUTTING_DOWN', 'bye'));
    expect((await first).value).toMatchObject({ offset: 0n });
    expect(lost).toEqual([0]);
  });

  test('goes to the owner of the group when told where it is', async () => {
    const { group, records, directory } = await start();
    const owner = new SpecGroup();
    const { address } = await listen([directory.part, owner.part]);
    group.onInitial = ({ noRelay }) => {
      expect(noRelay).toBe(true);
      group.stream?.end(new PartitaError('NOT_GROUP_OWNER', 'not here', { group: 'g', address }));
    };
    owner.onInitial = () => {
      owner.join();
      owner.assign([[0, 1]]);
      owner.deliver(0, 3, 4);
    };
    expect((await records.next()).value).toMatchObject({ offset: 3n });
  });

  test('asks to be passed on when the owner cannot be reached', async () => {
    const { group, records } = await start();
    group.onInitial = ({ noRelay }) => {
      if (noRelay)
        return group.stream?.end(
          new PartitaError('NOT_GROUP_OWNER', 'not here', { group: 'g', address: '127.0.0.1:1' }),
        );
      group.join();
      group.assign([[0, 1]]);
      group.deliver(0, 3, 4);
    };
    expect((await records.next()).value).toMatchObject({ offset: 3n });
  });

  test('for good ends the loop with the reason', async () => {
    const { group, records } = await start();
    group.onInitial = () => group.stream?.end(new PartitaError('TOPIC_NOT_FOUND', 'no topic "t"', { topic: 't' }));
    await expect(records.next()).rejects.toMatchObject({ reason: 'TOPIC_NOT_FOUND', outcome: 'rejected' });
  });
});

test('a position that an operator moved back delivers records again', async () => {
  const kinds: number[] = [];
  const { group, records } = await start({ onEvent: (event) => kinds.push(event.kind) });
  const taking = offsets(records, 2);
  await until(() => group.streamCount === 1);
  group.deliver(0, 0, 3);
  await taking;
  const kind = ConsumeEventKind.CONSUME_EVENT_KIND_RESET;
  group.say({
    $case: 'event',
    event: { topic: 't', partition: 0, kind, oldOffset: 2n, newOffset: 0n, detail: 'reset' },
  });
  group.deliver(0, 0, 2);
  await until(() => kinds.length === 1);
  expect(await offsets(records, 2)).toEqual(['0:0', '0:1']);
});

test('with tracing each record is processed in a span that is a child of its send', async () => {
  const { provider, spans } = listSpans();
  trace.setGlobalTracerProvider(provider);
  try {
    const { group, consumer } = await start();
    const running = consumer.run((record) => {
      if (record.offset === 1n) throw new Error('cannot process');
    });
    await until(() => group.streamCount === 1);
    group.deliver(0, 0, 2, 1, `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`);
    await expect(running).rejects.toThrow('cannot process');
    const processed = spans.filter(({ name }) => name === 'process t');
    expect(processed.map(({ parent, ended, status }) => [parent?.spanId, ended, status?.message])).toEqual([
      ['b'.repeat(16), true, undefined],
      ['b'.repeat(16), true, 'cannot process'],
    ]);
  } finally {
    trace.disable();
  }
});
