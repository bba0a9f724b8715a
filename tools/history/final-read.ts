/** The reading of everything at the end of a run, by a client that knows nothing yet. */
import { pause } from '@partita/client';
import { connectSoon, pollPartition } from './assigned-reading.ts';
import { keyOf, offsetsOf, recordsOf } from './history.ts';
import type { HistoryEvent } from './history.ts';
import type { Site } from './site.ts';

const IDLE_MS = 100;

/** Answers the keys whose highest offset known from the history was not passed in time. */
export async function finalRead(
  site: Omit<Site, 'stopping'>,
  secondsMax: number,
  history: readonly HistoryEvent[] = site.recorder.events,
): Promise<string[]> {
  const { recorder, topic } = site;
  const reading: Site = { ...site, stopping: AbortSignal.timeout(secondsMax * 1000) };
  const highest = highestKnown(history);
  const process = recorder.newProcess();
  const keys = Array.from({ length: site.partitionCount }, (_, partition) => keyOf(topic, partition));
  const told = { f: 'assign' as const, process, keys, seeks: Object.fromEntries(keys.map((key) => [key, 0])) };
  recorder.complete(recorder.invoke(told), 'ok', told);
  const client = await connectSoon(reading);
  if (client === undefined) return keys;
  const missing: string[] = [];
  for (const [partition, key] of keys.entries()) {
    const target = highest.get(key) ?? -1;
    let position = 0;
    // To what is there, not only to what is known: a second copy lies behind.
    for (let before = -1; (position <= target || position > before) && !reading.stopping.aborted;) {
      before = position;
      position = await pollPartition(reading, { client, process, partition, position });
      if (position === before && position <= target) await pause(IDLE_MS, reading.stopping);
    }
    if (position <= target) missing.push(key);
  }
  await client.close();
  return missing;
}

function highestKnown(history: readonly HistoryEvent[]): Map<string, number> {
  const highest = new Map<string, number>();
  const raise = (key: string, offset: number): void => void highest.set(key, Math.max(offset, highest.get(key) ?? -1));
  for (const event of history) {
    if (event.f === 'send' && event.type === 'ok' && event.key !== undefined) {
      for (const offset of offsetsOf(event)) raise(event.key, offset);
    } else if (event.f === 'poll') {
      for (const [key, records] of recordsOf(event)) for (const [offset] of records) raise(key, offset);
    }
  }
  return highest;
}
