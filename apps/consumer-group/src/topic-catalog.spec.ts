import { Broker, TopicRoute } from '@partita/protocol';
import { expect, it } from 'vitest';
import { topicCatalog } from './topic-catalog.ts';

const route = TopicRoute.fromPartial({
  topic: 't',
  topicId: 'id',
  partitions: [
    { partition: 0, replicas: [{ brokerId: 1 }, { brokerId: 2 }] },
    { partition: 1, replicas: [{ brokerId: 3 }] },
  ],
});

function catalog(racks: readonly string[]) {
  const brokers = racks.map((rack, index) => Broker.fromPartial({ brokerId: index + 1, rack }));
  const table = {
    brokers,
    topic: (name: string) => (name === 't' ? route : undefined),
    topicById: (id: string) => (id === 'id' ? route : undefined),
  };
  return topicCatalog(table, { matching: (pattern) => [pattern] });
}

it('tells the racks of the brokers that have a partition, where brokers have racks', () => {
  const topic = catalog(['a', 'b', '']).topic('t');
  expect(topic).toMatchObject({ topicId: 'id', partitionCount: 2 });
  expect([0, 1, 9].map((partition) => topic?.racksOf?.(partition))).toEqual([['a', 'b'], [], []]);
  expect(catalog(['', '', '']).topic('t')?.racksOf).toBeUndefined();
  expect(catalog([]).topic('nowhere')).toBeUndefined();
});
