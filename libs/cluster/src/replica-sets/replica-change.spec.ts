import { beforeEach, describe, expect, it } from 'vitest';
import { ClusterState } from '../cluster-state.ts';
import type { ReplicaConfig, ReplicaReport } from '../inventory.ts';
import { evenKeyRanges } from '../topics/key-ranges.ts';
import type { ClusterRecord } from '../records.ts';
import { planReplicaChange } from './replica-change.ts';
import type { ReplicaStep, WantedReplicas } from './replica-change.ts';
import { registerBroker, setBrokerStatus } from '../session-commands.ts';

const TOPIC = 't';
let state: ClusterState;
let fresh: number;

function apply(records: readonly ClusterRecord[]): void {
  for (const record of records) state.apply(record);
}

function register(brokerId: number, directoryId = `dir ${brokerId}`, incarnation = 1n): void {
  const facts = { brokerId, directoryId, incarnation, address: '', peerAddress: '', rack: '' };
  const rest = { version: '', replicas: [], topics: [], tombstones: [], knownBrokerIds: [] };
  apply(registerBroker(state, { ...facts, ...rest }, 0));
}

function report(brokerId: number, replicaId: string, more: Partial<ReplicaReport> = {}): void {
  const told: ReplicaReport = {
    topicId: TOPIC,
    partition: 0,
    replicaId,
    promisedEpoch: 5,
    lastEpoch: 5,
    logEndOffset: 10n,
    highWatermark: 10n,
    logStartOffset: 0n,
    logBytes: 0n,
    suspect: false,
    leadingEpoch: 0,
    followingId: 1,
    configFloor: 1,
    config: undefined,
    ...more,
  };
  apply([{ type: 'replicas_reported', brokerId, replicas: [told], complete: true }]);
}

function config(): ReplicaConfig {
  return state.partition(TOPIC, 0)!.config!;
}

function lead(leader: number): void {
  const known = { topicId: TOPIC, partition: 0, epoch: 1 + state.partition(TOPIC, 0)!.epoch };
  apply([{ type: 'leader_known', ...known, leader, inSync: [], inSyncVersion: 0, live: true }]);
}

function step(brokerIds: number[], minInSyncReplicas = 2): ReplicaStep {
  const wanted: WantedReplicas = { brokerIds, minInSyncReplicas };
  return planReplicaChange(state, TOPIC, 0, wanted, () => `fresh ${(fresh += 1)}`);
}

/** Does what the plan says until nothing is left, as brokers and leaders would; the kinds of steps, in their order. */
function carryOut(brokerIds: number[], minInSyncReplicas = 2): string[] {
  const kinds: string[] = [];
  for (let count = 0; count < 30; count += 1) {
    const next = step(brokerIds, minInSyncReplicas);
    kinds.push(next.kind);
    switch (next.kind) {
      case 'done':
        return kinds;
      case 'propose': {
        const before = config();
        const ids = ({ replicas }: ReplicaConfig) => replicas.map(({ replicaId }) => replicaId);
        const changed = [...ids(before), ...ids(next.config)].filter(
          (id) => !ids(before).includes(id) || !ids(next.config).includes(id),
        );
        expect(changed.length).toBeLessThanOrEqual(1);
        expect(next.config.minInSyncReplicas).toBeLessThanOrEqual(next.config.replicas.length);
        apply([{ type: 'config_learned', topicId: TOPIC, partition: 0, config: next.config }]);
        break;
      }
      case 'make':
        report(next.replica.brokerId, next.replica.replicaId);
        break;
      case 'delete':
        apply([{ type: 'replicas_reported', brokerId: next.brokerId, replicas: [], complete: true }]);
        break;
      case 'move-leader':
        lead(next.brokerIds[0]!);
        for (const { brokerId, replicaId } of config().replicas)
          report(brokerId, replicaId, { followingId: next.brokerIds[0]! });
        break;
      case 'wait':
        throw new Error(next.why);
    }
  }
  throw new Error(`no end: ${kinds.join(' ')}`);
}

function members(): number[] {
  return config().replicas.map(({ brokerId }) => brokerId);
}

/** Brokers 1 to 5; 1 to 3 hold the partition, 1 leads it. */
beforeEach(() => {
  state = new ClusterState();
  fresh = 0;
  const ranges = evenKeyRanges(1);
  const definition = { topicId: TOPIC, name: 'orders', version: 1n, ranges, replicationFactor: 3, settings: {} };
  apply([
    {
      type: 'topic_put',
      definition: { ...definition, createTimeMs: 1, requestId: '' },
      name: 'orders',
      life: 'active',
    },
  ]);
  const replicas = [1, 2, 3].map((brokerId) => ({
    brokerId,
    directoryId: `dir ${brokerId}`,
    replicaId: `r${brokerId}`,
  }));
  const first = { configVersion: 1, replicas, learners: [], minInSyncReplicas: 2, flush: 'fsync' } as const;
  apply([{ type: 'config_learned', topicId: TOPIC, partition: 0, config: first }]);
  for (const id of [1, 2, 3, 4, 5]) register(id);
  for (const id of [1, 2, 3]) report(id, `r${id}`);
  lead(1);
});

describe('a change of the replica set', () => {
  it('is done when it is as wanted', () => {
    expect(carryOut([1, 2, 3])).toEqual(['done']);
  });

  it('replaces a broker: adds, makes, promotes, removes and deletes, in this order', () => {
    expect(carryOut([1, 2, 4])).toEqual(['propose', 'make', 'propose', 'propose', 'delete', 'done']);
    expect(members()).toEqual([1, 2, 4]);
  });

  it('promotes nobody who has not caught up with this leader', () => {
    apply([
      {
        type: 'config_learned',
        topicId: TOPIC,
        partition: 0,
        config: (step([1, 2, 3, 4]) as { config: ReplicaConfig }).config,
      },
    ]);
    report(4, 'fresh 1', { logEndOffset: 9n });
    expect(step([1, 2, 3, 4])).toMatchObject({ kind: 'wait' });
    report(4, 'fresh 1', { followingId: 2 });
    expect(step([1, 2, 3, 4])).toMatchObject({ kind: 'wait' });
    report(4, 'fresh 1');
    expect(step([1, 2, 3, 4])).toMatchObject({ kind: 'propose', config: { learners: [] } });
  });

  it('moves the leader before it removes its replica', () => {
    const kinds = carryOut([2, 3, 4]);
    expect(kinds.indexOf('move-leader')).toBeGreaterThan(kinds.lastIndexOf('make'));
    expect(members()).toEqual([2, 3, 4]);
  });

  it('moves the whole partition, and never has fewer members than before', () => {
    carryOut([4, 5]);
    expect([members(), config().minInSyncReplicas]).toEqual([[4, 5], 2]);
  });

  it('raises and lowers the factor, and m with it', () => {
    carryOut([1, 2, 3, 4, 5], 3);
    expect([members(), config().minInSyncReplicas]).toEqual([[1, 2, 3, 4, 5], 3]);
    carryOut([1], 1);
    expect([members(), config().minInSyncReplicas]).toEqual([[1], 1]);
  });

  it('replaces a replica whose disk was wiped by another on the same broker', () => {
    register(3, 'another dir', 2n);
    expect(step([1, 2, 3])).toMatchObject({
      kind: 'propose',
      config: { replicas: [{ brokerId: 1 }, { brokerId: 2 }] },
    });
    carryOut([1, 2, 3]);
    expect(config().replicas[2]).toEqual({ brokerId: 3, directoryId: 'another dir', replicaId: 'fresh 1' });
  });

  it('waits for a leader, and for a broker that is down', () => {
    apply(setBrokerStatus(state, 4, 'down', 0));
    expect(step([1, 2, 4])).toMatchObject({ kind: 'wait', why: 'broker 4 is not up' });
    apply([{ type: 'leader_lost', topicId: TOPIC, partition: 0 }]);
    expect(step([1, 2, 3])).toMatchObject({ kind: 'wait', why: 'it has no leader' });
  });

  it('deletes nothing that a newer set may hold', () => {
    report(4, 'r4', { configFloor: 2 });
    expect(step([1, 2, 3])).toEqual({ kind: 'done' });
    report(4, 'r4');
    expect(step([1, 2, 3])).toEqual({ kind: 'delete', brokerId: 4, replicaId: 'r4', configVersion: 1 });
  });
});
