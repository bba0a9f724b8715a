import type { SentRecord } from '@partita/client';
import { check } from '../checks.ts';
import { flightValue, ROW_HEADER } from '../flights.ts';
import type { Flight } from '../flights.ts';
import type { Stage } from '../stage.ts';
import { rate } from '../terminal.ts';

/** Sends every flight, keyed by its airport, and waits for each acknowledgement. Returns them in the order of the rows. */
export async function produceFlights(stage: Stage, flights: readonly Flight[]): Promise<readonly SentRecord[]> {
  const { client, terminal, topic, checks } = stage;
  terminal.step(`${flights.length.toLocaleString('en-US')} flights through the gateway, keyed by airport of origin`);
  const producer = client.producer();
  const values = flights.map(flightValue);
  const bytes = values.reduce((sum, value) => sum + value.length + 3, 0);
  const startMs = performance.now();
  const sent = await Promise.all(
    flights.map(({ row, origin }) =>
      producer.send(topic, { key: origin, value: values[row], headers: { [ROW_HEADER]: String(row) } }),
    ),
  );
  terminal.line(`produced: ${rate(sent.length, bytes, performance.now() - startMs)}`);
  const synced = sent.filter((record) => record.fsynced).length;
  const replicas = Math.min(...sent.map((record) => record.replicasAcked));
  terminal.line(
    `acknowledged: by ${replicas} or more replicas, ${synced.toLocaleString('en-US')} on disk before the answer`,
  );
  checks.push(
    check('every flight was acknowledged from disk', synced === flights.length, {
      yes: `${synced} fsynced`,
      no: `${flights.length - synced} only in page caches`,
    }),
  );
  return sent;
}
