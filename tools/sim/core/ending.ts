/**
 * The end of a seed: nothing goes wrong any more, in some seeds for an election quorum only, and then the partition must
 * lead, take an append, and serve all that it ever acknowledged (L1). Where too few replicas may count an operator decides.
 */
import { PEER_CALL_MS_MAX } from '@partita/domain';
import type { Broker } from './broker.ts';
import { isIn } from './config-oracle.ts';
import { disksOn, hasEnoughToWrite, hasQuorum } from './quorum.ts';
import type { Replica } from './replica.ts';
import type { ReplicaDisk } from './replica-disk.ts';
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
    if (hasQuorum(world, partition, good)) requireProgress(world, partition, good);
    else if (random.chance(0.5)) overrule(world, partition);
  }
}

/** So many brokers that may count as an election needs; the others stay dead or cut off. */
function pickQuorum(world: World): readonly Broker[] {
  const { oracles, random, brokers } = world;
  const isEnough = (some: readonly Broker[]) => oracles.every((_, partition) => hasQuorum(world, partition, some));
  const mayCount = brokers.filter((broker) =>
    oracles.every(({ configs }, partition) =>
      disksOn(world, partition, [broker]).some(
        ({ identity, isSuspect }) => isIn(configs.inForce.replicas, identity) && !isSuspect,
      ),
    ),
  );
  const chosen: Broker[] = [];
  while (mayCount.length > 0 && !isEnough(chosen)) chosen.push(...mayCount.splice(random.below(mayCount.length), 1));
  return isEnough(chosen) ? chosen : brokers;
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

function leaderOf(world: World, partition: number, good: readonly Broker[]): Replica | undefined {
  const leaders = good.flatMap(({ replicas }) => replicas.filter((replica) => replica.partition === partition));
  return leaders
    .filter(({ state }) => state.role.kind === 'leader')
    .toSorted((a, b) => b.state.meta.promisedEpoch - a.state.meta.promisedEpoch)[0];
}

function requireProgress(world: World, partition: number, good: readonly Broker[]): void {
  const mayWrite = hasEnoughToWrite(world, partition, good);
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
  // A learner may become a member, and a member a learner, until a change that was under way is committed or cut.
  const replicas = () => {
    const { inForce } = world.oracle(partition).configs;
    const everybody = [...inForce.replicas, ...inForce.learners];
    return good.flatMap((broker) =>
      broker.replicas.filter((replica) => replica.partition === partition && isIn(everybody, replica.disk.identity)),
    );
  };
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
  if (operator === undefined || hasQuorum(world, partition, good)) return;
  if (leaderOf(world, partition, good) !== undefined) return;
  let target = random.pick(world.oracle(partition).survivors);
  if (!mayBeForced(world, partition, target)) return;
  // Repeated: an election may cross it, by a coordinator that has just heard that a replica counts again, or one that does
  // not know yet that a change under way has no quorum.
  const triesMax = world.plan.changes === undefined ? 2 : 8;
  for (let tries = 0; tries < triesMax && leaderOf(world, partition, good) === undefined; tries += 1) {
    operator.forceLeader(partition, target.identity);
    world.run(world.nowMs + 2000);
    if (mayBeForced(world, partition, target)) continue;
    // It has committed the change that removes it, which was in its log, and given way.
    const others = world.oracle(partition).survivors.filter((disk) => mayBeForced(world, partition, disk));
    if (others.length === 0) return;
    target = world.changeRandom.pick(others);
  }
  if (leaderOf(world, partition, good) === undefined) world.violate(`L1: partition ${partition} is not led by force`);
  requireProgress(world, partition, good);
}

/** One that lacks the set in force would bring back what others know to be over. */
function mayBeForced(world: World, partition: number, { identity, configs }: ReplicaDisk): boolean {
  const { inForce } = world.oracle(partition).configs;
  return isIn(inForce.replicas, identity) && configs.includes(inForce);
}
