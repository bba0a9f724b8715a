/**
 * One producer of a process of clients: unique values `p<process>-<number>`, several sends of a key under way at once. Each
 * record is an operation of its own, also where a call has several: some may be stored while others are refused.
 */
import { SendError } from '@partita/client';
import type { PartitaClient, SentRecord } from '@partita/client';
import { keyOf } from '../history.ts';
import type { SendEvent } from '../history.ts';
import type { Site } from '../site.ts';
import type { SenderPlan } from './client-plan.ts';
import { workSteadily } from './paced-work.ts';
import { outcomeOfSend, placeOf } from './send-outcome.ts';

const IN_FLIGHT_MAX = 40;
/** Longer than any fault lasts: a session then has no outcome that is unknown, but by a fault of its own. */
const SESSION_DELIVERY_MS_MAX = 60_000;
/** Without a session doubt is final, and nothing is gained by waiting. */
const PLAIN_DELIVERY_MS_MAX = 10_000;
/** Sends in a row to one partition with one record key, so that several of a key are under way. */
const RUN_LENGTH = 4;
const RECORD_KEYS_PER_PARTITION = 2;
/** Every so many sends are one call of several records. */
const MANY_EVERY = 7;
const MANY_RECORD_COUNT = 3;

type Told = Omit<SendEvent, 'op' | 'type' | 'tMonoMs'>;

/** Sends until it is told to stop, and until the last send has its outcome. */
export async function sendRecords(site: Site, client: PartitaClient, plan: SenderPlan): Promise<void> {
  const { recorder, topic } = site;
  const { process, delivery, namesPartition, intervalMs } = plan;
  const isSession = delivery !== 'records';
  const deliveryTimeoutMs = isSession ? SESSION_DELIVERY_MS_MAX : PLAIN_DELIVERY_MS_MAX;
  const options = { acks: 'all' as const, deliveryTimeoutMs, delivery };
  const producer = client.producer(options);
  let number = 0;
  await workSteadily(site, { intervalMs, inFlightMax: IN_FLIGHT_MAX }, async (turn) => {
    const run = Math.floor(turn / RUN_LENGTH);
    const partition = run % site.partitionCount;
    const recordKey = `p${process}-${partition}-${Math.floor(run / site.partitionCount) % RECORD_KEYS_PER_PARTITION}`;
    const count = turn % MANY_EVERY === MANY_EVERY - 1 ? MANY_RECORD_COUNT : 1;
    const values = Array.from({ length: count }, () => `p${process}-${number++}`);
    const shared = { f: 'send' as const, process, recordKey, ...(isSession ? { session: `p${process}` } : {}) };
    const told = values.map((value): Told => ({
      ...shared,
      value,
      ...(namesPartition ? { key: keyOf(topic, partition) } : {}),
    }));
    const ops = told.map((record) => recorder.invoke(record));
    const records = values.map((value) => ({ key: recordKey, value }));
    const results = await producer
      .send(topic, records, { partition: namesPartition ? partition : undefined })
      .catch((error: unknown) => (error instanceof SendError ? error.results : values.map(() => error)));
    for (const [index, op] of ops.entries()) {
      const result = results[index];
      const record = told[index];
      if (record === undefined) continue;
      if (isSent(result)) recorder.complete(op, 'ok', { ...record, ...placeOf(topic, [result]) });
      else recorder.complete(op, outcomeOfSend(result), { ...record, error: String(result) });
    }
  });
}

function isSent(result: unknown): result is SentRecord {
  return typeof result === 'object' && result !== null && !(result instanceof Error) && 'offset' in result;
}
