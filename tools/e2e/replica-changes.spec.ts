/**
 * Replica sets change under a checked history: replicas move away and back, factors grow and shrink, a broker loses its
 * directory, processes die in the middle. Nothing acknowledged is lost, doubled or reordered, and afterwards all replicas are
 * byte-equal below the high watermark.
 */
import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ClusterServiceService, ReassignmentState, ReplicaMove, UpdateClusterSettingsRequest } from '@partita/protocol';
import type { Partition } from '@partita/protocol';
import { callUnary } from '@partita/rpc/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api } from './api.ts';
import { figure } from './figures.ts';
import { startCluster } from './harness.ts';
import type { Cluster } from './harness.ts';
import { killNow } from './processes.ts';
import { activeCoordinator, ReplicatedTopic } from './replicated.ts';
import { redisBinary } from './redis-binary.ts';
import { LONG } from './root.ts';
import { until } from './until.ts';

const AREA = 'replica-changes';
const ROUND_COUNT = LONG ? 6 : 1;
const hasRedis = typeof (await redisBinary()) !== 'string';
let cluster: Cluster;
let api: Api;

beforeAll(async () => {
  cluster = await startCluster({ brokers: 4, args: hasRedis && LONG ? ['--coordinators', '2'] : [] });
  api = new Api(cluster);
  // What moves is what these tests ask for.
  const request = UpdateClusterSettingsRequest.fromPartial({ autoBalance: false });
  await asked('the balancer to be off', (client) =>
    callUnary(client, ClusterServiceService.updateClusterSettings, request),
  );
});
afterAll(async () => {
  api.close();
  await cluster.dispose();
});

interface Move {
  readonly partition: number;
  readonly from: number;
  readonly to: number;
}

/** Any coordinator passes the call on to the active one; one that was just killed is asked again. */
function asked<Result>(what: string, call: (client: ReturnType<Api['pool']['client']>) => Promise<Result>) {
  let turn = 0;
  return until(what, 40, () => {
    const { coordinators } = cluster.file;
    turn += 1;
    return call(api.pool.client(coordinators[turn % coordinators.length] ?? ''));
  });
}

async function begin(topic: string, moves: readonly Move[]): Promise<string> {
  const requestId = crypto.randomUUID();
  const messages = moves.map(({ partition, from, to }) =>
    ReplicaMove.fromPartial({ partition: { topic, partition }, fromBrokerId: from, toBrokerId: to }),
  );
  const request = { moves: messages, validateOnly: false, requestId };
  const { reassignment } = await asked('the moves to begin', (client) =>
    callUnary(client, ClusterServiceService.createReassignment, request),
  );
  return reassignment?.reassignmentId ?? '';
}

async function ended(reassignmentId: string): Promise<void> {
  await asked(`the end of reassignment ${reassignmentId}`, async (client) => {
    const { reassignment } = await callUnary(client, ClusterServiceService.getReassignment, { reassignmentId });
    if (reassignment?.state === ReassignmentState.REASSIGNMENT_STATE_SUCCEEDED) return true;
    throw new Error(`it is in state ${reassignment?.state}`);
  });
}

function membersOf({ replicas }: Partition): number[] {
  return replicas.map(({ brokerId }) => brokerId);
}

/** A broker without a replica of the partition. */
function strangerTo(partition: Partition): number {
  const ids = cluster.file.brokers.map(({ id }) => id).filter((id) => !membersOf(partition).includes(id));
  return ids[0] ?? 0;
}

function broker(id: number) {
  const found = cluster.file.brokers.find((candidate) => candidate.id === id);
  if (found === undefined) throw new Error(`there is no broker ${id}`);
  return found;
}

async function wiped(id: number): Promise<void> {
  const { pid, dataDir } = broker(id);
  process.kill(pid, 'SIGSTOP');
  rmSync(dataDir, { recursive: true, force: true });
  killNow([pid]);
  await until(`broker ${id} to be back`, 60, () => broker(id).pid !== pid);
}

async function topicWith(name: string, replicationFactor: number, partitionCount = 3): Promise<ReplicatedTopic> {
  const topic = new ReplicatedTopic(() => cluster, AREA, name, partitionCount);
  await topic.create(replicationFactor);
  return topic;
}

/** A follower of each partition moves to the broker that has none of it, and back; then the leader does. */
async function awayAndBack(topic: ReplicatedTopic): Promise<void> {
  const { partitions } = await topic.describe();
  const followers = partitions.map((partition) => {
    const from = membersOf(partition).find((id) => id !== partition.leaderId) ?? 0;
    return { partition: partition.partition, from, to: strangerTo(partition) };
  });
  const beganMs = performance.now();
  await ended(await begin(topic.name, followers));
  await ended(
    await begin(
      topic.name,
      followers.map(({ partition, from, to }) => ({ partition, from: to, to: from })),
    ),
  );
  figure(AREA, 'seconds to move a replica of each of 3 partitions away and back', (performance.now() - beganMs) / 1000);
  const [first] = (await topic.describe()).partitions;
  if (first === undefined) throw new Error('the topic has no partition');
  await ended(await begin(topic.name, [{ partition: 0, from: first.leaderId, to: strangerTo(first) }]));
  expect(membersOf((await topic.describe()).partitions[0] ?? first)).not.toContain(first.leaderId);
}

describe('under a checked history, nothing is lost while', () => {
  it('a topic gets more and fewer replicas, and these move away and back', async () => {
    const topic = await topicWith('moving', 1);
    await topic.workDuring('factor and moves', async () => {
      for (let round = 0; round < ROUND_COUNT; round += 1) {
        await topic.update({ settings: {}, replicationFactor: 3 });
        await topic.untilWhole(3);
        await awayAndBack(topic);
        await topic.update({ settings: { minInSyncReplicas: 1 }, replicationFactor: 2 });
        await topic.untilWhole(2);
        await topic.update({ settings: { minInSyncReplicas: undefined }, replicationFactor: 3 });
        await topic.untilWhole(3);
      }
    });
  });

  it('the directory of a broker is wiped, and all replicas come back whole', async () => {
    const topic = await topicWith('wiped', 3);
    await topic.workDuring('directory wiped', async () => {
      for (let round = 0; round < ROUND_COUNT; round += 1) {
        const before = (await topic.describe()).partitions;
        const victim = await topic.busiestLeader();
        const old = before.flatMap(({ replicas }) => replicas).find(({ brokerId }) => brokerId === victim);
        const beganMs = performance.now();
        await wiped(victim);
        await until('the lost replicas to leave', 60, async () => {
          const { partitions } = await topic.describe();
          return partitions.every(({ replicas }) =>
            replicas.every(({ directoryId }) => directoryId !== old?.directoryId),
          );
        });
        await topic.untilWhole(3);
        figure(
          AREA,
          'seconds until 3 partitions are whole after a directory was wiped',
          (performance.now() - beganMs) / 1000,
        );
      }
    });
  });

  it.runIf(LONG)('leaders are killed in the middle of moves', async () => {
    const topic = await topicWith('killed-leaders', 3, 6);
    await topic.workDuring('leader killed in a move', async () => {
      for (let round = 0; round < ROUND_COUNT; round += 1) {
        const { partitions } = await topic.describe();
        const moves = partitions.map((partition) => {
          const from = membersOf(partition)[round % 3] ?? 0;
          return { partition: partition.partition, from, to: strangerTo(partition) };
        });
        const reassignmentId = await begin(topic.name, moves);
        await sleep(200 * round);
        const { pid, id } = broker(await topic.busiestLeader());
        killNow([pid]);
        await until('the broker to be back', 60, () => broker(id).pid !== pid);
        await ended(reassignmentId);
        await topic.untilWhole(3);
      }
    });
  });

  it.runIf(LONG && hasRedis)('active coordinators are killed in the middle of moves', async () => {
    const topic = await topicWith('killed-coordinators', 3, 6);
    await topic.workDuring('coordinator killed in a move', async () => {
      for (let round = 0; round < ROUND_COUNT; round += 1) {
        const { partitions } = await topic.describe();
        const moves = partitions.map((partition) => {
          const from = membersOf(partition)[round % 3] ?? 0;
          return { partition: partition.partition, from, to: strangerTo(partition) };
        });
        const reassignmentId = await begin(topic.name, moves);
        await sleep(200 * round);
        const address = await activeCoordinator(api, cluster);
        const pid = cluster.file.pids.coordinator[cluster.file.coordinators.indexOf(address)] ?? 0;
        killNow([pid]);
        await until('the coordinator to be back', 60, () => !cluster.file.pids.coordinator.includes(pid));
        await ended(reassignmentId);
        await topic.untilWhole(3);
      }
    });
  });
});
