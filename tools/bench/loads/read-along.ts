/** A member of a new group that reads what is written meanwhile, by batches, until it fails or its process ends. */
import { randomUUID } from 'node:crypto';
import type { PartitaClient } from '@partita/client';
import type { Sample } from '../sample.ts';

export async function readAlong(client: PartitaClient, topic: string): Promise<Sample> {
  const startMs = performance.now();
  let recordCount = 0;
  const consumer = client.consumer({ group: `bench-${randomUUID()}`, topics: [topic], from: 'latest' });
  await consumer.runBatches(({ records }) => {
    recordCount += records.length;
  });
  return { recordCount, bytes: 0, durationMs: performance.now() - startMs };
}
