/** Reading of partitions by a client that has them to itself, poll by poll, as the readers of a workload do it. */
import { connect, pause } from '@partita/client';
import type { PartitaClient } from '@partita/client';
import { keyOf } from './history.ts';
import type { Placed } from './history.ts';
import type { Site } from './site.ts';

const POLL_RECORD_COUNT_MAX = 500;
const POLL_MS_MAX = 5000;
const RETRY_MS = 200;
const decoder = new TextDecoder();

/** A client of its own, as soon as the cluster answers; undefined when it is told to stop before. */
export async function connectSoon({ endpoints, stopping }: Site): Promise<PartitaClient | undefined> {
  while (!stopping.aborted) {
    try {
      return await connect({ servers: endpoints, clientId: 'history', signal: stopping });
    } catch {
      await pause(RETRY_MS, stopping);
    }
  }
  return undefined;
}

export interface PartitionPoll {
  readonly client: PartitaClient;
  readonly process: number;
  readonly partition: number;
  /** Next offset to read. */
  readonly position: number;
}

/** One poll of what is committed now; the next position, which is the old one when it failed. Never rejects. */
export async function pollPartition(
  site: Site,
  { client, process, partition, position }: PartitionPoll,
): Promise<number> {
  const { recorder, topic } = site;
  const key = keyOf(topic, partition);
  const told = { f: 'poll' as const, process };
  const records: Placed[] = [];
  const op = recorder.invoke(told);
  try {
    const signal = AbortSignal.any([site.stopping, AbortSignal.timeout(POLL_MS_MAX)]);
    const from = BigInt(position);
    for await (const { offset, value } of client.read({
      topic,
      partition,
      from,
      maxRecords: POLL_RECORD_COUNT_MAX,
      signal,
    }))
      records.push([Number(offset), decoder.decode(value)]);
  } catch (error) {
    recorder.complete(op, 'fail', { ...told, records: { [key]: records }, error: String(error) });
    await pause(RETRY_MS, site.stopping);
    return position;
  }
  recorder.complete(op, 'ok', { ...told, ...(records.length === 0 ? {} : { records: { [key]: records } }) });
  const [last] = records.at(-1) ?? [];
  return last === undefined ? position : last + 1;
}
