/** Asks the leaders again and again where their partitions end, since that must never fall. */
import { pause } from '@partita/client';
import { connectSoon } from './assigned-reading.ts';
import { keyOf } from './history.ts';
import type { Site } from './site.ts';

const INTERVAL_MS = 250;
const ANSWER_MS_MAX = 3000;

/** Never rejects. */
export async function watchHighWatermarks(site: Site): Promise<void> {
  const { recorder, topic, stopping } = site;
  const told = { f: 'poll' as const, process: recorder.newProcess() };
  const client = await connectSoon(site);
  for (let turn = 0; client !== undefined && !stopping.aborted && recorder.hasRoom; turn += 1) {
    const partition = turn % site.partitionCount;
    const op = recorder.invoke(told);
    try {
      const { highWatermark } = await client.admin.listOffset(topic, partition, 'latest', {
        deadlineMs: ANSWER_MS_MAX,
        signal: stopping,
      });
      recorder.complete(op, 'ok', { ...told, highWatermarks: { [keyOf(topic, partition)]: Number(highWatermark) } });
    } catch (error) {
      recorder.complete(op, 'fail', { ...told, error: String(error) });
    }
    await pause(INTERVAL_MS, stopping);
  }
  await client?.close();
}
