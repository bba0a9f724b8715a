import { beforeEach, expect, it } from 'vitest';
import { ClusterState } from '../cluster-state.ts';
import type { ReplicaReport } from '../inventory.ts';
import { evenKeyRanges } from '../topics/key-ranges.ts';
import { ReplicaProgress } from './replica-progress.ts';
import { registerBroker } from '../session-commands.ts';

let state: ClusterState;
let progress: ReplicaProgress;

beforeEach(() => {
  state = new ClusterState();
  progress = new ReplicaProgress();
  const ranges = evenKeyRanges(1);
  const rest = { replicationFactor: 2, settings: {}, createTimeMs: 0, requestId: '' };
  const definition = { topicId: 't', name: 't', version: 1n, ranges, ...rest };
  state.apply({ type: 'topic_put', definition, name: 't', life: 'active' });
  const known = {
    type: 'leader_known',
    topicId: 't',
    partition: 0,
    inSync: [1],
    inSyncVersion: 0,
    live: true,
  } as const;
  state.apply({ ...known, epoch: 1, leader: 1 });
  for (const brokerId of [1, 2]) {
    const facts = { brokerId, directoryId: `${brokerId}`, incarnation: 1n, address: '', peerAddress: '', rack: '' };
    const nothing = { version: '', replicas: [], topics: [], tombstones: [], knownBrokerIds: [] };
    for (const record of registerBroker(state, { ...facts, ...nothing }, 0)) state.apply(record);
  }
});

function report(brokerId: number, end: number, nowMs: number): ReplicaReport {
  const told: ReplicaReport = {
    topicId: 't',
    partition: 0,
    replicaId: `r${brokerId}`,
    promisedEpoch: 1,
    lastEpoch: 1,
    logEndOffset: BigInt(end),
    highWatermark: 0n,
    logStartOffset: 0n,
    logBytes: 0n,
    suspect: false,
    leadingEpoch: brokerId === 1 ? 1 : 0,
    followingId: 0,
    configFloor: 0,
    config: undefined,
  };
  state.apply({ type: 'replicas_reported', brokerId, replicas: [told], complete: false });
  progress.note(state, brokerId, [told], nowMs);
  return told;
}

it('a follower that is level is not behind, however long nothing happens', () => {
  report(1, 10, 1000);
  const follower = report(2, 10, 1100);
  expect(progress.behindMs(2, follower, 60_000)).toBe(0);
});

it('a follower that stands still is behind since the leader went on', () => {
  report(1, 10, 1000);
  const follower = report(2, 10, 1100);
  report(1, 20, 5000);
  report(1, 30, 6000);
  expect(progress.behindMs(2, follower, 9000)).toBe(4000);
});

it('a follower under load is behind by a report, not for ever', () => {
  for (let at = 0; at < 10; at += 1) {
    report(1, 100 * (at + 1), 1000 * at);
    const follower = report(2, 100 * at + 50, 1000 * at + 500);
    if (at > 2) expect(progress.behindMs(2, follower, 1000 * at + 500)).toBeLessThanOrEqual(2000);
  }
});

it('a follower that was never level has no time, and a forgotten topic leaves none', () => {
  report(1, 10, 1000);
  const follower = report(2, 3, 1100);
  expect(progress.behindMs(2, follower, 9000)).toBeUndefined();
  report(2, 10, 2000);
  report(1, 20, 3000);
  progress.forget('t');
  expect(progress.behindMs(2, follower, 9000)).toBe(0);
});
