import { setTimeout as sleep } from 'node:timers/promises';
import { check } from '../checks.ts';
import { flightValue, ROW_HEADER } from '../flights.ts';
import type { Flight } from '../flights.ts';
import { nowMs } from '../member-report.ts';
import { PARTITION_COUNT } from '../stage.ts';
import type { Stage } from '../stage.ts';

const REPORT_MS_MAX = 10_000;
const POLL_MS = 100;

/** One copy of every flight, in as many parts as there are partitions: no broker has the whole topic. */
export async function spreadStorage(stage: Stage, flights: readonly Flight[]): Promise<void> {
  const { client, terminal, checks, spreadTopic: name } = stage;
  terminal.step('One topic on the disks of all brokers');
  await client.admin.createTopic({ name, partitionCount: PARTITION_COUNT, replicationFactor: 1 });
  const producer = client.producer();
  // Keyed by row: airports are of very different sizes.
  const records = flights.map((flight) => {
    const row = String(flight.row);
    return { key: row, value: flightValue(flight), headers: { [ROW_HEADER]: row } };
  });
  await producer.send(name, records);
  await producer.close();
  const values = records.reduce((sum, { value }) => sum + value.length, 0);
  const held = await untilReported(stage, records.length);
  const total = [...held.values()].reduce((sum, bytes) => sum + bytes, 0);
  const shares = [...held].toSorted(([a], [b]) => a - b).map(([id, bytes]) => ({ id, bytes, share: bytes / total }));
  terminal.line(`${(total / 1e6).toFixed(1)} MB, one replica of each partition:`);
  for (const { id, bytes, share } of shares)
    terminal.line(`   broker ${id}: ${(bytes / 1e6).toFixed(2)} MB, ${(share * 100).toFixed(0)} %`);
  const { brokers } = await client.admin.describeCluster();
  const wanted = Math.min(brokers.length, PARTITION_COUNT);
  const told = shares.map(({ id, share }) => `broker ${id} ${(share * 100).toFixed(0)} %`).join(', ');
  checks.push(
    check('the bytes of a topic are spread over the brokers', held.size === wanted && total >= values, {
      yes: told,
      no: `${total} of ${values} bytes and more, on ${held.size} of ${wanted} brokers: ${told}`,
    }),
  );
}

/** Bytes that each broker holds of the topic, once brokers have reported all, or what they have when that takes too long. */
async function untilReported({ client, spreadTopic }: Stage, recordCount: number): Promise<Map<number, number>> {
  const deadlineMs = nowMs() + REPORT_MS_MAX;
  for (;;) {
    const held = new Map<number, number>();
    const { partitions } = await client.admin.describeCluster(true);
    // An epoch begins with a record of its own, so there are some more than were sent.
    let reported = 0n;
    for (const { topic, partition, logBytes, highWatermark } of partitions) {
      if (topic !== spreadTopic || highWatermark === 0n) continue;
      const brokerId = partition?.leaderId ?? 0;
      held.set(brokerId, (held.get(brokerId) ?? 0) + Number(logBytes));
      reported += highWatermark;
    }
    if (reported >= BigInt(recordCount + PARTITION_COUNT) || nowMs() > deadlineMs) return held;
    await sleep(POLL_MS);
  }
}
