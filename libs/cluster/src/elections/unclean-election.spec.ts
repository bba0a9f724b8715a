import { describe, expect, it } from 'vitest';
import type { ElectionPlan, PromiseReply } from './leader-election.ts';
import type { ReplicaConfig, ReplicaIdentity } from '../inventory.ts';
import { forceLeader, recoverBestLog } from './unclean-election.ts';

function replica(brokerId: number): ReplicaIdentity {
  return { brokerId, directoryId: `dir ${brokerId}`, replicaId: `replica ${brokerId}` };
}

const replicas = [1, 2, 3].map(replica);
const config: ReplicaConfig = { configVersion: 1, replicas, learners: [], minInSyncReplicas: 2, flush: 'os' };
const at = { topicId: 't', partition: 0, epoch: 5 };
const plan: ElectionPlan = { ...at, replicas, config, inSync: [], wanted: 0, leaving: [] };

function reply(brokerId: number, more: Partial<PromiseReply> = {}): PromiseReply {
  return {
    replica: replica(brokerId),
    granted: true,
    promisedEpoch: 5,
    lastEpoch: 4,
    logEndOffset: 10n,
    suspect: true,
    configs: [],
    configFloor: 0,
    ...more,
  };
}

describe('forcing a leader', () => {
  it('takes the one named, whatever it holds, by its promise alone', () => {
    const outcome = forceLeader(3)(plan, [
      reply(1, { logEndOffset: 99n }),
      reply(3, { lastEpoch: 1, logEndOffset: 2n }),
    ]);
    expect(outcome).toMatchObject({
      kind: 'elected',
      leader: replica(3),
      lastEpoch: 1,
      logEndOffset: 2n,
      unclean: true,
    });
    expect(forceLeader(3)(plan, [reply(3)])).toMatchObject({ kind: 'elected', unclean: true });
  });

  it.each([
    ['it is silent', [reply(1), reply(2)]],
    ['it refuses', [reply(3, { granted: false, promisedEpoch: 9 })]],
    ['another has promised a higher epoch', [reply(3), reply(1, { granted: false, promisedEpoch: 9 })]],
  ])('fails when %s', (_, replies) => {
    expect(forceLeader(3)(plan, replies)).toMatchObject({ kind: 'failed' });
  });
});

describe('recovering the best log', () => {
  it('takes the newest epoch, then the longest log, of all replicas', () => {
    const replies = [reply(1, { logEndOffset: 99n }), reply(2, { lastEpoch: 5, logEndOffset: 3n }), reply(3)];
    expect(recoverBestLog(plan, replies)).toMatchObject({ kind: 'elected', leader: replica(2), unclean: true });
  });

  it('needs every replica, and is clean when those that are not suspect suffice', () => {
    expect(recoverBestLog(plan, [reply(1), reply(2)])).toMatchObject({
      kind: 'failed',
      why: '2 of all 3 replicas gave a promise',
    });
    const clean = [
      reply(1, { suspect: false }),
      reply(2, { suspect: false, logEndOffset: 11n }),
      reply(3, { logEndOffset: 99n }),
    ];
    expect(recoverBestLog(plan, clean)).toMatchObject({ leader: replica(2), unclean: false });
  });
});
