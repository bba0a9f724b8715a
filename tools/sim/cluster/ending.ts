/** The end of a seed: everything is healed, the cluster must work again, and nothing that was promised may be missing. */
import { batchesIn, decodeBatch } from '@partita/batch';
import { Violation } from '../trace.ts';
import type { Producer } from './producers.ts';
import type { OpenReplica } from './oracle.ts';
import { checkDirectory } from './directory-check.ts';
import { checkReplicaSets } from './replica-set-check.ts';
import type { KnownTopic } from './topics.ts';
import type { World } from './world.ts';

/** Back-offs of everybody, one after the other, take less. */
const SETTLE_MS_MAX = 60_000;
const READ_BYTES = 64 * 1024;

export async function endSeed(world: World): Promise<void> {
  const { clients, time, tally } = world;
  clients.stop();
  await until(world, 'what was asked of the cluster ends', () => unfinished(world));
  const startMs = time.nowMs;
  const written = clients.producers.filter(({ topic, isSession }) => isSession && topic.life === 'active');
  const left = new Set(written);
  for (const producer of written) {
    if (!canServe(world, producer)) {
      tally.add('seen: partition with too few good replicas');
      left.delete(producer);
      continue;
    }
    clients.process.run(() => void producer.writeAtLast().then(() => left.delete(producer)));
  }
  await until(world, 'every partition takes records again', () => [...left].map(({ name }) => name));
  tally.add('virtual ms until all partitions took records again', time.nowMs - startMs);
  await checkReplicaSets(world);
  await checkDirectory(world);
  for (const topic of clients.topics.all) await checkTopic(world, topic);
}

/** L1 is promised where enough replicas are whole. That one of an acknowledged topic was never made excuses nothing. */
function canServe({ oracle, losses }: World, { topic, partition }: Producer): boolean {
  const whole = oracle
    .replicasOf(topic.topicId, partition)
    .filter(({ actor }) => !actor.state.meta.suspect)
    .map(({ actor }) => actor.replicaId);
  const isGood = ({ replicaId }: { readonly replicaId: string }) =>
    whole.includes(replicaId) || !(oracle.wasMade(replicaId) || losses.isLost(replicaId));
  return oracle.configsOf(topic.topicId, partition).every(({ replicas, minInSyncReplicas }) => {
    const quorum = Math.max(replicas.length - minInSyncReplicas + 1, Math.floor(replicas.length / 2) + 1);
    const goodCount = replicas.filter(isGood).length;
    return goodCount >= Math.max(quorum, minInSyncReplicas);
  });
}

function unfinished({ clients, nodes }: World): string[] {
  return [
    ...nodes.filter(({ service }) => service === undefined).map(({ name }) => `${name} starts`),
    ...clients.topics.all.filter(({ isBusy }) => isBusy).map(({ name, life }) => `${name} is ${life}`),
    ...clients.producers.filter((producer) => !producer.isIdle && !isStuck(producer)).map(({ name }) => name),
  ];
}

/** Its topic cannot take records: what it repeats will never be answered. */
function isStuck({ topic }: Producer): boolean {
  return topic.life !== 'active';
}

async function until(world: World, what: string, openOnes: () => readonly string[]): Promise<void> {
  await world.run(SETTLE_MS_MAX, () => openOnes().length === 0);
  const open = openOnes();
  if (open.length > 0) throw new Violation(`L1: not within ${SETTLE_MS_MAX} ms: ${what}: ${open.join(', ')}`);
}

async function checkTopic(world: World, topic: KnownTopic): Promise<void> {
  const { oracle } = world;
  if (topic.life === 'deleted') return;
  for (let partition = 0; partition < topic.partitionCount; partition += 1) {
    await untilCaughtUp(world, topic, partition);
    const replicas = oracle.replicasOf(topic.topicId, partition);
    await checkPartition(world, topic, partition, replicas);
  }
}

/** A leader that was just elected may know less to be committed than others do (REPLICATION 2.7), and then its reader sees less. */
async function untilCaughtUp(world: World, { topicId, name }: KnownTopic, partition: number): Promise<void> {
  const isBehind = (): boolean => {
    const replicas = world.oracle.replicasOf(topicId, partition);
    const end = newestLeader(replicas)?.actor.state.highWatermark;
    return end !== undefined && replicas.some(({ actor }) => actor.state.highWatermark > end);
  };
  await world.run(SETTLE_MS_MAX, () => !isBehind());
  if (isBehind())
    throw new Violation(
      `L1: not within ${SETTLE_MS_MAX} ms: the leader of ${name}/${partition} commits what others have`,
    );
}

/** One that stood still may not have heard yet that it leads no more: what it has is old. */
function newestLeader(replicas: readonly OpenReplica[]): OpenReplica | undefined {
  let newest: { readonly epoch: number; readonly replica: OpenReplica } | undefined;
  for (const replica of replicas) {
    const { role } = replica.actor.state;
    if (role.kind === 'leader' && (newest === undefined || role.epoch > newest.epoch))
      newest = { epoch: role.epoch, replica };
  }
  return newest?.replica;
}

async function checkPartition(
  world: World,
  topic: KnownTopic,
  partition: number,
  replicas: readonly OpenReplica[],
): Promise<void> {
  const leader = newestLeader(replicas);
  const where = `${topic.name}/${partition}`;
  if (leader === undefined) {
    world.tally.add('partitions without a leader at the end');
    return;
  }
  const { bytes } = await readAll(world, leader);
  checkRecords(world, topic, partition, bytes);
  for (const replica of replicas) {
    if (replica === leader) continue;
    const own = await readAll(world, replica);
    const isSame = bytes.subarray(0, own.bytes.length).equals(own.bytes);
    if (!isSame) throw new Violation(`I3: ${where} differs on brokers ${leader.brokerId} and ${replica.brokerId}`);
    if (own.bytes.length < bytes.length) world.tally.add('replicas behind at the end');
  }
}

/** All batches below the watermark; nothing is ever deleted here. */
async function readAll(world: World, { actor, process }: OpenReplica): Promise<{ readonly bytes: Buffer }> {
  const parts: Uint8Array[] = [];
  const reading: { isDone: boolean; failure: unknown } = { isDone: false, failure: undefined };
  const read = async () => {
    for (let at = actor.log.logStart; at < actor.state.highWatermark;) {
      const { bytes, nextOffset } = await actor.read(at, READ_BYTES);
      if (bytes.length === 0) break;
      parts.push(Buffer.from(bytes));
      at = nextOffset;
    }
  };
  process.begin(read).then(
    () => (reading.isDone = true),
    (error: unknown) => (reading.failure = error),
  );
  await world.run(SETTLE_MS_MAX, () => reading.isDone || reading.failure !== undefined);
  if (!reading.isDone) throw new Violation(`L1: a replica cannot be read: ${String(reading.failure)}`);
  return { bytes: Buffer.concat(parts) };
}

/** I1, I11, I13, I14: what was acknowledged is there, where it was said to be, once and in order; what was refused is not. */
function checkRecords(world: World, topic: KnownTopic, partition: number, bytes: Buffer): void {
  const where = `${topic.name}/${partition}`;
  const found = new Map<string, bigint>();
  const byOffset = new Map<bigint, string>();
  for (const { position } of batchesIn(bytes)) {
    for (const { offset, value } of decodeBatch(bytes, position).records) {
      const text = Buffer.from(value ?? []).toString();
      if (found.has(text)) throw new Violation(`I14: ${text} is at ${found.get(text)} and at ${offset} of ${where}`);
      found.set(text, offset);
      byOffset.set(offset, text);
    }
  }
  for (const [offset, value] of world.oracle.ackedOf(topic.topicId, partition)) {
    const there = byOffset.get(offset);
    if (there !== value) throw new Violation(`I1: ${value}, acknowledged at ${offset}, is lost; there is ${there}`);
  }
  world.tally.add('acknowledged records read', world.oracle.ackedOf(topic.topicId, partition).size);
  for (const producer of world.clients.producers)
    if (producer.topic === topic && producer.partition === partition) checkProducer(world, producer, found);
}

function checkProducer(world: World, producer: Producer, found: ReadonlyMap<string, bigint>): void {
  let last = { offset: -1n, session: 0 };
  for (const { value, fate, refusedAs, session } of producer.sent) {
    const offset = found.get(value);
    if (offset === undefined) continue;
    if (fate === 'refused') throw new Violation(`I11: ${value}, refused with ${refusedAs}, is in the log`);
    if (fate === 'unknown') world.tally.add('seen: OUTCOME_UNKNOWN kept');
    if (!producer.isSession) continue;
    if (session === last.session && offset <= last.offset)
      throw new Violation(`I13: ${value} is at ${offset}, before what was sent before it`);
    last = { offset, session };
  }
}
