import { expect, it } from 'vitest';
import { setBrokerStatus } from '@partita/cluster';
import type { ClusterRecord, Reassignment } from '@partita/cluster';
import { configLearned, definition, NOW_MS, report, reported, sightOf, TOPIC_ID } from '../testing/sight.ts';
import type { Spoiled } from '../testing/sight.ts';
import { diagnose, lookedAtCount } from './diagnose.ts';
import type { ClusterSight } from './finding.ts';

async function found(now: ClusterSight, later = now) {
  return diagnose(now, () => Promise.resolve(later));
}

const at = { topicId: TOPIC_ID, partition: 0 } as const;
const lost: ClusterRecord = { type: 'leader_lost', ...at };
const down = (id: number): ClusterRecord[] => setBrokerStatus(sightOf().state, id, 'down', NOW_MS - 300_000);
const inSync = (ids: number[]): ClusterRecord => ({
  type: 'in_sync_changed',
  ...at,
  epoch: 5,
  inSync: ids,
  inSyncVersion: 2,
});
const roles = { drainingBrokerIds: new Set<number>(), leaderlessBrokerIds: new Set<number>() };
const other = { topicId: '0198c5a0-0000-7000-8000-000000000002' };
const put = (name: string, more: Parameters<typeof definition>[1], shown = name): ClusterRecord => ({
  type: 'topic_put',
  definition: definition(name, { ...other, ...more }),
  name: shown,
  life: 'active',
});
const reassignment: Reassignment = {
  reassignmentId: 'abc',
  version: 1,
  reason: 'operator',
  requestId: '',
  createTimeMs: NOW_MS,
  moves: [{ ...at, fromBrokerId: 1, toBrokerId: 4, outcome: 'open', errorReason: '' }],
};
const uneven = [0, 1, 2].map((partition) => configLearned(partition, [1, 2], 2));
const instance = (version: string): ClusterRecord => ({
  type: 'instance_put',
  instance: { instanceId: 'i', service: 'gateway', address: 'g:1', peerAddress: '', version, draining: false },
});

/** What is spoiled, and the findings that must come of it: `severity code subject`. */
const CASES: readonly (readonly [string, Spoiled, readonly string[]])[] = [
  ['a partition that elects', { records: [lost] }, ['error partition-electing t/0']],
  [
    'a partition whose replicas do not answer',
    { records: [...down(1), ...down(2), lost] },
    ['error partition-offline t/0', 'warning broker-down broker 1', 'warning broker-down broker 2'],
  ],
  [
    'a partition whose replicas are all suspect',
    { records: [...[1, 2, 3].map((id) => reported(id, report(0, id, { suspect: true }))), lost] },
    ['error partition-offline t/0', 'warning replica-suspect t/0'],
  ],
  ['too few in sync', { records: [inSync([1])] }, ['error partition-below-min-in-sync t/0']],
  ['one not in sync', { records: [inSync([1, 3])] }, ['warning partition-under-replicated t/0']],
  [
    'a broker that is away, before what lacks its replicas',
    { records: [...down(2), inSync([1, 3])] },
    ['warning broker-down broker 2', 'warning partition-under-replicated t/0'],
  ],
  [
    'fewer replicas than wanted',
    { records: [configLearned(0, [1, 2, 3].slice(0, 2), 2)] },
    ['warning partition-short-of-replicas t/0'],
  ],
  ['a lossy leader', { records: [{ type: 'partition_lossy', ...at, epoch: 5 }] }, ['warning partition-lossy t/0']],
  ['a suspect replica', { records: [reported(2, report(0, 2, { suspect: true }))] }, ['warning replica-suspect t/0']],
  ['a broker that is down', { records: down(3) }, ['warning broker-down broker 3']],
  [
    'a broker known by hearsay',
    { records: [{ type: 'broker_rumoured', brokerIds: [9] }] },
    ['note broker-down broker 9'],
  ],
  [
    'a broker that is emptied and has nowhere to go',
    { roles: { ...roles, drainingBrokerIds: new Set([2]) } },
    ['warning broker-drain-stuck broker 2', 'note broker-draining broker 2'],
  ],
  [
    'a broker that leads nothing',
    { roles: { ...roles, leaderlessBrokerIds: new Set([2]) } },
    ['note broker-leaderless broker 2'],
  ],
  [
    'a disk that fills',
    { records: [{ type: 'disk_reported', brokerId: 1, freeBytes: 40n }] },
    ['warning disk-filling broker 1'],
  ],
  [
    'a disk that is full',
    { records: [{ type: 'disk_reported', brokerId: 1, freeBytes: 4n }] },
    ['error disk-filling broker 1'],
  ],
  [
    'a clock that is off',
    {
      clockOffsetsMs: new Map([
        [1, 10],
        [2, -3_600_000],
        [3, 0],
      ]),
    },
    ['warning clock-apart broker 2'],
  ],
  ['another version', { records: [instance('1.1.0')] }, ['note versions-apart cluster']],
  [
    'one rack for all replicas',
    { records: [configLearned(0, [1, 2], 2)], racks: ['a', 'a', 'b'] },
    ['warning partition-in-one-rack t/0', 'warning partition-short-of-replicas t/0'],
  ],
  ['a topic with one replica', { records: [put('u', { replicationFactor: 1 })] }, ['note topic-one-replica u']],
  [
    'a topic that is sure too early',
    { records: [put('u', { settings: { minInSyncReplicas: 1 } })] },
    ['note topic-min-in-sync-one u'],
  ],
  ['a topic that is parked', { records: [put('t', {}, 't~conflict~2')] }, ['warning topic-parked t~conflict~2']],
  [
    'counts that differ while nobody evens them',
    { records: uneven, autoBalance: false },
    ['warning replicas-uneven cluster'],
  ],
  [
    'a move that does not come on',
    { stalled: [{ reassignment, forMs: 300_000 }] },
    ['warning reassignment-stalled reassignment abc'],
  ],
  ['a metadata store that is down', { storeState: 'down' }, ['error metadata-store-down metadata store']],
  ['a metadata store that lost writes', { storeState: 'suspect' }, ['warning metadata-store-suspect metadata store']],
  ['a metadata store in memory', { storeState: 'embedded' }, ['note metadata-store-embedded metadata store']],
  [
    'a leader that says that it leads another epoch',
    { records: [reported(1, report(0, 1, { leadingEpoch: 4 }))] },
    ['warning directory-differs t/0'],
  ],
  [
    'a store without the partitions',
    { stored: [] },
    ['warning directory-differs t/0', 'warning directory-differs t/1', 'warning directory-differs t/2'],
  ],
];

it('finds nothing wrong with a healthy cluster', async () => {
  const sight = sightOf();
  expect(await found(sight)).toEqual([]);
  expect(lookedAtCount(sight)).toBe(1 + 3 + 3 + 1);
});

it.each(CASES)('finds %s', async (_what, spoiled, expected) => {
  const findings = await found(sightOf(spoiled));
  const ours = findings.filter(({ code }) => expected.some((text) => text.includes(` ${code} `)));
  expect(ours.map(({ severity, code, subject }) => `${severity} ${code} ${subject}`).sort()).toEqual(
    [...expected].sort(),
  );
  expect(ours.every(({ message }) => message !== '' && !message.endsWith('.'))).toBe(true);
});

it('tells the worst first', async () => {
  const findings = await found(sightOf({ records: [...down(3), lost, instance('1.1.0')], storeState: 'embedded' }));
  const order = ['error', 'warning', 'note'];
  const severities = findings.map(({ severity }) => order.indexOf(severity));
  expect(severities).toEqual([...severities].sort());
});

it('does not tell what has passed a moment later', async () => {
  const now = sightOf({ records: [reported(1, report(0, 1, { leadingEpoch: 4 }))] });
  expect(await found(now, sightOf())).toEqual([]);
});

it('leaves counts that differ to the cluster while it balances itself', async () => {
  const findings = await found(sightOf({ records: uneven }));
  expect(findings.filter(({ code }) => code.endsWith('uneven'))).toEqual([]);
});
