/**
 * Elections as a coordinator holds them: the production plan and verdict, with calls that get lost, come twice or late. It
 * may die between promises and order.
 */
import { configsInForce, evaluatePromises, planElection, planElections, recordLeader } from '@partita/cluster';
import type { ElectionOutcome, ElectionPlan, PromiseReply, ReplicaIdentity } from '@partita/cluster';
import { LEADER_LEVEL_MS_MAX, LEADER_PAUSE_MS_MAX, partitionKey, PEER_CALL_MS_MAX } from '@partita/domain';
import type { LeadOutcome, PromiseOutcome, ReplicaConfig } from '@partita/replication';
import type { KeptFloor } from './broker.ts';
import type { Coordinator } from './coordinator.ts';
import { isIn } from './config-oracle.ts';
import { configOf, TOPIC_ID } from './identities.ts';
import type { Replica } from './replica.ts';
import type { World } from './world.ts';

type Elected = Extract<ElectionOutcome, { kind: 'elected' }>;

/** Whom a rival's election does not reach (0 = chance tells), and an epoch that it knows of. */
export interface RivalElection {
  readonly without: number;
  readonly above: number;
}

interface Attempt {
  readonly plan: ElectionPlan;
  readonly nonce: string;
  readonly replies: PromiseReply[];
  /** Replicas that have not answered. */
  waitsFor: number;
  isOver: boolean;
}

/** What a broker says that has deleted the replica, but for the floor. */
const NO_PROMISE: PromiseOutcome = {
  granted: false,
  promisedEpoch: 0,
  lastEpoch: 0,
  logEnd: 0n,
  highWatermark: 0n,
  suspect: false,
  configs: [],
  configFloor: 0,
};

/** Longest wait between two attempts, milliseconds. */
const BACKOFF_MS_MAX = 1000;

export class Elections {
  readonly #world: World;
  readonly #coordinator: Coordinator;
  readonly #busy = new Set<number>();
  readonly #failures = new Map<number, { count: number; notBeforeMs: number }>();

  constructor(world: World, coordinator: Coordinator) {
    this.#world = world;
    this.#coordinator = coordinator;
  }

  /** Begins one wherever it is due. */
  run(): void {
    const { state } = this.#coordinator;
    if (!this.#coordinator.mayOrder()) return;
    for (const plan of planElections(state, (_, partition) => this.#isDue(partition))) this.#begin(plan);
  }

  /** Elects whether or not there is a leader, as a coordinator does that has lost sight of it, and of others perhaps. */
  rival(partition: number, { without, above }: RivalElection): void {
    const { random, tally } = this.#world;
    const known = this.#coordinator.state.partition(TOPIC_ID, partition);
    if (known?.config === undefined || this.#busy.has(partition)) return;
    const { config, inSync, epochSeen } = known;
    const replicas = this.#everybody(partition, config).filter(
      ({ brokerId }) => brokerId !== without && (without > 0 || random.chance(0.8)),
    );
    if (replicas.length === 0) return;
    tally.add('rival elections');
    const epoch = 1 + Math.max(epochSeen, above);
    this.#begin({ topicId: TOPIC_ID, partition, epoch, replicas, config, inSync, wanted: 0, leaving: [] });
  }

  /** A controlled move: the leader pauses until the successor is level, then comes the ordinary election. */
  move(partition: number, successor: ReplicaIdentity, isHasty: boolean): void {
    const world = this.#world;
    const { state } = this.#coordinator;
    const known = state.partition(TOPIC_ID, partition);
    const leader = known?.config?.replicas.find(({ brokerId }) => brokerId === known.leader);
    if (known === undefined || leader === undefined || this.#busy.has(partition)) return;
    this.#busy.add(partition);
    world.tally.add('moves begun');
    let isAnswered = false;
    const answer = (logEnd = -1n): void => {
      if (isAnswered) return;
      isAnswered = true;
      this.#busy.delete(partition);
      world.tally.add(logEnd >= 0n ? 'seen: successor drew level' : 'seen: pause without a level successor');
      const now = state.partition(TOPIC_ID, partition);
      const plan = now && planElection(state, TOPIC_ID, now, successor.brokerId);
      if (plan !== undefined && (logEnd >= 0n || isHasty)) this.#begin(plan);
    };
    const untilMs = world.nowMs + LEADER_PAUSE_MS_MAX;
    const levelByMs = world.nowMs + world.moveRandom.pick([50, LEADER_LEVEL_MS_MAX, LEADER_PAUSE_MS_MAX]);
    const { epoch } = known;
    const pause = { kind: 'pause', epoch, successorId: successor.replicaId, levelByMs, untilMs } as const;
    this.#call<bigint>(partition, leader, (replica, reply) => replica.feed({ ...pause, reply }), answer);
    world.afterOf(this.#coordinator, LEADER_PAUSE_MS_MAX, () => answer());
  }

  /**
   * An operator accepts losses: every replica that answers promises, so that no other leader goes on, then the chosen one
   * leads, whatever it lacks. Only where an election cannot succeed.
   */
  force(partition: number, target: ReplicaIdentity): void {
    const known = this.#coordinator.state.partition(TOPIC_ID, partition);
    if (known?.config === undefined) return;
    const nonce = this.#world.freshNonce();
    const { changes } = this.#world.plan;
    const { members, survivors } = this.#world.oracle(partition);
    const replicas = changes === undefined ? known.config.replicas : survivors.map(({ identity }) => identity);
    const epoch = 1 + Math.max(known.epochSeen, ...members.map(({ meta }) => meta.promisedEpoch));
    const lead = (outcome: PromiseOutcome | undefined): void => {
      if (outcome?.granted !== true) return;
      const { lastEpoch, logEnd } = outcome;
      this.#call<LeadOutcome>(
        partition,
        target,
        (replica, reply) =>
          replica.feed({ kind: 'lead', epoch, nonce, lastEpoch, logEnd, configFloor: 0, unclean: true, reply }),
        (answer) => {
          if (answer?.leading === true) this.#recordLeader({ partition, epoch }, target.brokerId, answer.config);
        },
      );
    };
    for (const replica of replicas) {
      this.#call<PromiseOutcome>(
        partition,
        replica,
        (asked, reply) => asked.feed({ kind: 'promise', epoch, nonce, reply }),
        (outcome) => {
          if (replica.replicaId === target.replicaId) lead(outcome);
        },
      );
    }
  }

  /** The replicas that it knows of, learners and those of other sets too. */
  #everybody(partition: number, { replicas, learners }: ElectionPlan['config']): ReplicaIdentity[] {
    const known = [...replicas, ...learners];
    const key = partitionKey({ topicId: TOPIC_ID, partition });
    for (const broker of this.#coordinator.state.brokers()) {
      const reported = broker.replicas.get(key)?.config;
      for (const replica of [...(reported?.replicas ?? []), ...(reported?.learners ?? [])])
        if (!isIn(known, replica)) known.push(replica);
    }
    return known;
  }

  /** Asks every replica of the plan for its promise. */
  #begin(plan: ElectionPlan): void {
    const world = this.#world;
    this.#busy.add(plan.partition);
    world.tally.add('elections begun');
    const attempt: Attempt = {
      plan,
      nonce: world.freshNonce(),
      replies: [],
      waitsFor: plan.replicas.length,
      isOver: false,
    };
    for (const replica of plan.replicas) this.#ask(attempt, replica);
    world.afterOf(this.#coordinator, PEER_CALL_MS_MAX, () => this.#decide(attempt));
  }

  #isDue(partition: number): boolean {
    const failure = this.#failures.get(partition);
    return !this.#busy.has(partition) && (failure === undefined || this.#world.nowMs >= failure.notBeforeMs);
  }

  #ask(attempt: Attempt, identity: ReplicaIdentity): void {
    const { plan, nonce, replies } = attempt;
    const { partition, epoch } = plan;
    let isAnswered = false;
    this.#call<PromiseOutcome>(
      partition,
      identity,
      (replica, reply) =>
        replica.feed({
          kind: 'promise',
          epoch,
          nonce,
          reply: (outcome) => {
            if (outcome.granted) this.#world.oracle(partition).grants(replica, epoch, nonce);
            reply(outcome);
          },
        }),
      (outcome) => {
        if (isAnswered || attempt.isOver) return;
        isAnswered = true;
        attempt.waitsFor -= 1;
        if (outcome !== undefined) replies.push(replyOf(identity, outcome));
        if (attempt.waitsFor === 0) this.#decide(attempt);
      },
      (kept) => ({ ...NO_PROMISE, ...kept }),
    );
  }

  #decide(attempt: Attempt): void {
    const { plan, replies } = attempt;
    if (attempt.isOver) return;
    attempt.isOver = true;
    const world = this.#world;
    const outcome = evaluatePromises(plan, replies);
    if (outcome.kind === 'failed') {
      if (replies.some(({ granted }) => granted) && replies.some(({ granted }) => !granted))
        world.tally.add('seen: promise duel');
      this.#seen(plan, outcome.promisedEpoch);
      this.#finish(plan);
      return;
    }
    world.oracle(plan.partition).elects(replies, plan.epoch);
    if ((configsInForce(plan.config, replies)?.length ?? 0) > 1)
      world.tally.add('seen: election under two configs in force');
    world.tally.add('elections decided');
    if (outcome.leader.brokerId === plan.wanted) world.tally.add('seen: wished leader elected');
    const isHeldBack = world.random.chance(2 * world.plan.limbo + (world.plan.isDuel ? 0.06 : 0));
    if (world.network.isCalm || !isHeldBack) {
      this.#appoint(attempt, outcome);
      return;
    }
    // The order hangs back while another elects: whoever is told to lead may be a leader of yesterday.
    const others = world.coordinators.filter((coordinator) => coordinator !== this.#coordinator);
    world.after(world.random.below(50), () =>
      world.random.pick(others).holdElection(plan.partition, { without: outcome.leader.brokerId, above: plan.epoch }),
    );
    world.afterOf(this.#coordinator, world.random.between(50, 2000), () => this.#appoint(attempt, outcome));
  }

  #appoint({ plan, nonce }: Attempt, { leader, lastEpoch, logEndOffset, config }: Elected): void {
    const { partition, epoch } = plan;
    let isAnswered = false;
    const answer = (outcome: LeadOutcome | undefined): void => {
      if (isAnswered) return;
      isAnswered = true;
      if (outcome?.leading === true) this.#recordLeader(plan, leader.brokerId, outcome.config);
      else this.#seen(plan, Math.max(epoch, outcome?.promisedEpoch ?? 0));
      this.#finish(plan);
    };
    this.#call<LeadOutcome>(
      partition,
      leader,
      (replica, reply) => {
        const { state } = replica;
        const { meta, role, durableEnd } = state;
        if (meta.promisedEpoch === epoch && role.kind === 'follower' && durableEnd !== logEndOffset)
          this.#world.tally.add('seen: lead refused because the log changed');
        const order = {
          epoch,
          nonce,
          lastEpoch,
          logEnd: logEndOffset,
          configFloor: config.configVersion,
          unclean: false,
        };
        replica.feed({ kind: 'lead', ...order, reply });
      },
      answer,
    );
    this.#world.afterOf(this.#coordinator, PEER_CALL_MS_MAX, () => answer(undefined));
  }

  #recordLeader(
    { partition, epoch }: Pick<ElectionPlan, 'partition' | 'epoch'>,
    brokerId: number,
    config: ReplicaConfig,
  ): void {
    const coordinator = this.#coordinator;
    const led = { topicId: TOPIC_ID, partition, epoch, brokerId, config: configOf(config), unclean: false };
    coordinator.apply(recordLeader(coordinator.state, led));
  }

  #seen({ partition }: ElectionPlan, epoch: number): void {
    if (epoch > 0) this.#coordinator.apply([{ type: 'epoch_seen', topicId: TOPIC_ID, partition, epoch }]);
  }

  #finish({ partition }: ElectionPlan): void {
    this.#busy.delete(partition);
    if (this.#coordinator.state.partition(TOPIC_ID, partition)?.live === true) {
      this.#failures.delete(partition);
      return;
    }
    const { random, nowMs } = this.#world;
    const count = (this.#failures.get(partition)?.count ?? 0) + 1;
    const delayMs = Math.min(BACKOFF_MS_MAX, 50 * 2 ** count) * (0.5 + random.word() / 2 ** 32);
    this.#failures.set(partition, { count, notBeforeMs: nowMs + delayMs });
    this.#world.afterOf(this.#coordinator, delayMs, () => this.run());
  }

  /** A call to the broker of a replica; no answer when it gets lost, undefined when the broker is not there or has another. */
  #call<Outcome>(
    partition: number,
    { brokerId, replicaId }: ReplicaIdentity,
    ask: (replica: Replica, reply: (outcome: Outcome) => void) => void,
    answer: (outcome: Outcome | undefined) => void,
    afterDeletion?: (kept: KeptFloor) => Outcome,
  ): void {
    const world = this.#world;
    const { network } = world;
    const coordinator = this.#coordinator;
    const { life } = coordinator;
    const broker = world.broker(brokerId);
    const back = (outcome: Outcome | undefined): void =>
      network.send(brokerId, coordinator, () => {
        if (coordinator.life === life) answer(outcome);
      });
    if (!broker.isUp && network.isOpen(coordinator.node, brokerId)) {
      world.afterOf(coordinator, network.delayMs(), () => answer(undefined));
      return;
    }
    network.send(coordinator.node, broker, () => {
      const replica = broker.replica(partition);
      const kept = broker.floors.get(partition);
      if (replica?.disk.identity.replicaId === replicaId) ask(replica, back);
      else if (kept === undefined || afterDeletion === undefined) back(undefined);
      else {
        world.tally.add('seen: floor of a deleted replica answered');
        back(afterDeletion(kept));
      }
    });
  }
}

function replyOf(replica: ReplicaIdentity, outcome: PromiseOutcome): PromiseReply {
  const { granted, promisedEpoch, lastEpoch, logEnd, suspect, configs, configFloor } = outcome;
  return {
    replica,
    granted,
    promisedEpoch,
    lastEpoch,
    logEndOffset: logEnd,
    suspect,
    configs: configs.map(configOf),
    configFloor,
  };
}
