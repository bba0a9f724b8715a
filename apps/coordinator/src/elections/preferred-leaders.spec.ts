import { PREFERRED_LEADER_WAIT_MS } from '@partita/domain';
import type { ClusterRecord } from '@partita/cluster';
import { expect, it } from 'vitest';
import { ClusterModel } from '../cluster-model.ts';
import type { LeaderMove } from './leader-moves.ts';
import { PreferredLeaders } from './preferred-leaders.ts';

const IDS = [1, 2, 3];

/** A topic whose partitions prefer brokers 1, 2, 3 in turn, all led by broker 2, all in sync. */
class World {
  readonly model = new ClusterModel();
  readonly moved: LeaderMove[] = [];
  isOn = true;
  nowMs = 0;
  fails = false;
  readonly #preferred = new PreferredLeaders({
    model: this.model,
    lease: { mayOrder: () => true },
    clock: { wallMs: () => 0, monotonicMs: () => this.nowMs },
    isOn: () => this.isOn,
    mayLead: (brokerId) => brokerId !== this.emptied,
    moves: { moveAll: (moves) => this.#moveAll(moves) },
  });
  emptied = 0;

  constructor(partitionCount: number) {
    for (const id of IDS) this.put(id, 'up');
    const ranges = Array.from({ length: partitionCount }, (_, at) => ({ hashMin: at, hashMax: at }));
    const definition = { topicId: 't', name: 't', version: 1n, ranges, replicationFactor: 3 };
    const topic = { ...definition, settings: {}, createTimeMs: 0, requestId: '' };
    this.model.apply([{ type: 'topic_put', name: 't', life: 'active', definition: topic }]);
    for (let partition = 0; partition < partitionCount; partition += 1) {
      const order = IDS.map((_, at) => IDS[(partition + at) % IDS.length] ?? 0);
      const replicas = order.map((brokerId) => ({ brokerId, directoryId: `d${brokerId}`, replicaId: `r${brokerId}` }));
      const config = { configVersion: 1, replicas, learners: [], minInSyncReplicas: 2, flush: 'fsync' as const };
      const led = { epoch: 1, leader: 2, inSync: IDS, inSyncVersion: 1, live: true };
      this.model.apply([
        { type: 'config_learned', topicId: 't', partition, config },
        { type: 'leader_known', topicId: 't', partition, ...led },
      ] satisfies ClusterRecord[]);
    }
  }

  put(brokerId: number, status: 'up' | 'draining' | 'down'): void {
    const facts = { brokerId, directoryId: `d${brokerId}`, incarnation: 1n, address: '', peerAddress: '', rack: '' };
    this.model.apply([{ type: 'broker_put', broker: { ...facts, version: '', status, sinceMs: 0 } }]);
  }

  async runAt(nowMs: number): Promise<void> {
    this.nowMs = nowMs;
    this.#preferred.run();
    await new Promise((resolve) => setImmediate(resolve));
  }

  #moveAll(moves: readonly LeaderMove[]): Promise<ReadonlyMap<LeaderMove, string>> {
    this.moved.push(...moves);
    return Promise.resolve(new Map(this.fails ? moves.map((move) => [move, 'as the test wants it']) : []));
  }
}

it('gives partitions back to brokers that have been there for a while, and to those only', async () => {
  const world = new World(6);
  await world.runAt(0);
  await world.runAt(PREFERRED_LEADER_WAIT_MS - 1);
  expect(world.moved).toEqual([]);
  await world.runAt(PREFERRED_LEADER_WAIT_MS);
  expect(world.moved.map(({ partition, candidateBrokerIds }) => [partition, ...candidateBrokerIds])).toEqual([
    [0, 1],
    [2, 3],
    [3, 1],
    [5, 3],
  ]);
});

it('waits anew for one that was away or is about to stop, and for one that is being emptied for ever', async () => {
  const world = new World(3);
  world.emptied = 3;
  await world.runAt(0);
  world.put(1, 'draining');
  await world.runAt(PREFERRED_LEADER_WAIT_MS);
  world.put(1, 'up');
  await world.runAt(PREFERRED_LEADER_WAIT_MS + 1);
  expect(world.moved).toEqual([]);
  await world.runAt(2 * PREFERRED_LEADER_WAIT_MS + 1);
  expect(world.moved.map(({ partition }) => partition)).toEqual([0]);
});

it('moves nothing while the cluster is not to balance itself', async () => {
  const world = new World(3);
  world.isOn = false;
  await world.runAt(0);
  await world.runAt(PREFERRED_LEADER_WAIT_MS);
  world.isOn = true;
  await world.runAt(PREFERRED_LEADER_WAIT_MS + 1);
  expect(world.moved).toEqual([]);
});

it('moves a few at a time, and waits after a move that failed', async () => {
  const world = new World(60);
  world.fails = true;
  await world.runAt(0);
  await world.runAt(PREFERRED_LEADER_WAIT_MS);
  expect(world.moved).toHaveLength(16);
  await world.runAt(PREFERRED_LEADER_WAIT_MS + 1);
  const distinct = new Set(world.moved.map(({ partition }) => partition));
  expect(distinct.size).toBe(32);
});
