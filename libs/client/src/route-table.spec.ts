import { PartitaError } from '@partita/domain';
import { BrokerState, GetRoutesResponse, TopicRoute, WatchRoutesResponse } from '@partita/protocol';
import { describe, expect, test } from 'vitest';
import { RouteTable } from './route-table.ts';

type Leader = readonly [leaderId: number, leaderEpoch: number];

function route(topicId: string, topic: string, version: bigint, ...leaders: Leader[]): TopicRoute {
  const partitions = leaders.map(([leaderId, leaderEpoch], partition) => ({ partition, leaderId, leaderEpoch }));
  return TopicRoute.fromPartial({ topicId, topic, version, partitions });
}

function update(parts: Parameters<typeof WatchRoutesResponse.fromPartial>[0]): WatchRoutesResponse {
  return WatchRoutesResponse.fromPartial(parts);
}

function answer(parts: Parameters<typeof GetRoutesResponse.fromPartial>[0]): GetRoutesResponse {
  return GetRoutesResponse.fromPartial(parts);
}

const brokers = [
  { brokerId: 1, address: 'one:1' },
  { brokerId: 2, address: 'two:2' },
];

describe('a route table', () => {
  test('knows a leader once it knows the route and the broker', () => {
    const table = new RouteTable();
    table.apply(update({ routes: [route('a', 'flights', 1n, [1, 3])] }));
    expect(table.leader('a', 0)).toBeUndefined();
    table.apply(update({ brokers }));
    expect(table.leader('a', 0)).toEqual({ brokerId: 1, leaderEpoch: 3, address: 'one:1' });
    expect(table.leader('a', 1)).toBeUndefined();
    expect(table.topic('flights')?.topicId).toBe('a');
  });

  test('keeps, per partition, the leader with the higher epoch, whatever comes last', () => {
    const table = new RouteTable();
    table.apply(update({ brokers, routes: [route('a', 'flights', 1n, [2, 5], [1, 1])] }));
    table.apply(update({ routes: [route('a', 'flights', 1n, [1, 4], [2, 2])] }));
    expect([table.leader('a', 0)?.brokerId, table.leader('a', 1)?.brokerId]).toEqual([2, 2]);
  });

  test('ignores a route with an older version', () => {
    const table = new RouteTable();
    table.apply(update({ brokers, routes: [route('a', 'flights', 2n, [1, 1], [1, 1])] }));
    table.apply(update({ routes: [route('a', 'flights', 1n, [2, 9])] }));
    expect(table.topicById('a')?.partitions.length).toBe(2);
  });

  test('has no leader while none is elected', () => {
    const table = new RouteTable();
    table.apply(update({ brokers, routes: [route('a', 'flights', 1n, [0, 1])] }));
    expect(table.leader('a', 0)).toBeUndefined();
  });

  test('takes a hint that is newer than what it knows, and only then', () => {
    const table = new RouteTable();
    table.apply(update({ brokers, routes: [route('a', 'flights', 1n, [1, 3])] }));
    const hint = (leader: number, epoch: number) =>
      new PartitaError('NOT_LEADER', 'moved', {
        topic_id: 'a',
        partition: '0',
        leader: String(leader),
        leader_epoch: String(epoch),
      });
    expect(table.applyHint(hint(2, 3))).toBe(false);
    expect(table.applyHint(hint(2, 4))).toBe(true);
    expect(table.leader('a', 0)).toEqual({ brokerId: 2, leaderEpoch: 4, address: 'two:2' });
    expect(table.applyHint(new PartitaError('NOT_LEADER', 'moved'))).toBe(false);
  });

  test('lets an answer that is behind the watch undo nothing that it told of brokers', () => {
    const table = new RouteTable();
    const up = { ...brokers[1], state: BrokerState.BROKER_STATE_UP };
    table.apply(update({ brokers: [brokers[0]!, up], routes: [route('a', 'flights', 1n, [1, 3])] }));
    const down = { brokerId: 2, address: 'gone:2', state: BrokerState.BROKER_STATE_DOWN };
    const third = { brokerId: 3, address: 'three:3' };
    table.applyAnswer(answer({ brokers: [down, third], routes: [route('a', 'flights', 1n, [1, 3])] }));
    expect(table.brokers.map(({ brokerId, address, state }) => [brokerId, address, state])).toEqual([
      [1, 'one:1', BrokerState.BROKER_STATE_UNSPECIFIED],
      [2, 'two:2', BrokerState.BROKER_STATE_UP],
      [3, 'three:3', BrokerState.BROKER_STATE_UNSPECIFIED],
    ]);
  });

  test.for([
    ['a later epoch', route('a', 'flights', 1n, [2, 4])],
    ['a later version', route('a', 'flights', 2n, [2, 3])],
    ['a topic that is new', route('b', 'trains', 1n, [2, 0])],
  ] as const)('takes the addresses of an answer with %s', ([, newer]) => {
    const table = new RouteTable();
    table.apply(update({ brokers, routes: [route('a', 'flights', 1n, [1, 3])] }));
    table.applyAnswer(answer({ brokers: [{ brokerId: 2, address: 'moved:2' }], routes: [newer] }));
    expect(table.brokers.find(({ brokerId }) => brokerId === 2)?.address).toBe('moved:2');
  });

  test('forgets after a reset what the whole state did not name', () => {
    const table = new RouteTable();
    table.apply(update({ brokers, routes: [route('a', 'old', 1n, [1, 1]), route('b', 'kept', 1n, [1, 1])] }));
    table.apply(update({ reset: true, routes: [route('b', 'kept', 1n, [1, 1])] }));
    expect(table.topic('old')).toBeDefined();
    table.apply(update({ complete: true }));
    expect([table.topic('old'), table.topic('kept')?.topicId, table.complete]).toEqual([undefined, 'b', true]);
  });

  test('keeps a topic made again under a name whose old id is deleted later', () => {
    const table = new RouteTable();
    table.apply(update({ routes: [route('a', 'flights', 1n, [1, 1])] }));
    table.apply(update({ routes: [route('b', 'flights', 1n, [1, 1])] }));
    table.apply(update({ deletedTopicIds: ['a'] }));
    expect(table.topic('flights')?.topicId).toBe('b');
    expect(table.topicById('a')).toBeUndefined();
  });
});
