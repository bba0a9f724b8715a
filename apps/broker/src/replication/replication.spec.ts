/** Brokers that replicate to each other over real streams and disks; the coordinator's part is scripted. */
import { afterEach, describe, expect, it } from 'vitest';
import { Acks } from '@partita/protocol';
import { batchOf, entryFor, reasonOf } from '../testing/broker.fixture.ts';
import { ReplicaSet } from '../testing/replica-set.fixture.ts';

let set: ReplicaSet;
afterEach(() => set.stop());

async function appendSome(leaderId: number, count: number, label: string): Promise<bigint> {
  let end = 0n;
  for (let number = 0; number < count; number += 1) {
    const ack = await set.broker(leaderId).appendOk(entryFor(set.topic, batchOf(`${label} ${number}`)));
    expect(ack).toMatchObject({ fsynced: true, leaderEpoch: set.epoch });
    expect(ack.replicasAcked).toBeGreaterThanOrEqual(2);
    end = ack.baseOffset + 1n;
  }
  return end;
}

describe('a partition with three replicas', () => {
  it('acknowledges what two hold, and goes on with another leader without losing it', async () => {
    set = await ReplicaSet.start(3, 2);
    await set.elect([1, 2, 3]);
    const first = await appendSome(1, 20, 'first');
    await set.untilInSync(1, 2, 3);
    await set.untilEqual([1, 2, 3], first);
    await set.elect([2, 3]);
    const second = await appendSome(2, 20, 'second');
    await set.untilInSync(1, 2, 3);
    await set.untilEqual([1, 2, 3], second);
    const [result] = await set.broker(1).append(entryFor(set.topic, batchOf('late')));
    expect(reasonOf(result)).toBe('NOT_LEADER');
  });

  it('refuses appends that two cannot hold, and takes them again when a follower is back', async () => {
    set = await ReplicaSet.start(3, 2);
    await set.elect([1, 2, 3]);
    await appendSome(1, 1, 'a');
    await set.untilInSync(1, 2, 3);
    await set.broker(2).stop();
    await set.untilInSync(1, 3);
    await appendSome(1, 1, 'b');
    await set.broker(3).stop();
    await set.untilInSync(1);
    const [refused] = await set.broker(1).append(entryFor(set.topic, batchOf('c')));
    expect(reasonOf(refused)).toBe('NOT_ENOUGH_REPLICAS');
    await set.startBroker(2, set.broker(2).dir);
    await set.coordinator.until(() => true);
    const endMs = performance.now() + 8000;
    while (!set.inSyncIds.includes(2) && performance.now() < endMs) {
      set.tell(1);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const end = await appendSome(1, 1, 'd');
    await set.untilEqual([1, 2], end);
    await set.startBroker(3, set.broker(3).dir);
  });

  it('cuts off what was never committed', async () => {
    set = await ReplicaSet.start(3, 2);
    await set.elect([1, 2, 3]);
    const end = await appendSome(1, 3, 'kept');
    await set.untilInSync(1, 2, 3);
    // The others promise a higher epoch: what the old leader still writes is its own.
    await set.promise([2, 3], 2, Buffer.alloc(16, 7));
    const lonely = entryFor(set.topic, batchOf('lonely'), { acks: Acks.ACKS_LEADER });
    const [result] = await set.broker(1).append(lonely);
    expect(['ack', 'NOT_ENOUGH_REPLICAS', 'NOT_LEADER', 'OUTCOME_UNKNOWN']).toContain(reasonOf(result));
    set.epoch = 2;
    await set.elect([3, 2]);
    const next = await appendSome(3, 3, 'new');
    expect(next).toBe(end + 4n);
    await set.untilInSync(1, 2, 3);
    await set.untilEqual([1, 2, 3], next);
  });
});
