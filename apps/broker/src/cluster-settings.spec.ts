/** What brokers make of the settings of the cluster. */
import { afterEach, expect, it } from 'vitest';
import { ClusterSettings } from '@partita/protocol';
import { batchOf, entryFor } from './testing/broker.fixture.ts';
import { ReplicaChange } from './testing/replica-change.fixture.ts';
import { ReplicaSet } from './testing/replica-set.fixture.ts';

const MIB = 1024 * 1024;

let set: ReplicaSet;
afterEach(() => set.stop());

function tell(settings: Partial<ClusterSettings>): void {
  set.coordinator.tell({
    routes: undefined,
    leaseToken: 1n,
    peers: [],
    settings: ClusterSettings.fromPartial(settings),
  });
}

/** What the broker has brought back with its last registration. */
function registered(brokerId: number): ClusterSettings | undefined {
  const said = set.coordinator.received.flatMap((message) =>
    message?.$case === 'register' && message.register.brokerId === brokerId ? [message.register] : [],
  );
  return said.at(-1)?.settings;
}

it('keeps the newest version through restarts and gives it back', async () => {
  set = await ReplicaSet.start(1, 1);
  expect(registered(1)).toBeUndefined();
  tell({ version: 7n, moveBytesPerSecond: 5_000_000n, autoBalance: false, drainingBrokerIds: [3] });
  tell({ version: 6n, moveBytesPerSecond: 9_000_000n });
  await new Promise((resolve) => setTimeout(resolve, 100));
  for (let starts = 0; starts < 2; starts += 1) {
    const { received } = set.coordinator;
    received.length = 0;
    const { dir } = set.broker(1);
    await set.broker(1).stop();
    await set.startBroker(1, dir);
    await set.coordinator.until((messages) => messages.some((message) => message?.$case === 'register'));
    expect(registered(1)).toMatchObject({
      version: 7n,
      moveBytesPerSecond: 5_000_000n,
      autoBalance: false,
      drainingBrokerIds: [3],
    });
  }
});

it('copies to a replica that is being made at the rate that is set, while live followers are served at once', async () => {
  const bytesPerSecond = 4 * MIB;
  const filledBytes = 9 * MIB;
  set = await ReplicaSet.start(2, 2);
  await set.startBroker(3);
  await set.elect([1, 2]);
  tell({ version: 1n, moveBytesPerSecond: BigInt(bytesPerSecond) });
  await Promise.all(
    Array.from({ length: filledBytes / MIB }, (_, index) =>
      set.broker(1).appendOk(entryFor(set.topic, batchOf(String(index % 10).repeat(MIB - 1024)))),
    ),
  );
  const change = new ReplicaChange(set);
  const learner = await change.freshReplica(3);
  await change.change(1, { learners: [learner] });
  await change.make(learner);
  const copiedBytes = () => Number(change.reported(learner)?.logBytes ?? 0n);
  set.tell(1);
  const beganAtMs = performance.now();
  const takenMs: number[] = [];
  while (copiedBytes() < filledBytes * 0.9) {
    const sentAtMs = performance.now();
    const ack = await set.broker(1).appendOk(entryFor(set.topic, batchOf('live')));
    expect(ack.replicasAcked).toBe(2);
    takenMs.push(performance.now() - sentAtMs);
    expect(performance.now() - beganAtMs).toBeLessThan(15_000);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const seconds = (performance.now() - beganAtMs) / 1000;
  // The last message may be larger than what was left, and the first moments are free.
  expect(seconds).toBeGreaterThan((filledBytes * 0.9 - 3 * MIB) / bytesPerSecond);
  // With the copying in front of it a live append would take as long as that does.
  const [typicalMs = Infinity] = takenMs.toSorted((a, b) => a - b).slice(Math.floor(takenMs.length / 2));
  expect(typicalMs).toBeLessThan(200);
  await change.change(1, { replicas: [...change.config.replicas, learner], learners: [] });
  await set.untilInSync(1, 2, 3);
});
