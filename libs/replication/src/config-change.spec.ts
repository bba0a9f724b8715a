import { describe, expect, it } from 'vitest';
import { currentConfig, isRemoved, pendingConfig } from './config-in-force.ts';
import type { ConfigOutcome, ConfigRefusal } from './config-messages.ts';
import type { ReplicatedBatch } from './messages.ts';
import type { ReplicaConfig } from './replica-config.ts';
import { configOf, SELF, TestReplica } from './testing/replica.fixture.ts';

function other(brokerId: number) {
  return { brokerId, directoryId: `d${brokerId}`, replicaId: `r${brokerId}` };
}

/** R = 3, m = 2, and a learner on broker 4. */
const three: ReplicaConfig = { ...configOf(3, 2), learners: [other(4)] };
const four: ReplicaConfig = { ...three, version: 2, replicas: [...three.replicas, other(4)], learners: [] };
const two: ReplicaConfig = { ...three, version: 2, replicas: [SELF, other(2)] };

function propose(replica: TestReplica, config: ReplicaConfig, expectedVersion = config.version - 1): ConfigOutcome[] {
  const outcomes: ConfigOutcome[] = [];
  const reply = (outcome: ConfigOutcome) => outcomes.push(outcome);
  replica.feed({
    kind: 'propose-config',
    leaderEpoch: 0,
    expectedVersion,
    config,
    wallMs: 1000,
    deadlineMs: 1000,
    reply,
  });
  return outcomes;
}

function refusal(replica: TestReplica, config: ReplicaConfig, expectedVersion?: number): ConfigRefusal | undefined {
  const [outcome] = propose(replica, config, expectedVersion);
  return outcome?.ok === false ? outcome.refusal : undefined;
}

function ack(replica: TestReplica, brokerId: number, durableEnd = replica.state.logEnd): void {
  const { role } = replica.state;
  const epoch = role.kind === 'leader' ? role.epoch : 0;
  replica.feed({ kind: 'follower-ack', epoch, brokerId, nonce: `j${brokerId}`, durableEnd, fsynced: true });
}

/** Leads epoch 1 with its first record committed, and these followers level. */
function leader(config: ReplicaConfig, ...followers: number[]): TestReplica {
  const replica = new TestReplica(config);
  replica.elect(1);
  for (const brokerId of followers) replica.joinedBy(brokerId);
  return replica;
}

/** A follower that has stored this much of a leader's log, all of it durable, and hears of a high watermark. */
function followerOf(config: ReplicaConfig, changes: readonly ReplicaConfig[], highWatermark: bigint): TestReplica {
  const replica = new TestReplica(config);
  replica.feed({ kind: 'follow', epoch: 1, leaderId: 2 });
  replica.settleJournal();
  replica.feed({ kind: 'link-open', leaderId: 2, epoch: 1, nonce: 'j' });
  replica.feed({ kind: 'join-ack', nonce: 'j', epoch: 1, truncateTo: 0n, fromSnapshot: false, unclean: [] });
  const controls = [
    { kind: 'epoch-start', config, unclean: false } as const,
    ...changes.map((next) => ({ kind: 'config', config: next }) as const),
  ];
  const batches = controls.map((control, index): ReplicatedBatch => {
    const place = { baseOffset: BigInt(index), endOffset: BigInt(index + 1), leaderEpoch: 1, appendTimeMs: 1000n };
    return { batch: new Uint8Array(1), ...place, control, producer: undefined };
  });
  const more = { epoch: 1, nonce: 'j', previousEpoch: 0, logStart: 0n, inSync: false };
  replica.feed({ kind: 'replicate', ...more, baseOffset: 0n, batches, highWatermark });
  for (const batch of batches) replica.feed({ kind: 'log-stored', batch });
  replica.feed({ kind: 'synced', end: BigInt(batches.length) });
  return replica;
}

describe('a proposed replica set', () => {
  it('is refused by whoever does not lead, or leads without a committed beginning', () => {
    expect(refusal(new TestReplica(three), four)).toBe('not-leader');
    expect(refusal(leader(three), four)).toBe('epoch-not-committed');
  });

  it('follows the one in force, alone', () => {
    const replica = leader(three, 2, 4);
    expect(refusal(replica, four, 7)).toBe('stale-version');
    expect(refusal(replica, { ...four, version: 3 }, 1)).toBe('stale-version');
    expect(propose(replica, four)).toEqual([]);
    expect(refusal(replica, { ...three, version: 2 })).toBe('change-under-way');
  });

  it('is one that somebody can work with', () => {
    const replica = leader(three, 2, 4);
    expect(refusal(replica, { ...four, minInSyncReplicas: 5 })).toBe('unsound');
    expect(refusal(replica, { ...four, replicas: [...four.replicas, { ...other(4), replicaId: 'x' }] })).toBe(
      'unsound',
    );
    expect(refusal(replica, { ...four, flush: 'os' })).toBe('flush-changed');
  });

  it('adds or removes one member, never the leader', () => {
    const replica = leader(three, 2, 4);
    expect(refusal(replica, { ...four, replicas: [SELF, other(4)] })).toBe('too-many-members');
    expect(refusal(replica, { ...two, replicas: [other(2), other(3)] })).toBe('leader-removed');
  });

  it('adds a learner that holds all that is committed', () => {
    const replica = leader(three, 2);
    const stranger = { ...four, replicas: [...three.replicas, other(5)], learners: [] };
    expect(refusal(replica, stranger)).toBe('not-a-learner');
    expect(refusal(replica, four)).toBe('not-caught-up');
    replica.joinedBy(4);
    expect(propose(replica, four)).toEqual([]);
  });

  it('can commit something at the moment', () => {
    const replica = leader(three, 2);
    expect(refusal(replica, { ...three, version: 2, minInSyncReplicas: 3 })).toBe('not-enough-in-sync');
  });

  it('is refused when the log has no room, and can be asked for again', () => {
    const replica = leader(three, 2, 4);
    replica.logIsFull = true;
    expect(refusal(replica, four)).toBe('storage');
    replica.logIsFull = false;
    expect(propose(replica, four)).toEqual([]);
  });
});

describe('a change under way', () => {
  it('is committed by m of the old and m of the new set, and answered when the journal knows', () => {
    const replica = leader({ ...three, minInSyncReplicas: 1 }, 2, 3);
    const outcomes = propose(replica, { ...three, version: 2, minInSyncReplicas: 3 });
    replica.append();
    replica.sync();
    ack(replica, 2);
    expect(replica.state.highWatermark).toBe(1n);
    expect(currentConfig(replica.state).version).toBe(1);
    ack(replica, 3, 2n);
    expect(replica.state.highWatermark).toBe(2n);
    expect(currentConfig(replica.state).version).toBe(2);
    expect(outcomes).toEqual([]);
    replica.settleJournal();
    expect(outcomes).toMatchObject([{ ok: true, offset: 1n, config: { version: 2 } }]);
    ack(replica, 3);
    expect(replica.lastReasons).toEqual(['ok']);
  });

  it('asks the old set as long as it is not committed', () => {
    const replica = leader({ ...three, minInSyncReplicas: 3 }, 2, 3);
    propose(replica, { ...three, version: 2, minInSyncReplicas: 1 });
    replica.append();
    replica.sync();
    ack(replica, 2);
    expect(replica.state.highWatermark).toBe(1n);
    ack(replica, 3, 2n);
    expect(replica.state.highWatermark).toBe(3n);
  });

  it('counts a learner from the record on, in the new set alone', () => {
    const replica = leader(three, 2, 4);
    expect(replica.state.highWatermark).toBe(1n);
    replica.append();
    replica.sync();
    ack(replica, 4);
    expect(replica.state.highWatermark).toBe(1n);
    ack(replica, 2);
    propose(replica, four);
    replica.sync();
    ack(replica, 4);
    expect(currentConfig(replica.state).version).toBe(1);
    ack(replica, 2);
    expect(currentConfig(replica.state).version).toBe(2);
    replica.append();
    replica.sync();
    ack(replica, 4);
    expect(replica.lastReasons).toEqual(['ok', 'ok']);
  });

  it('is in doubt when its leader gives way, or its sender no longer waits', () => {
    const replica = leader(three, 2, 4);
    const late = propose(replica, four);
    replica.feed({ kind: 'expire', nowMs: 1000 });
    expect(late).toMatchObject([{ ok: false, refusal: 'outcome-unknown' }]);
    const given = leader(three, 2, 4);
    const outcomes = propose(given, four);
    given.feed({ kind: 'fenced', promisedEpoch: 9 });
    expect(outcomes).toMatchObject([{ ok: false, refusal: 'outcome-unknown', config: { version: 1 } }]);
  });

  it('is committed with the first record of the next leader, who holds it', () => {
    const replica = leader(three, 2, 4);
    propose(replica, two);
    replica.sync();
    replica.restart();
    replica.elect(2);
    expect(pendingConfig(replica.state)?.version).toBe(2);
    replica.joinedBy(2);
    expect(currentConfig(replica.state).version).toBe(2);
  });

  it('is over at once for a leader who is told that it is committed', () => {
    const replica = leader(three, 2, 3);
    propose(replica, two);
    replica.sync();
    replica.restart();
    replica.elect(2);
    const join = { epoch: 2, brokerId: 3, replicaId: 'r3', nonce: 'j3', history: [], logEnd: 0n, configFloor: 2 };
    const joined: boolean[] = [];
    replica.feed({ kind: 'join', ...join, reply: (outcome) => joined.push(outcome.joined) });
    expect([currentConfig(replica.state).version, joined]).toEqual([2, [false]]);
  });

  it('is committed when another one follows it, whatever is known of the high watermark', () => {
    const next: ReplicaConfig = { ...two, version: 3, minInSyncReplicas: 1 };
    const replica = followerOf(three, [two, next], 0n);
    expect([currentConfig(replica.state), pendingConfig(replica.state)]).toEqual([two, next]);
    expect(replica.state.configFloor).toBe(2);
  });

  it('goes with the end of the log, and the set before it is the newest again', () => {
    const replica = followerOf(three, [two], 1n);
    expect(pendingConfig(replica.state)?.version).toBe(2);
    replica.feed({ kind: 'link-lost', leaderId: 2 });
    replica.feed({ kind: 'link-open', leaderId: 2, epoch: 1, nonce: 'k' });
    replica.feed({ kind: 'join-ack', nonce: 'k', epoch: 1, truncateTo: 1n, fromSnapshot: false, unclean: [] });
    const { history, claim } = replica.state;
    const ends = { logStart: 0n, logEnd: 1n, dataEnd: 0n, lastAppendTimeMs: 1000n };
    const producers = { sessions: [], requests: new Uint8Array(0) };
    replica.feed({ kind: 'log-cut', facts: { ...ends, configs: [three], history, claim, producers } });
    expect([pendingConfig(replica.state), currentConfig(replica.state)]).toEqual([undefined, three]);
  });
});

describe('a replica that was removed', () => {
  const without: ReplicaConfig = { ...three, version: 2, replicas: [other(2), other(3)] };

  it('knows it when the change is committed, and not before', () => {
    expect(isRemoved(followerOf(three, [without], 1n).state)).toBe(false);
    const replica = followerOf(three, [without], 2n);
    expect(isRemoved(replica.state)).toBe(true);
    expect(replica.state.following).toBeUndefined();
  });

  it('votes for nobody, and tells what is committed', () => {
    const replica = followerOf(three, [without], 2n);
    replica.settleJournal();
    replica.promise(5, 'a');
    replica.settleJournal();
    expect(replica.promises).toMatchObject([{ granted: false, promisedEpoch: 1, configFloor: 2 }]);
    replica.lead(1, '');
    expect(replica.leads).toMatchObject([{ leading: false }]);
  });
});

it('leaves a learner in doubt about its damaged log, however few members there are to copy it from', () => {
  const single: ReplicaConfig = { ...configOf(3, 1), replicas: [other(2)], learners: [SELF] };
  const learner = new TestReplica(single);
  learner.feed({ kind: 'damaged' });
  learner.settleJournal();
  expect(learner.state.meta.suspect).toBe(true);
  const alone = new TestReplica(configOf(1, 1));
  alone.feed({ kind: 'damaged' });
  expect(alone.hasPersistUnderWay).toBe(false);
});
