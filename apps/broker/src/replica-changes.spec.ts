/** Replica sets that change, on real brokers in this process; the coordinator's part is scripted. */
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { PartitaError } from '@partita/domain';
import { createNodeDisk, openJournal } from '@partita/log';
import { ReplicaServiceService } from '@partita/protocol';
import { fromRpcStatus } from '@partita/rpc';
import { callUnary } from '@partita/rpc/client';
import { batchOf, CLUSTER_ID } from './testing/broker.fixture.ts';
import { appendInTime, Appending, ReplicaChange } from './testing/replica-change.fixture.ts';
import { ReplicaSet, TOPIC_ID } from './testing/replica-set.fixture.ts';

/** Limits of what has to happen sooner or later, milliseconds: others use the machine, too. */
const SOON = { timeout: 10_000 };
vi.setConfig({ testTimeout: 60_000 });

let set: ReplicaSet;
afterEach(() => set.stop());

/** Brokers, the first of which hold a replica each; the first leads. */
async function start(memberCount: number, brokerCount: number, minInSync: number): Promise<ReplicaChange> {
  set = await ReplicaSet.start(memberCount, minInSync);
  for (let id = memberCount + 1; id <= brokerCount; id += 1) await set.startBroker(id);
  await set.elect(Array.from({ length: memberCount }, (_, index) => index + 1));
  return new ReplicaChange(set);
}

async function restart(id: number, dir = set.broker(id).dir): Promise<void> {
  await set.broker(id).stop();
  await set.startBroker(id, dir);
}

/** The reason and metadata of what a call is refused with. */
async function refusal(call: Promise<unknown>): Promise<PartitaError> {
  const outcome: unknown = await call.then(
    () => new Error('it was not refused'),
    (error: unknown) => error,
  );
  if (outcome instanceof PartitaError) return outcome;
  throw outcome;
}

async function filesOf(id: number): Promise<string[]> {
  return readdir(join(set.broker(id).dir, TOPIC_ID)).catch(() => []);
}

describe('a replica that moves to another broker', () => {
  it('is learned, promoted and removed while appends go on, and the next leader is one of the new set', async () => {
    const change = await start(3, 4, 2);
    const appending = new Appending(set, 1);
    const [first, second, third] = set.replicas;
    const learner = await change.freshReplica(4);
    await change.change(1, { learners: [learner] });
    await change.make(learner);
    await change.make(learner);
    set.tell(1);
    await change.change(1, { replicas: [...change.config.replicas, learner], learners: [] });
    const offset = await change.change(1, { replicas: [first!, second!, learner] });
    expect((await change.propose(1, change.config)).offset).toBe(offset);
    await change.delete(third!);
    await change.delete(third!);
    expect(await filesOf(3)).toEqual([]);
    expect(await change.ask(third!, 9)).toMatchObject({
      granted: false,
      configFloor: 4,
      promisedEpoch: 1,
      error: undefined,
    });
    appending.refusals.delete('NOT_ENOUGH_REPLICAS');
    expect([...appending.refusals]).toEqual([]);
    await set.elect([4, 2]);
    appending.leaderId = 4;
    const before = appending.acknowledged;
    await expect.poll(() => appending.acknowledged, SOON).toBeGreaterThan(before + 3);
    await appending.stop();
    await set.untilEqual([1, 2, 4], appending.end);
  });

  it('comes back as another replica, under what was kept of the first', async () => {
    const change = await start(3, 3, 2);
    const [first, second, third] = set.replicas;
    const { config: initial } = change;
    await change.change(1, { replicas: [first!, second!] });
    await change.delete(third!);
    await restart(3);
    set.tell(1);
    const late = await refusal(change.make(third!, initial, 0));
    expect(late.reason).toBe('FENCED_EPOCH');
    expect(await change.ask(third!, 9)).toMatchObject({ granted: false, configFloor: 2, promisedEpoch: 1 });
    const again = await change.freshReplica(3);
    await change.change(1, { learners: [again] });
    const beneath = await refusal(change.make(again, { ...change.config, configVersion: 1 }));
    expect(beneath).toMatchObject({ reason: 'FENCED_EPOCH', metadata: { epoch: '1', promised: '2' } });
    await change.make(again, change.config, 0);
    await expect.poll(() => change.reported(again), SOON).toMatchObject({ promisedEpoch: 1, configFloor: 3 });
    // As a kill -9 right behind the creation leaves it.
    await restart(3);
    set.tell(1);
    await change.change(1, { replicas: [first!, second!, again], learners: [] });
    await expect.poll(() => change.reported(again)?.suspect, SOON).toBe(false);
    await change.delete(third!, 2);
    expect(await filesOf(3)).toContain('0');
  });

  it('comes back by the very set that the deletion of its first replica named', async () => {
    const change = await start(3, 3, 2);
    const [first, second, third] = set.replicas;
    await change.change(1, { replicas: [first!, second!] });
    const again = await change.freshReplica(3);
    await change.change(1, { learners: [again] });
    await change.delete(third!);
    expect(await change.ask(third!, 9)).toMatchObject({ granted: false, configFloor: 3 });
    await change.make(again, change.config, 0);
    await expect.poll(() => change.reported(again), SOON).toMatchObject({ configFloor: 3 });
    expect((await refusal(change.make(third!, change.config, 0))).reason).toBe('INVALID_REQUEST');
  });

  it('is found as it was left by whatever ends its broker on the way', async () => {
    const change = await start(2, 3, 1);
    const [first, second] = set.replicas;
    const learner = await change.freshReplica(3);
    await change.change(1, { learners: [learner] });
    await change.make(learner);
    // The journal entry was durable, the log not begun.
    await set.broker(3).stop();
    await rm(join(set.broker(3).dir, TOPIC_ID, '0'), { recursive: true });
    await set.startBroker(3, set.broker(3).dir);
    set.tell(1);
    await change.change(1, { replicas: [first!, second!, learner], learners: [] });
    for (const id of [1, 2, 3]) await restart(id);
    await set.elect([1, 2, 3]);
    await change.change(1, { replicas: [first!, learner] });
    const kept = await set.broker(2).copyOfDirectory();
    await change.delete(second!);
    // The journal knew of the deletion, the files were still there.
    await set.broker(2).stop();
    await mkdir(join(set.broker(2).dir, TOPIC_ID), { recursive: true });
    await cp(join(kept, TOPIC_ID), join(set.broker(2).dir, TOPIC_ID), { recursive: true });
    await rm(kept, { recursive: true });
    await set.startBroker(2, set.broker(2).dir);
    expect(await filesOf(2)).toEqual([]);
    expect((await change.ask(second!, 9)).configFloor).toBe(4);
    await set.elect([3, 1]);
    const { baseOffset } = await appendInTime(set, 3, batchOf('a'));
    await set.untilEqual([1, 3], baseOffset + 1n);
  });
});

describe('a replica that is deleted', () => {
  it('leaves nothing once its topic is deleted, too', async () => {
    const change = await start(2, 2, 1);
    const [first, second] = set.replicas;
    await change.change(1, { replicas: [first!] });
    await change.delete(second!);
    const tombstone = { topicId: TOPIC_ID, deleteId: first!.replicaId, deleteTimeMs: BigInt(Date.now()) };
    const request = { clusterId: CLUSTER_ID, tombstone };
    await callUnary(set.broker(2).peer, ReplicaServiceService.deleteTopicReplicas, request);
    await change.delete(second!);
    const answer = await change.ask(second!, 9);
    expect(fromRpcStatus(answer.error!).reason).toBe('TOPIC_NOT_FOUND');
    await set.broker(2).stop();
    const journal = await openJournal({ disk: createNodeDisk(), dir: set.broker(2).dir });
    const keys = [...journal.entries()].map(([key]) => key);
    await journal.close();
    expect(keys.filter((key) => key.includes(TOPIC_ID))).toEqual([`tombstone/${TOPIC_ID}`]);
    await set.startBroker(2, set.broker(2).dir);
  });

  it('may be one whose files are damaged, or whose broker has not heard that it was removed', async () => {
    const change = await start(3, 3, 2);
    const [first, second, third] = set.replicas;
    await appendInTime(set, 1, batchOf('x'.repeat(30_000)));
    await set.broker(3).stop();
    await change.change(1, { replicas: [first!, second!] });
    const dir = join(set.broker(3).dir, TOPIC_ID, '0');
    for (const name of await readdir(dir)) await writeFile(join(dir, name), 'no log of ours');
    await writeFile(join(set.broker(3).dir, 'clean-shutdown'), 'gone');
    await set.startBroker(3, set.broker(3).dir);
    await change.delete(third!);
    expect(await filesOf(3)).toEqual([]);
    expect(await change.ask(third!, 9)).toMatchObject({ granted: false, configFloor: 2, error: undefined });
  });
});

describe('a replica that has left its set and is not deleted', () => {
  it('costs its leader nothing, serves nobody, and does not vote', async () => {
    const change = await start(3, 3, 2);
    const [first, second, third] = set.replicas;
    await appendInTime(set, 1, batchOf('a'));
    await set.untilInSync(1, 2, 3);
    await change.change(1, { replicas: [first!, second!] });
    await set.untilInSync(1, 2);
    // More than what is sent ahead to one that does not acknowledge.
    for (let count = 0; count < 12; count += 1) {
      await appendInTime(set, 1, batchOf('x'.repeat(1024 * 1024 - 1024)));
    }
    const queued = async () => {
      const scraped = await set.broker(1).scrape();
      return scraped.get('partita_broker_queue_bytes{queue="replicate"}');
    };
    await expect.poll(queued, SOON).toBe(0);
    const fetched = await set.broker(3).fetch({ topic: set.topic, offset: 0n });
    expect(fromRpcStatus(fetched.error!)).toMatchObject({ reason: 'NOT_LEADER', metadata: { leader: '1' } });
    await expect.poll(async () => (await change.ask(third!, 9)).configFloor, SOON).toBe(2);
    expect(await change.ask(third!, 9)).toMatchObject({ granted: false, error: undefined });
  });
});

describe('a replica that holds the only copy no longer', () => {
  it('is copied anew after damage, as its journal knows also without its log', async () => {
    const change = await start(1, 2, 1);
    const [first] = set.replicas;
    for (let count = 0; count < 5; count += 1) {
      await appendInTime(set, 1, batchOf('x'.repeat(30_000)));
    }
    const learner = await change.freshReplica(2);
    await change.change(1, { learners: [learner] });
    await change.make(learner);
    set.tell(1);
    await change.change(1, { replicas: [first!, learner], learners: [] });
    await set.untilInSync(1, 2);
    await set.broker(1).stop();
    const dir = join(set.broker(1).dir, TOPIC_ID, '0');
    const log = (await readdir(dir)).find((name) => name.endsWith('.log'))!;
    const bytes = await readFile(join(dir, log));
    bytes[200]! ^= 1;
    await writeFile(join(dir, log), bytes);
    await writeFile(join(set.broker(1).dir, 'clean-shutdown'), 'gone');
    await set.startBroker(1, set.broker(1).dir);
    await expect.poll(() => change.reported(first!), SOON).toMatchObject({ suspect: true, configFloor: 3 });
    expect(change.reported(first!)?.config?.configVersion).toBe(3);
    const answer = await change.ask(first!, 2);
    expect(answer).toMatchObject({ granted: true, suspect: true, configFloor: 3 });
    expect(answer.configs[0]?.replicas).toHaveLength(2);
  });
});

describe('a broker refuses', () => {
  it('to delete what a set that it knows still holds, and what it never had', async () => {
    const change = await start(3, 4, 2);
    const [first, second, third] = set.replicas;
    for (const replica of [first!, third!]) {
      const held = await refusal(change.delete(replica, 1));
      expect(held.reason).toBe('FENCED_EPOCH');
    }
    const leads = await refusal(change.delete(first!, 2));
    expect(leads).toMatchObject({ reason: 'FENCED_EPOCH', message: expect.stringContaining('it leads epoch 1') });
    await change.change(1, { replicas: [first!, second!] });
    const stranger = { ...third!, replicaId: second!.replicaId };
    expect((await refusal(change.delete(stranger))).reason).toBe('REPLICA_NOT_FOUND');
    const elsewhere = { ...third!, brokerId: 4 };
    expect((await refusal(change.delete(elsewhere))).reason).toBe('REPLICA_NOT_FOUND');
    expect((await refusal(change.delete({ ...third!, replicaId: 'x' }))).reason).toBe('INVALID_REQUEST');
    expect((await refusal(change.delete(third!, 0))).reason).toBe('INVALID_REQUEST');
    await change.delete(third!);
  });

  it('a set that it cannot have, and says why', async () => {
    const change = await start(3, 4, 2);
    const [first, second, third] = set.replicas;
    await appendInTime(set, 1, batchOf('a'));
    const fresh = await change.freshReplica(4);
    const withFresh = change.next({ replicas: [first!, second!, third!, fresh] });
    expect(await refusal(change.propose(1, withFresh))).toMatchObject({
      reason: 'REPLICA_CHANGE_REFUSED',
      metadata: { refusal: 'not-a-learner', partition: '0', config_version: '1' },
    });
    expect(await refusal(change.propose(1, { ...withFresh, configVersion: 7 }))).toMatchObject({
      metadata: { refusal: 'stale-version' },
    });
    expect(await refusal(change.propose(1, change.next({ replicas: [second!, third!] })))).toMatchObject({
      metadata: { refusal: 'leader-removed' },
    });
    const elsewhere = await refusal(change.propose(2, change.next({ learners: [fresh] })));
    expect(elsewhere).toMatchObject({ reason: 'NOT_LEADER', metadata: { leader: '1', leader_epoch: '1' } });
    for (const unsound of [{ minInSyncReplicas: 9 }, { learners: [{ ...fresh, replicaId: 'x' }] }, { replicas: [] }]) {
      expect((await refusal(change.propose(1, change.next(unsound)))).reason).toBe('INVALID_REQUEST');
    }
  });

  it('to make a member that has nothing, or two replicas of a partition', async () => {
    const change = await start(2, 3, 1);
    const fresh = await change.freshReplica(3);
    const member = { ...change.config, configVersion: 2, replicas: [...change.config.replicas, fresh] };
    expect((await refusal(change.make(fresh, member))).reason).toBe('INVALID_REQUEST');
    const learner = { ...change.config, configVersion: 2, learners: [fresh] };
    await change.make(fresh, learner);
    const other = { ...fresh, replicaId: set.replicas[0]!.replicaId };
    expect((await refusal(change.make(other, { ...learner, learners: [other] }))).reason).toBe('INVALID_REQUEST');
  });

  it('to say that a set is in force which is only in its log', async () => {
    const change = await start(3, 4, 2);
    const { config } = change;
    await appendInTime(set, 1, batchOf('a'));
    await set.untilInSync(1, 2, 3);
    await Promise.all([2, 3].map((id) => set.broker(id).stop()));
    const fresh = await change.freshReplica(4);
    const next = change.next({ learners: [fresh] });
    expect((await refusal(change.propose(1, next, 700))).reason).toMatch(/OUTCOME_UNKNOWN|REPLICA_CHANGE_REFUSED/);
    const repeated = await refusal(change.propose(1, next, 700));
    expect(['OUTCOME_UNKNOWN', 'REPLICA_CHANGE_REFUSED']).toContain(repeated.reason);
    await set.startBroker(2, set.broker(2).dir);
    await set.startBroker(3, set.broker(3).dir);
    await expect
      .poll(
        async () => {
          set.tell(1);
          return change.propose(1, next).then(
            () => 'in force',
            (error: unknown) => (error instanceof PartitaError ? error.reason : String(error)),
          );
        },
        { ...SOON, interval: 200 },
      )
      .toBe('in force');
    await change.propose(1, next);
    expect(config.configVersion).toBe(1);
  });
});

it('answers who asks it for a promise by the replica that it never had as before', async () => {
  const change = await start(1, 1, 1);
  const stranger = { ...set.replicas[0]!, replicaId: '0190a000-0000-7000-8000-00000000bbbb' };
  const answer = await change.ask(stranger, 5);
  expect(fromRpcStatus(answer.error!).reason).toBe('REPLICA_NOT_FOUND');
});
