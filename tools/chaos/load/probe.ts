/**
 * One record after the other to each partition, as a client of the SDK sends them, to see for how long none is acknowledged.
 * What it does is in the history like all else.
 */
import { pause } from '@partita/client';
import type { PartitaClient } from '@partita/client';
import { connectSoon } from '@partita/tool-history/assigned-reading.ts';
import { outcomeOfSend, placeOf } from '@partita/tool-history/clients/send-outcome.ts';
import { keyOf } from '@partita/tool-history/history.ts';
import type { Site } from '@partita/tool-history/site.ts';

/** Between an acknowledgement and the next record of the partition. */
const INTERVAL_MS = 100;
/** Longer than any fault: what is sent is acknowledged in the end. */
const DELIVERY_MS_MAX = 90_000;

/** Sends until the site stops, and until each record has its outcome. Never rejects. */
export async function probePartitions(site: Site): Promise<void> {
  const client = await connectSoon(site);
  if (client === undefined) return;
  const partitions = Array.from({ length: site.partitionCount }, (_, partition) => partition);
  const process = site.recorder.newProcess();
  await Promise.all(partitions.map((partition) => probe(site, client, { process, partition })));
  await client.close();
}

async function probe(
  { topic, recorder, stopping }: Site,
  client: PartitaClient,
  { process, partition }: { readonly process: number; readonly partition: number },
): Promise<void> {
  const producer = client.producer({ acks: 'all', deliveryTimeoutMs: DELIVERY_MS_MAX });
  const shared = {
    f: 'send' as const,
    process,
    key: keyOf(topic, partition),
    session: `probe-${process}-${partition}`,
  };
  for (let number = 0; !stopping.aborted && recorder.hasRoom; number += 1) {
    const told = { ...shared, value: `probe${process}-${partition}-${number}` };
    const op = recorder.invoke(told);
    try {
      const sent = await producer.send(topic, { value: told.value }, { partition });
      recorder.complete(op, 'ok', { ...told, ...placeOf(topic, [sent]) });
    } catch (error) {
      recorder.complete(op, outcomeOfSend(error), { ...told, error: String(error) });
    }
    await pause(INTERVAL_MS, stopping);
  }
}
