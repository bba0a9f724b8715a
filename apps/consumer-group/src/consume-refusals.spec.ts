import { CommitOffsetsRequest, ConsumeInitial, GroupServiceService } from '@partita/protocol';
import { callUnary } from '@partita/rpc/client';
import { describe, expect, it } from 'vitest';
import { ServiceWorld } from './testing/service-world.ts';

const world = new ServiceWorld();
const { topic, member, pool } = world;

describe('what is refused', () => {
  const cases: [string, Parameters<typeof ConsumeInitial.fromPartial>[0], string][] = [
    ['an unknown topic', { subscription: { topics: ['nowhere'] } }, 'TOPIC_NOT_FOUND'],
    ['an impossible topic name', { subscription: { topics: ['a b'] } }, 'INVALID_TOPIC_NAME'],
    ['no topics', { subscription: { topics: [] } }, 'INVALID_REQUEST'],
    ['a pattern that is none', { subscription: { topics: [], topicPattern: '(' } }, 'INVALID_REQUEST'],
    ['a pattern that RE2 has not', { subscription: { topics: [], topicPattern: '(?=a)' } }, 'INVALID_REQUEST'],
    ['a very long pattern', { subscription: { topics: [], topicPattern: 'a'.repeat(1025) } }, 'INVALID_REQUEST'],
    ['a loss policy of time without a time', { offsetLostPolicy: 4 }, 'INVALID_REQUEST'],
    [
      'a loss policy of duration with a time',
      { offsetLostPolicy: 5, offsetLostPosition: { position: { $case: 'time', time: { seconds: 1n, nanos: 0 } } } },
      'INVALID_REQUEST',
    ],
    ['a group id with a blank', { group: 'a b' }, 'INVALID_REQUEST'],
    ['a negative credit', { credit: { records: -1n, bytes: 1n } }, 'INVALID_REQUEST'],
    ['an unknown assignor', { assignor: 'random' }, 'INVALID_REQUEST'],
    ['an unknown enum value', { deliveryForm: 77 as never }, 'INVALID_REQUEST'],
    ['a session time-out of a day', { sessionTimeout: { seconds: 86_400n, nanos: 0 } }, 'INVALID_REQUEST'],
  ];
  it.each(cases)('%s', async (_, initial, reason) => {
    const name = topic(1);
    expect((await member('refused', [name], initial).closed)?.reason).toBe(reason);
  });

  it('messages out of turn', async () => {
    const name = topic(1);
    const one = member('turn', [name]);
    one.send({ $case: 'initial', initial: ConsumeInitial.fromPartial({}) });
    expect((await one.closed)?.reason).toBe('STREAM_ORDER');
  });

  it('a later negative credit', async () => {
    const name = topic(1);
    const one = member('negative', [name]);
    await one.until(() => one.partitions.length === 1);
    one.grant(-5);
    expect((await one.closed)?.reason).toBe('INVALID_REQUEST');
  });

  it('commits beyond the log, and from outside while there are members', async () => {
    const name = topic(1);
    const one = member('beyond', [name]);
    await one.until(() => one.partitions.length === 1);
    one.ack(1n, [{ topic: name, partition: 0, nextOffset: 99n }]);
    await one.until(() => one.all('ackResult').length === 1);
    expect(one.all('ackResult')[0]?.ackResult.failures).toHaveLength(1);
    const request = CommitOffsetsRequest.fromPartial({
      group: 'beyond',
      offsets: [{ topic: name, partition: 0, nextOffset: 0n }],
    });
    await expect(
      callUnary(pool.client(world.address), GroupServiceService.commitOffsets, request),
    ).rejects.toMatchObject({
      reason: 'GROUP_NOT_EMPTY',
    });
  });
});
