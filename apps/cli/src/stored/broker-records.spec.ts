/** What a broker writes for itself, as `log dump` shows it. */
import { expect, it } from 'vitest';
import { BATCH_CLAIM, BATCH_CONFIG, BATCH_DATA } from '@partita/batch';
import { ClaimRecord, ClusterSettings, FlushMode, KeptFloor, ReplicaConfigRecord } from '@partita/protocol';
import { describeControl } from './batch-text.ts';
import { brokerFileLines } from './broker-file-lines.ts';
import { checkReplicas } from './replica-check.ts';

const TOPIC_ID = '0190a000-0000-7000-8000-00000000aaaa';

it('shows the replica sets and claims of control batches, and nothing of data', () => {
  const replica = (brokerId: number) => ({ brokerId, directoryId: `d${brokerId}`, replicaId: `r${brokerId}` });
  const config = {
    configVersion: 4,
    replicas: [replica(1), replica(2)],
    learners: [replica(3)],
    minInSyncReplicas: 2,
    flush: FlushMode.FLUSH_MODE_FSYNC,
  };
  expect(describeControl(BATCH_CONFIG, ReplicaConfigRecord.encode(config).finish())).toEqual(config);
  const claim = { claimEpoch: 3, instanceId: 'i' };
  expect(describeControl(BATCH_CLAIM, ClaimRecord.encode(claim).finish())).toEqual(claim);
  expect(describeControl(BATCH_DATA, Buffer.from('anything'))).toBeUndefined();
});

it('shows what the journal keeps of deleted replicas and of the cluster, and finds nothing wrong with that', () => {
  const floor = { configFloor: 4, promisedEpoch: 7, replicaId: 'r3', deleteTimeMs: 5n };
  const settings = ClusterSettings.fromPartial({ version: 2n, autoBalance: false, moveBytesPerSecond: 1_000_000n });
  const state = new Map([
    [`floor/${TOPIC_ID}/3`, KeptFloor.encode(floor).finish()],
    ['cluster-settings', ClusterSettings.encode(settings).finish()],
  ]);
  const journal = { number: 0 as const, generation: 1n, entryCount: 1, state };
  const lines = brokerFileLines({
    identity: undefined,
    holderPid: undefined,
    cleanShutdown: undefined,
    checkpoint: undefined,
    journal,
  });
  const values = lines.map(({ content }) => content).filter((content) => 'key' in content);
  expect(values).toMatchObject([
    { key: `floor/${TOPIC_ID}/3`, value: floor },
    { key: 'cluster-settings', value: { version: 2n, autoBalance: false, moveBytesPerSecond: 1_000_000n } },
  ]);
  const nothing = { directories: new Set<string>(), topics: new Map(), knownSynced: new Map() };
  expect(checkReplicas({ journal: state, ...nothing })).toEqual([]);
  const left = checkReplicas({ journal: state, ...nothing, directories: new Set([`${TOPIC_ID}/3`, `${TOPIC_ID}/4`]) });
  expect(left.map(({ check, message }) => [check, message])).toEqual([
    ['leftover', 'the replica is deleted; the next start removes the rest'],
    ['leftover', 'the journal knows no such replica, so the broker does not open it'],
  ]);
});
