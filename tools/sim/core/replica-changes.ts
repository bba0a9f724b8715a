/**
 * Changes of replica sets while everything else goes on: an operator who proposes steps to whoever leads, or believes to,
 * sensible or not, and coordinators that make and delete replicas as leaders report their committed sets.
 */
import type { ReplicaConfig, ReplicaIdentity } from '@partita/replication';
import { isIn } from './config-oracle.ts';
import { NODE_OF_COORDINATOR } from './network.ts';
import type { ChangePlan } from './plan.ts';
import type { Replica } from './replica.ts';
import type { World } from './world.ts';

/** Longest that whoever proposes a change waits for the answer. */
const DEADLINE_MS = 3000;

type Step = (from: ReplicaConfig, leader: Replica) => ReplicaConfig | undefined;

export class ReplicaChanges {
  readonly #world: World;
  #isOver = false;
  #madeCount = 0;

  constructor(world: World) {
    this.#world = world;
  }

  start(): void {
    const { changes } = this.#world.plan;
    if (changes === undefined) return;
    this.#world.tally.add('seeds with changes of replica sets');
    this.#next(changes);
  }

  stop(): void {
    this.#isOver = true;
  }

  #next(plan: ChangePlan): void {
    const { changeRandom, oracles } = this.#world;
    this.#world.after(plan.everyMs * (0.3 + (1.4 * changeRandom.word()) / 2 ** 32), () => {
      if (this.#isOver) return;
      const partition = changeRandom.below(oracles.length);
      for (const leader of this.#leaders(partition)) this.#settle(leader, plan);
      const leaders = this.#leaders(partition);
      if (leaders.length > 0) this.#propose(changeRandom.pick(leaders), plan);
      this.#next(plan);
    });
  }

  /** All that believe to lead, yesterday's leaders too. */
  #leaders(partition: number): Replica[] {
    return this.#world.brokers.flatMap((broker) => {
      const replica = broker.isPaused ? undefined : broker.replica(partition);
      return replica?.leaderRole === undefined ? [] : [replica];
    });
  }

  /** Makes what the leader's committed set has and no broker does, and deletes what it no longer has. */
  #settle({ partition, disk, state }: Replica, { deleteAfterMs }: ChangePlan): void {
    const { brokers, network, changeRandom } = this.#world;
    const config = disk.committedConfig;
    const epoch = state.meta.promisedEpoch;
    const everybody = [...config.replicas, ...config.learners];
    const from = changeRandom.pick(NODE_OF_COORDINATOR);
    for (const broker of brokers) {
      const held = broker.disks[partition]?.identity;
      const wanted = everybody.find(({ brokerId }) => brokerId === broker.node);
      if (held === undefined && wanted !== undefined && changeRandom.chance(0.5))
        network.send(from, broker, () => broker.make(partition, wanted, config, epoch));
      if (held === undefined || isIn(everybody, held) || !changeRandom.chance(0.5)) continue;
      this.#world.after(changeRandom.between(0, deleteAfterMs), () =>
        network.send(from, broker, () => broker.delete(partition, held.replicaId, config, epoch)),
      );
    }
  }

  #propose(leader: Replica, plan: ChangePlan): void {
    const { changeRandom, network, brokers, tally } = this.#world;
    const isNonsense = changeRandom.chance(plan.nonsense);
    const current = leader.disk.committedConfig;
    const next = changeRandom.pick(isNonsense ? this.#nonsense : this.#steps)(current, leader);
    if (next === undefined) return;
    const config =
      !isNonsense && changeRandom.chance(plan.minInSync)
        ? { ...next, minInSyncReplicas: changeRandom.between(1, Math.max(1, next.replicas.length)) }
        : next;
    const { partition } = leader;
    // Who is told to lead may have changed: somebody else gets it now and then, or both do.
    const others = changeRandom.chance(0.1) ? [changeRandom.pick(brokers)] : [];
    const own = this.#world.broker(leader.state.self.brokerId);
    for (const broker of [own, ...others]) {
      network.send(changeRandom.pick(NODE_OF_COORDINATOR), broker, () => {
        // Who is left when all is over must be able to bring about what was begun before.
        if (this.#isOver) return;
        const { nowMs } = this.#world;
        broker.feed(partition, {
          kind: 'propose-config',
          leaderEpoch: 0,
          expectedVersion: current.version,
          config,
          wallMs: nowMs + broker.wallOffsetMs,
          deadlineMs: nowMs + DEADLINE_MS,
          reply: (outcome) => {
            // Somebody else may well remove the one that led.
            if (isNonsense && broker === own && outcome.ok)
              this.#world.violate('a change was taken that nobody may ask for');
            tally.add(outcome.ok ? 'changes answered ok' : `changes refused: ${outcome.refusal}`);
          },
        });
      });
    }
  }

  readonly #steps: readonly Step[] = [
    (from) => this.#withLearner(from),
    (from) => this.#withLearner(from),
    (from) => this.#promoted(from),
    (from) => this.#promoted(from),
    (from) => this.#promoted(from),
    (from, leader) => this.#withoutMember(from, leader, false),
    (from, leader) => this.#withoutMember(from, leader, false),
    (from, leader) => this.#withoutMember(from, leader, true),
    (from) => {
      const gone = this.#some(from.learners);
      return gone && { ...next(from), learners: without(from.learners, gone) };
    },
    (from) => ({
      ...next(from),
      minInSyncReplicas: this.#world.changeRandom.between(1, from.replicas.length),
    }),
  ];

  readonly #nonsense: readonly Step[] = [
    (from, leader) => resized({ ...next(from), replicas: without(from.replicas, leader.state.self) }),
    (from) => {
      const free = this.#free(from);
      return free && { ...next(from), replicas: [...from.replicas, free] };
    },
    (from, leader) => {
      const others = from.replicas.filter(({ replicaId }) => replicaId !== leader.state.self.replicaId);
      return others.length < 2 ? undefined : resized({ ...next(from), replicas: [leader.state.self] });
    },
    (from) => ({ ...next(from), version: from.version + 2 }),
    (from) => ({ ...next(from), minInSyncReplicas: from.replicas.length + 1 }),
    (from) => ({ ...next(from), learners: [...from.learners, ...from.replicas.slice(0, 1)] }),
  ];

  #withLearner(from: ReplicaConfig): ReplicaConfig | undefined {
    const free = this.#free(from);
    return free && { ...next(from), learners: [...from.learners, free] };
  }

  #promoted(from: ReplicaConfig): ReplicaConfig | undefined {
    const chosen = this.#some(from.learners);
    if (chosen === undefined) return undefined;
    return { ...next(from), replicas: [...from.replicas, chosen], learners: without(from.learners, chosen) };
  }

  /** Rather one whose disk is gone. It may go on as a learner. */
  #withoutMember(from: ReplicaConfig, leader: Replica, asLearner: boolean): ReplicaConfig | undefined {
    const others = from.replicas.filter(({ replicaId }) => replicaId !== leader.state.self.replicaId);
    const gone = others.filter(
      ({ brokerId, replicaId }) =>
        this.#world.broker(brokerId).disks[leader.partition]?.identity.replicaId !== replicaId,
    );
    const chosen = this.#some(gone.length > 0 ? gone : others);
    if (chosen === undefined) return undefined;
    const config = resized({ ...next(from), replicas: without(from.replicas, chosen) });
    return asLearner ? { ...config, learners: [...from.learners, chosen] } : config;
  }

  /** A replica that is yet to be made, on a broker that the set does not have. */
  #free({ replicas, learners }: ReplicaConfig): ReplicaIdentity | undefined {
    const { brokers } = this.#world;
    const taken = [...replicas, ...learners].map(({ brokerId }) => brokerId);
    const broker = this.#some(brokers.filter(({ node }) => !taken.includes(node)));
    if (broker === undefined) return undefined;
    this.#madeCount += 1;
    const { node, directoryId } = broker;
    return { brokerId: node, directoryId, replicaId: `replica-${node}-made-${this.#madeCount}` };
  }

  #some<Item>(items: readonly Item[]): Item | undefined {
    return items.length === 0 ? undefined : this.#world.changeRandom.pick(items);
  }
}

function next(from: ReplicaConfig): ReplicaConfig {
  return { ...from, version: from.version + 1 };
}

function without(replicas: readonly ReplicaIdentity[], { replicaId }: ReplicaIdentity): ReplicaIdentity[] {
  return replicas.filter((replica) => replica.replicaId !== replicaId);
}

/** With m within the set. */
function resized(config: ReplicaConfig): ReplicaConfig {
  const { replicas, minInSyncReplicas } = config;
  return { ...config, minInSyncReplicas: Math.max(1, Math.min(minInSyncReplicas, replicas.length)) };
}
