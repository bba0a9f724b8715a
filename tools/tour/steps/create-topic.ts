import { PARTITION_COUNT } from '../stage.ts';
import type { Stage } from '../stage.ts';

/** A topic whose partitions the coordinator spreads over the brokers. Returns the leader's broker id per partition. */
export async function createTopic({ client, terminal, topic }: Stage): Promise<ReadonlyMap<number, number>> {
  terminal.step(`A topic with ${PARTITION_COUNT} partitions`);
  const startMs = performance.now();
  const { partitions } = await client.admin.createTopic({ name: topic, partitionCount: PARTITION_COUNT });
  const leaders = new Map(partitions.map(({ partition, leaderId }) => [partition, leaderId]));
  const brokers = new Set(leaders.values());
  terminal.line(`${topic}: created in ${Math.round(performance.now() - startMs)} ms, led by ${brokers.size} brokers`);
  for (const broker of [...brokers].sort((a, b) => a - b)) {
    const led = partitions.filter(({ leaderId }) => leaderId === broker).map(({ partition }) => partition);
    terminal.line(`broker ${broker} leads partitions ${led.join(', ')}`);
  }
  return leaders;
}
