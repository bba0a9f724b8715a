/** One producer of a workload: unique values `p<process>-<number>`, many under way at once, keys and partitions in turn. */
import { ClientError, pause } from '@partita/client';
import type { OutgoingRecord, PartitaClient, Producer, SentRecord } from '@partita/client';
import { keyOf } from './history.ts';
import type { SendEvent } from './history.ts';
import type { Site } from './site.ts';

const IN_FLIGHT_MAX = 50;
const DELIVERY_MS_MAX = 10_000;
/** How far a producer that was held up may rush to make up for it. */
const BEHIND_MS_MAX = 200;
const RECORD_KEYS_PER_PARTITION = 3;
/** Every so many sends are one call of several records, where the partition is named. */
const BATCH_EVERY = 10;
const BATCH_RECORD_COUNT = 3;

export interface ProducerPart {
  /** Closed at the end. */
  readonly client: PartitaClient;
  /** Between two sends. */
  readonly intervalMs: number;
  /** False: the record's key chooses the partition. */
  readonly namesPartition: boolean;
}

/** Sends until it is told to stop, and until the last send has its outcome. */
export async function produceRecords(site: Site, { client, intervalMs, namesPartition }: ProducerPart): Promise<void> {
  const { recorder, stopping } = site;
  const producer = client.producer({ acks: 'all', deliveryTimeoutMs: DELIVERY_MS_MAX });
  const process = recorder.newProcess();
  const open = new Set<Promise<void>>();
  let dueMs = performance.now();
  let number = 0;
  for (let turn = 0; !stopping.aborted && recorder.hasRoom; turn += 1) {
    const partition = turn % site.partitionCount;
    const count = namesPartition && turn % BATCH_EVERY === BATCH_EVERY - 1 ? BATCH_RECORD_COUNT : 1;
    const values = Array.from({ length: count }, () => `p${process}-${number++}`);
    const recordKey = `p${process}-${partition}-${turn % RECORD_KEYS_PER_PARTITION}`;
    const told = { f: 'send' as const, process, recordKey, value: values.length === 1 ? (values[0] ?? '') : values };
    const named = namesPartition ? { ...told, key: keyOf(site.topic, partition) } : told;
    const sending: Promise<void> = send(site, producer, named, {
      records: values.map((value) => ({ key: recordKey, value })),
      partition: namesPartition ? partition : undefined,
    }).finally(() => open.delete(sending));
    open.add(sending);
    if (open.size >= IN_FLIGHT_MAX) await Promise.race(open);
    dueMs = Math.max(dueMs + intervalMs, performance.now() - BEHIND_MS_MAX);
    await pause(Math.max(0, dueMs - performance.now()), stopping);
  }
  await Promise.all(open);
  await client.close();
}

interface Outgoing {
  readonly records: readonly OutgoingRecord[];
  readonly partition: number | undefined;
}

/** Never rejects. */
async function send(
  { recorder, topic }: Site,
  producer: Producer,
  told: Omit<SendEvent, 'op' | 'type' | 'tMonoMs'>,
  { records, partition }: Outgoing,
): Promise<void> {
  const op = recorder.invoke(told);
  try {
    const sent = await producer.send(topic, records, { partition });
    recorder.complete(op, 'ok', { ...told, ...placeOf(topic, sent) });
  } catch (error) {
    // Of several records the error is the gravest: if that one is rejected, all that failed are. Some may still be stored.
    const isRejected = error instanceof ClientError && error.outcome === 'rejected' && records.length === 1;
    recorder.complete(op, isRejected ? 'fail' : 'info', { ...told, error: String(error) });
  }
}

function placeOf(topic: string, sent: readonly SentRecord[]): Pick<SendEvent, 'key' | 'offset' | 'epoch'> {
  const [first] = sent;
  if (first === undefined) return {};
  const offsets = sent.map(({ offset }) => Number(offset));
  const offset = offsets.length === 1 ? Number(first.offset) : offsets;
  return { key: keyOf(topic, first.partition), epoch: first.leaderEpoch, offset };
}
