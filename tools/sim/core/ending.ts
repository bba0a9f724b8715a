/**
 * The end of a seed: nothing goes wrong any more, in some seeds for an election quorum only, and then the partition must
 * lead, take an append, and serve all that it ever acknowledged (L1). Where too few replicas may count an operator decides.
 */
import { PEER_CALL_MS_MAX } from '@partita/domain';
import type { Broker } from './broker.ts';
import { electionQuorumOf } from './quorum.ts';
import type { Replica } from './replica.ts';
import type { World } from './world.ts';

/**
 * Time until there must be a leader that takes appends, and again until its followers are level: the 10 s of L1, and one call
 * more, since an election that began before may hang on a broker that stays dead.
 */
const LIMIT_MS = 10_000 + PEER_CALL_MS_MAX;
const PROBE_EVERY_MS = 300;

export function endSeed(world: World): void {
  const { plan, random } = world;
  world.clients.isQuiet = true;
  world.network.isCalm = true;
  const good = plan.endsWithQuorum ? pickQuorum(world) : world.brokers;
  healAll(world, good);
  for (let partition = 0; partition < plan.partitionCount; partition += 1) {
    const counting = countingDisks(world, partition, good);
    const [first] = world.oracle(partition).members;
    if (first === undefined) continue;
    const needed = electionQuorumOf(first.config);
    if (counting >= needed) requireProgress(world, partition, good);
    else if (random.chance(0.5)) overrule(world, partition);
  }
}

/** So many brokers that may count as an election needs; the others stay dead or cut off. */
function pickQuorum(world: World): readonly Broker[] {
  const { oracles, random, brokers } = world;
  const [first] = oracles[0]?.members ?? [];
  if (first === undefined) return brokers;
  const needed = electionQuorumOf(first.config);
  const mayCount = brokers.filter((broker) =>
    oracles.every(({ survivors }) =>
      survivors.some(({ identity, isSuspect }) => identity.brokerId === broker.node && !isSuspect),
    ),
  );
  const chosen: Broker[] = [];
  while (mayCount.length > 0 && chosen.length < needed)
    chosen.push(...mayCount.splice(random.below(mayCount.length), 1));
  return chosen.length < needed ? brokers : chosen;
}

function healAll(world: World, good: readonly Broker[]): void {
  world.directory.isAway = false;
  world.network.healAll();
  for (const coordinator of world.coordinators) {
    coordinator.resume();
    coordinator.start();
  }
  for (const broker of world.brokers) {
    broker.isFull = false;
    broker.slowUntilMs = 0;
    broker.failsNextSync = false;
    if (!good.includes(broker)) {
      if (world.random.chance(0.5)) broker.crash('kill');
      else broker.pause();
      broker.isBarred = true;
      continue;
    }
    broker.resume();
    broker.start();
  }
}

function countingDisks(world: World, partition: number, good: readonly Broker[]): number {
  const ids = new Set(good.map(({ node }) => node));
  return world.oracle(partition).survivors.filter(({ identity, isSuspect }) => !isSuspect && ids.has(identity.brokerId))
    .length;
}

function leaderOf(world: World, partition: number, good: readonly Broker[]): Replica | undefined {
  const leaders = good.flatMap(({ replicas }) => replicas.filter((replica) => replica.partition === partition));
  return leaders
    .filter(({ state }) => state.role.kind === 'leader')
    .toSorted((a, b) => b.state.meta.promisedEpoch - a.state.meta.promisedEpoch)[0];
}

function requireProgress(world: World, partition: number, good: readonly Broker[]): void {
  const { minInSyncReplicas } = world.oracle(partition).members[0]?.config ?? { minInSyncReplicas: 1 };
  const survivors = new Set(world.oracle(partition).survivors.map(({ identity }) => identity.brokerId));
  const mayWrite = good.filter(({ node }) => survivors.has(node)).length >= minInSyncReplicas;
  const untilMs = world.nowMs + LIMIT_MS;
  let isAcked = false;
  const probe = (): void => {
    if (isAcked || world.nowMs > untilMs) return;
    world.after(PROBE_EVERY_MS, probe);
    const leader = leaderOf(world, partition, good);
    if (leader === undefined) return;
    world.clients.probe(partition, leader.state.self.brokerId, (ok) => {
      isAcked ||= ok;
    });
  };
  probe();
  const hasLeader = () => leaderOf(world, partition, good) !== undefined;
  const isDone = world.run(untilMs, () => (mayWrite ? isAcked : hasLeader()));
  if (!isDone) world.violate(`L1: no ${mayWrite ? 'append acknowledged' : 'leader'} in partition ${partition}`);
  if (mayWrite) requireLevel(world, partition, good);
  world.tally.add(mayWrite ? 'partitions that ended writable' : 'partitions that ended with a leader only');
}

/** Followers come level, and everything acknowledged is there. */
function requireLevel(world: World, partition: number, good: readonly Broker[]): void {
  const survivors = new Set(world.oracle(partition).survivors.map(({ identity }) => identity.replicaId));
  const replicas = () =>
    good.flatMap((broker) =>
      broker.replicas.filter(
        (replica) => replica.partition === partition && survivors.has(replica.disk.identity.replicaId),
      ),
    );
  const isLevel = (): boolean => {
    const leader = leaderOf(world, partition, good);
    if (leader === undefined) return false;
    const { highWatermark, logEnd } = leader.state;
    return (
      highWatermark === logEnd &&
      replicas().every(({ state }) => state.highWatermark === highWatermark && state.logEnd === logEnd)
    );
  };
  if (!world.run(world.nowMs + LIMIT_MS, isLevel))
    world.violate(`L1: replicas of partition ${partition} do not come level`);
  const leader = leaderOf(world, partition, good);
  if (leader !== undefined) world.oracle(partition).checkEnd(leader, replicas());
}

/**
 * Too few replicas may count: an operator has all of them promise, and makes the best of those that answer lead, whatever it
 * lacks. The coordinators hold no election meanwhile: they need the quorum that is missing.
 */
function overrule(world: World, partition: number): void {
  const { random } = world;
  const [operator] = world.coordinators;
  for (const broker of world.brokers) {
    broker.isBarred = false;
    broker.resume();
    broker.start();
  }
  // What was on its way before, orders of the coordinators too, is over.
  world.run(world.nowMs + LIMIT_MS);
  const good = world.brokers;
  if (operator === undefined || countingDisks(world, partition, good) >= electionQuorumOf(configOf(world, partition)))
    return;
  if (leaderOf(world, partition, good) !== undefined) return;
  const target = random.pick(world.oracle(partition).survivors);
  // Repeated once: an election may cross it, by a coordinator that has just heard that a replica counts again.
  for (let tries = 0; tries < 2 && leaderOf(world, partition, good) === undefined; tries += 1) {
    operator.forceLeader(partition, target.identity);
    world.run(world.nowMs + 2000);
  }
  if (leaderOf(world, partition, good) === undefined) world.violate(`L1: partition ${partition} is not led by force`);
  requireProgress(world, partition, good);
}

function configOf(world: World, partition: number) {
  const [first] = world.oracle(partition).members;
  if (first === undefined) throw new RangeError('a partition has members');
  return first.config;
}
