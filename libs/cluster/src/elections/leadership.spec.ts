import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { ClusterState } from '../cluster-state.ts';
import { creationFate } from '../topics/creation-fate.ts';
import type { ReplicaReport, TopicDefinition } from '../inventory.ts';
import { evenKeyRanges } from '../topics/key-ranges.ts';
import { planElections } from './leader-election.ts';
import { canStillCommit, desertedLeaders, resignedLeaders, reviseLeaders } from './leadership.ts';
import { electionQuorum } from '../partition-status.ts';
import type { ClusterRecord } from '../records.ts';
import { recordLeader, registerBroker, reportReplicas, setBrokerStatus } from '../session-commands.ts';
import { createTopic } from '../topics/topic-commands.ts';

const TOPIC = 't';
let state: ClusterState;

beforeEach(() => {
  state = new ClusterState();
});

function apply(records: readonly ClusterRecord[]): void {
  for (const record of records) state.apply(record);
}

/** Brokers 1 to R with a partition of that many replicas; broker 1 leads epoch 5, the others follow it. */
function running(replicaCount: number, minInSyncReplicas: number): void {
  const ids = Array.from({ length: replicaCount }, (_, index) => index + 1);
  const definition: TopicDefinition = {
    topicId: TOPIC,
    name: 'orders',
    version: 1n,
    ranges: evenKeyRanges(1),
    replicationFactor: replicaCount,
    settings: {},
    createTimeMs: 1,
    requestId: '',
  };
  const replicas = ids.map((brokerId) => ({ brokerId, directoryId: `dir ${brokerId}`, replicaId: `r${brokerId}` }));
  const config = { configVersion: 1, replicas, learners: [], minInSyncReplicas, flush: 'fsync' } as const;
  state.apply({ type: 'topic_put', definition, name: 'orders', life: 'active' });
  state.apply({ type: 'config_learned', topicId: TOPIC, partition: 0, config });
  for (const id of ids) register(id);
  apply(recordLeader(state, { topicId: TOPIC, partition: 0, epoch: 5, brokerId: 1, config, unclean: false }));
  report(1, { leadingEpoch: 5 });
  for (const id of ids.slice(1)) report(id, { followingId: 1 });
}

function register(brokerId: number): void {
  const facts = { brokerId, directoryId: `dir ${brokerId}`, incarnation: 1n, address: '', peerAddress: '', rack: '' };
  const rest = { version: '', replicas: [], topics: [], tombstones: [], knownBrokerIds: [] };
  apply(registerBroker(state, { ...facts, ...rest }, 0));
}

function report(brokerId: number, more: Partial<ReplicaReport>): void {
  const told: ReplicaReport = {
    topicId: TOPIC,
    partition: 0,
    replicaId: `r${brokerId}`,
    promisedEpoch: 5,
    lastEpoch: 5,
    logEndOffset: 10n,
    highWatermark: 10n,
    logStartOffset: 0n,
    logBytes: 0n,
    suspect: false,
    leadingEpoch: 0,
    followingId: 0,
    configFloor: 0,
    config: undefined,
    ...more,
  };
  apply(reportReplicas(state, brokerId, [told]));
  apply(reviseLeaders(state, [told]));
}

function lose(brokerId: number): void {
  apply(setBrokerStatus(state, brokerId, 'down', 0));
  apply(reviseLeaders(state));
}

function known() {
  return state.partition(TOPIC, 0)!;
}

describe('a leader that is heard, but not by its followers,', () => {
  it.each([
    // R, m, followers that hear it, whether it is deserted
    [3, 2, 0, true],
    [3, 2, 1, false],
    [3, 1, 0, false],
    [2, 2, 0, false],
    [3, 3, 1, false],
    [5, 3, 1, true],
    [5, 3, 2, false],
  ])('of %i replicas with min ISR %i and %i that hear it is deserted: %s', (replicas, minInSync, following, is) => {
    running(replicas, minInSync);
    for (let id = 2 + following; id <= replicas; id += 1) report(id, { followingId: 0 });
    const found = desertedLeaders(state);
    expect(found).toEqual(is ? [{ topicId: TOPIC, partition: 0, leader: 1 }] : []);
  });

  it('is not deserted while the others could not elect one of themselves, or when it is silent itself', () => {
    running(3, 2);
    for (const id of [2, 3]) report(id, { followingId: 0 });
    lose(2);
    expect(desertedLeaders(state)).toEqual([]);
    register(2);
    for (const id of [2, 3]) report(id, { followingId: 0 });
    expect(desertedLeaders(state)).toHaveLength(1);
    lose(1);
    expect(desertedLeaders(state)).toEqual([]);
  });
});

describe('a silent leader', () => {
  it.each([
    // R, m, followers that report it, may go on
    [1, 1, 0, false],
    [3, 1, 2, false],
    [2, 2, 1, true],
    [2, 2, 0, false],
    [3, 2, 2, true],
    [3, 2, 1, true],
    [3, 2, 0, false],
    [3, 3, 2, true],
    [3, 3, 1, false],
    [5, 3, 2, true],
    [5, 3, 1, false],
  ])(
    'of %i replicas with min ISR %i and %i followers that hear it goes on: %s',
    (replicas, minInSync, following, on) => {
      running(replicas, minInSync);
      for (let id = 2 + following; id <= replicas; id += 1) report(id, { followingId: 0 });
      lose(1);
      expect(known()).toMatchObject({ live: on, leader: 1, epoch: 5 });
      expect(canStillCommit(state, TOPIC, known())).toBe(on);
    },
  );

  it('is lost as soon as the last follower that it needs says that it hears it no more', () => {
    running(3, 2);
    lose(1);
    report(2, { followingId: 0 });
    expect(known().live).toBe(true);
    expect(planElections(state, () => true)).toEqual([]);
    report(3, { followingId: 0 });
    expect(known().live).toBe(false);
    expect(planElections(state, () => true)).toMatchObject([{ epoch: 6 }]);
  });

  it('is lost when the follower that heard it falls silent too', () => {
    running(3, 2);
    report(2, { followingId: 0 });
    lose(1);
    expect(known().live).toBe(true);
    lose(3);
    expect(known().live).toBe(false);
  });

  it('is not helped by a follower of somebody else, or by a replica made anew', () => {
    running(3, 2);
    report(2, { followingId: 3 });
    report(3, { replicaId: 'another', followingId: 1 });
    lose(1);
    expect(known().live).toBe(false);
  });

  it('goes on under the same epoch when its broker is back and leads, and is lost when it is back and does not', () => {
    running(3, 2);
    lose(1);
    register(1);
    expect(known().live).toBe(false);
    report(1, { leadingEpoch: 5 });
    expect(known()).toMatchObject({ live: true, epoch: 5, leader: 1 });
    register(1);
    report(1, { leadingEpoch: 0 });
    expect(known().live).toBe(false);
  });

  it('that only the directory or a follower tells of is left alone while followers hear it', () => {
    running(3, 2);
    const before = known().config!;
    const definition = state.topicById(TOPIC)!.definition;
    state = new ClusterState();
    state.apply({ type: 'topic_put', definition, name: 'orders', life: 'active' });
    state.apply({ type: 'config_learned', topicId: TOPIC, partition: 0, config: before });
    for (const id of [2, 3]) {
      register(id);
      report(id, { followingId: 1 });
    }
    expect(known()).toMatchObject({ live: true, leader: 1, epoch: 5 });
    expect(planElections(state, () => true)).toEqual([]);
  });

  it('is not guessed from a follower that has promised an epoch of which it has nothing', () => {
    running(3, 2);
    report(2, { followingId: 1, promisedEpoch: 6 });
    expect(known()).toMatchObject({ leader: 1, epoch: 5, epochSeen: 6 });
  });
});

describe('a leader that answers', () => {
  it('is in doubt while a member has promised more and it cannot commit without that one', () => {
    running(3, 2);
    report(3, { promisedEpoch: 6 });
    expect(resignedLeaders(state, 1)).toEqual([]);
    report(2, { promisedEpoch: 5, followingId: 0 });
    expect(resignedLeaders(state, 1)).toEqual([{ topicId: TOPIC, partition: 0, epoch: 5 }]);
    expect(known().live).toBe(true);
    state.apply({ type: 'leader_lost', topicId: TOPIC, partition: 0 });
    expect(planElections(state, () => true)).toMatchObject([{ epoch: 7 }]);
  });

  it.each([
    ['has not heard of its election yet', { promisedEpoch: 5, lastEpoch: 4, leadingEpoch: 0 }, true],
    ['led before, by its log', { promisedEpoch: 5, lastEpoch: 5, leadingEpoch: 0 }, false],
    ['has promised a higher epoch to somebody', { promisedEpoch: 6, lastEpoch: 5, leadingEpoch: 0 }, true],
    ['leads', { promisedEpoch: 5, lastEpoch: 5, leadingEpoch: 5 }, true],
  ])('and %s counts as live: %j %s', (_, more, live) => {
    running(3, 2);
    report(1, more);
    expect(known().live).toBe(live);
  });

  it('gives way to any broker that leads a higher epoch', () => {
    running(3, 2);
    report(3, { promisedEpoch: 7, lastEpoch: 7, leadingEpoch: 7 });
    expect(known()).toMatchObject({ leader: 3, epoch: 7, live: true });
    report(1, { leadingEpoch: 5 });
    expect(known()).toMatchObject({ leader: 3, epoch: 7, live: true });
  });

  it('is taken from the answer to the order, though a follower told of it before', () => {
    running(3, 2);
    lose(1);
    report(3, { promisedEpoch: 6, lastEpoch: 6, followingId: 2 });
    expect(known()).toMatchObject({ leader: 2, epoch: 6, live: true });
    const config = known().config!;
    apply(recordLeader(state, { topicId: TOPIC, partition: 0, epoch: 6, brokerId: 2, config, unclean: false }));
    expect(known()).toMatchObject({ leader: 2, epoch: 6, live: true });
  });
});

describe('new topics with several replicas', () => {
  function create(replicationFactor: number) {
    let ids = 0;
    const command = { name: 'new', partitionCount: 3, settings: {}, requestId: '', internal: false, nowMs: 0 };
    const { records, response } = createTopic(state, {
      ...command,
      replicationFactor,
      newId: () => `id ${(ids += 1)}`,
    });
    apply(records);
    if (response.kind !== 'created') throw new Error('the topic was there');
    return response;
  }

  it.each([
    [1, 0, 1, 1],
    [2, 0, 2, 2],
    [3, 0, 3, 2],
    [6, 0, 3, 2],
    [6, 5, 5, 3],
  ])(
    'with %i brokers and factor %i have %i replicas, of which %i must be in sync',
    (brokers, wanted, factor, minInSync) => {
      for (let id = 1; id <= brokers; id += 1) register(id);
      const { definition, configs } = create(wanted);
      expect(definition.replicationFactor).toBe(factor);
      expect(configs.every(({ replicas }) => new Set(replicas.map(({ brokerId }) => brokerId)).size === factor)).toBe(
        true,
      );
      expect(configs.every(({ minInSyncReplicas }) => minInSyncReplicas === minInSync)).toBe(true);
    },
  );

  it('elect nobody before every replica is made', () => {
    for (const id of [1, 2, 3]) register(id);
    const { topicId, configs } = create(0);
    const all = configs.flatMap(({ replicas }, partition) => replicas.map((replica) => ({ ...replica, partition })));
    const plans = () => planElections(state, () => true).length;
    for (const { brokerId, replicaId, partition } of all) {
      expect(plans()).toBe(0);
      expect(creationFate(state, state.topicById(topicId)!)).toBe('abandon');
      const made = { promisedEpoch: 0, lastEpoch: 0, logEndOffset: 0n };
      report(brokerId, { topicId, partition, replicaId, ...made });
    }
    expect(creationFate(state, state.topicById(topicId)!)).toBe('complete');
    expect(plans()).toBe(3);
  });
});

it('leaves a leader alone only where enough followers hear it for the election quorum to be missed by none of them', () => {
  const sizes = fc.integer({ min: 2, max: 7 }).chain((replicas) =>
    fc.record({
      replicas: fc.constant(replicas),
      minInSync: fc.integer({ min: 2, max: replicas }),
      following: fc.subarray(Array.from({ length: replicas - 1 }, (_, index) => index + 2)),
    }),
  );
  fc.assert(
    fc.property(sizes, ({ replicas, minInSync, following }) => {
      state = new ClusterState();
      running(replicas, minInSync);
      for (let id = 2; id <= replicas; id += 1) report(id, { followingId: following.includes(id) ? 1 : 0 });
      lose(1);
      // It commits with itself and those that follow; else the others suffice to elect, if they answer.
      expect(known().live).toBe(following.length + 1 >= minInSync);
      const others = replicas - 1 >= electionQuorum(replicas, minInSync);
      expect(planElections(state, () => true).length).toBe(!known().live && others ? 1 : 0);
    }),
  );
});
