import { expect, it } from 'vitest';
import { ServiceWorld } from './testing/service-world.ts';

const world = new ServiceWorld();
const { cluster, member, describeGroup } = world;

it('a pattern takes the topics whose whole name it matches, those that come later too, and never internal ones', async () => {
  cluster.createTopic('flights-eu', 2);
  cluster.createTopic('flights-eu-raw', 1);
  cluster.createTopic('old-flights-eu', 1);
  const one = member('patterns', [], { subscription: { topics: [], topicPattern: 'flights-[a-z]+|__.*' } });
  const topics = (): string[] => [...new Set(one.assignment?.partitions.map(({ topic }) => topic) ?? [])].sort();
  await one.until(() => one.partitions.length === 2);
  expect(topics()).toEqual(['flights-eu']);
  const later = cluster.createTopic('flights-us', 1);
  await one.until(() => one.partitions.length === 3);
  expect(topics()).toEqual(['flights-eu', 'flights-us']);
  expect((await describeGroup('patterns')).members[0]?.subscription).toEqual({
    topics: [],
    topicPattern: 'flights-[a-z]+|__.*',
  });
  cluster.deleteTopic(later);
  await one.until(() => one.partitions.length === 2);
  one.send({ $case: 'subscription', subscription: { topics: ['old-flights-eu'], topicPattern: '.*-raw' } });
  await one.until(() => topics().join() === 'flights-eu-raw,old-flights-eu');
});

it('a topic that comes while its member is joining is not missed', async () => {
  cluster.appendDelayMs = 200;
  const one = member('joins', [], { subscription: { topics: [], topicPattern: 'late-.*' } });
  await expect.poll(() => cluster.delayedAppendCount, { interval: 5 }).toBeGreaterThan(0);
  cluster.createTopic('late-1', 1);
  await one.until(() => one.partitions.length === 1);
  cluster.appendDelayMs = 0;
});
