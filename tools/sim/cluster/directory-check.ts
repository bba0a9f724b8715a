/** At the end the directory says what the brokers' disks say, and what administrators were told. */
import type { TopicEntry } from '@partita/metadata-store';
import { Violation } from '../trace.ts';
import type { KnownTopic } from './topics.ts';
import type { World } from './world.ts';

/** Takes in how long a lease lasts, how often directories are looked at, and a back-off. */
const SETTLE_MS_MAX = 40_000;
const LOOK_MS = 500;

/** The directory becomes right, soon; throws what is wrong with it for good. */
export async function checkDirectory(world: World): Promise<void> {
  for (let waitedMs = 0; waitedMs < SETTLE_MS_MAX; waitedMs += LOOK_MS) {
    try {
      look(world);
      world.tally.add('virtual ms until the directory was right', waitedMs);
      return;
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
    }
    await world.run(LOOK_MS);
  }
  look(world);
}

function look(world: World): void {
  const { redis, clients } = world;
  const { state } = redis.master;
  if (state.meta === undefined) throw new Violation('the directory is empty');
  const active = clients.topics.active();
  const wanted = active.map(({ name }) => name).sort();
  // Of two topics of one name, one is parked under another: never lost. What is left of a creation that was given up while
  // Redis lost its memory may be the other one.
  const own = new Set(active.map(({ topicId }) => topicId));
  const deleted = clients.topics.all.filter(({ life }) => life === 'deleted');
  const outlived = new Set(deleted.filter((topic) => hasOutlived(world, topic)).map(({ topicId }) => topicId));
  const found = [...state.topics.values()].flatMap(({ topicId, name }) => {
    const [plain = '', parked] = name.split('~conflict~');
    if (parked === undefined) return outlived.has(topicId) ? [] : [name];
    world.tally.add('seen: topic parked');
    return own.has(topicId) ? [plain] : [];
  });
  found.sort();
  for (const topic of deleted) checkDeleted(world, topic);
  if (wanted.join() !== found.join())
    throw new Violation(`the directory has topics ${found.join(' ')}, but there are ${wanted.join(' ')}`);
  for (const topic of active) {
    const entry = state.topics.get(topic.topicId);
    if (entry === undefined) throw new Violation(`the directory has another topic ${topic.name}`);
    checkSettings(topic.name, topic.retentionSeconds, entry);
    for (let partition = 0; partition < topic.partitionCount; partition += 1) checkEntry(world, topic, partition);
  }
}

function checkDeleted(world: World, topic: KnownTopic): void {
  const { name, topicId, partitionCount } = topic;
  if (hasOutlived(world, topic)) {
    // Deleted was, by its name, the topic that had the name: the parked one had another, and gets its own back after that.
    world.tally.add('seen: parked topic outlives the deletion of its name');
    return;
  }
  for (let partition = 0; partition < partitionCount; partition += 1) {
    const left = world.oracle.replicasOf(topicId, partition).map(({ brokerId }) => brokerId);
    if (left.length > 0) throw new Violation(`deleted topic ${name} has replicas on ${left.join(', ')}`);
  }
}

function hasOutlived({ redis }: World, { name, topicId, deletedTopicId }: KnownTopic): boolean {
  if (deletedTopicId === topicId) return false;
  const called = redis.master.state.topics.get(topicId)?.name;
  return called === `${name}~conflict~${topicId}` || (deletedTopicId !== undefined && called === name);
}

function checkSettings(name: string, wanted: ReadonlySet<number>, { settings }: TopicEntry): void {
  const json = JSON.parse(settings) as { readonly settings: { readonly retentionAge?: number } };
  const seconds = (json.settings.retentionAge ?? 0) / 1000;
  if (!wanted.has(seconds))
    throw new Violation(`the directory has retention ${seconds} s of ${name}, set was ${[...wanted].join(' or ')}`);
}

function checkEntry(world: World, { name, topicId }: KnownTopic, partition: number): void {
  const where = `${name}/${partition}`;
  const entry = world.redis.master.state.partitions.get(topicId)?.get(partition);
  if (entry === undefined) throw new Violation(`the directory has nothing of ${where}`);
  const leader = world.oracle
    .replicasOf(topicId, partition)
    .find(({ actor }) => actor.state.role.kind === 'leader' && actor.state.role.epoch >= entry.epoch);
  if (leader === undefined) return;
  const { role, configs } = leader.actor.state;
  const epoch = role.kind === 'leader' ? role.epoch : 0;
  if (entry.epoch !== epoch || entry.leader !== leader.brokerId || entry.status !== 'online')
    throw new Violation(
      `the directory says of ${where} that ${entry.leader} leads ${entry.epoch} (${entry.status}), but ${leader.brokerId} leads ${epoch}`,
    );
  const ids = (replicas: readonly { readonly replicaId: string }[]) =>
    replicas
      .map(({ replicaId }) => replicaId)
      .sort()
      .join(' ');
  const config = configs[0];
  if (config !== undefined && ids(entry.replicas) !== ids(config.replicas))
    throw new Violation(
      `the directory says of ${where} that it has ${ids(entry.replicas)}, not ${ids(config.replicas)}`,
    );
}
