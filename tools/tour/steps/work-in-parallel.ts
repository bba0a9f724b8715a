import { setTimeout as sleep } from 'node:timers/promises';
import { check, inOrderOfSending } from '../checks.ts';
import type { StoredRecord } from '../checks.ts';
import { flightValue, ROW_HEADER } from '../flights.ts';
import type { Flight } from '../flights.ts';
import { nowMs } from '../member-report.ts';
import { PARTITION_COUNT } from '../stage.ts';
import type { Stage } from '../stage.ts';

const RECORD_COUNT = 480;
/** What handling one record takes, as a call to a database would. */
const HANDLING_MS = 2;
const KEY_COUNT = 48;
const WORK_MS_MAX = 20_000;

interface Worked {
  readonly handled: readonly StoredRecord[];
  readonly tookMs: number;
}

/** The same slow work on one partition and on several: partitions are handled side by side, the records of a key in turn. */
export async function workInParallel(stage: Stage, flights: readonly Flight[]): Promise<void> {
  const { terminal, checks, workTopic } = stage;
  terminal.step(`Slow work in parallel: ${RECORD_COUNT} records that take ${HANDLING_MS} ms each`);
  const one = await work(stage, flights, { topic: `${workTopic}-1`, partitionCount: 1 });
  const several = await work(stage, flights, { topic: workTopic, partitionCount: PARTITION_COUNT });
  const perSecond = ({ tookMs }: Worked): string => Math.round((RECORD_COUNT * 1000) / tookMs).toLocaleString('en-US');
  terminal.line(`1 partition: ${perSecond(one)} records/s`);
  terminal.line(
    `${PARTITION_COUNT} partitions: ${perSecond(several)} records/s, ${(one.tookMs / several.tookMs).toFixed(1)} times as many`,
  );
  const complete = [one, several].every(
    ({ handled }) => new Set(handled.map(({ number }) => number)).size === RECORD_COUNT,
  );
  const inOrder = inOrderOfSending(several.handled);
  checks.push(
    check('slow work was done for every record, on one partition and on several', complete, {
      yes: `${RECORD_COUNT} records each, ${(one.tookMs / several.tookMs).toFixed(1)} times as fast`,
      no: `${one.handled.length} and ${several.handled.length} of ${RECORD_COUNT}`,
    }),
    { ...inOrder, claim: 'and side by side the records of each key were handled in order, none twice' },
  );
}

async function work(
  { client, workTopic }: Stage,
  flights: readonly Flight[],
  { topic, partitionCount }: { readonly topic: string; readonly partitionCount: number },
): Promise<Worked> {
  await client.admin.createTopic({ name: topic, partitionCount });
  const producer = client.producer();
  await producer.send(
    topic,
    flights.slice(0, RECORD_COUNT).map((flight, number) => ({
      key: `key ${number % KEY_COUNT}`,
      value: flightValue(flight),
      headers: { [ROW_HEADER]: String(number) },
    })),
  );
  await producer.close();
  const text = new TextDecoder();
  const handled: StoredRecord[] = [];
  const consumer = client.consumer({ group: workTopic, topics: [topic], from: 'earliest' });
  let firstMs = 0;
  const late = setTimeout(() => void consumer.close(), WORK_MS_MAX);
  await consumer.run(
    async ({ key, partition, offset, headers }) => {
      firstMs ||= nowMs();
      await sleep(HANDLING_MS);
      const number = Number(text.decode(headers.find(({ name }) => name === ROW_HEADER)?.value));
      handled.push({ number, key: text.decode(key), partition, offset });
      if (handled.length === RECORD_COUNT) void consumer.close();
    },
    { concurrency: PARTITION_COUNT },
  );
  clearTimeout(late);
  return { handled, tookMs: Math.max(1, nowMs() - firstMs) };
}
