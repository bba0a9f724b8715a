/** What became of steady sends, told and read back: shared by the steps that change a cluster under load. */
import type { Send, StoredRecord } from './checks.ts';
import { ROW_HEADER } from './flights.ts';
import type { Stage } from './stage.ts';

export function tellSends({ terminal }: Stage, sends: readonly Send[], stored: readonly StoredRecord[]): void {
  const doubtful = sends.filter(({ outcome }) => outcome === 'unknown');
  const numbersStored = new Set(stored.map(({ number }) => number));
  const kept = doubtful.filter(({ number }) => numbersStored.has(number)).length;
  const count = (outcome: Send['outcome']): number => sends.filter((send) => send.outcome === outcome).length;
  const acked = sends.length - doubtful.length - count('refused');
  const figure = (value: number): string => value.toLocaleString('en-US');
  terminal.line(
    `${figure(sends.length)} records sent, ${figure(acked)} acknowledged, ${figure(count('refused'))} refused`,
  );
  terminal.line(
    `${figure(doubtful.length)} in doubt (OUTCOME_UNKNOWN), of which ${figure(kept)} are stored: the session has repeated ` +
      'each until its time was up',
  );
}

/** Everything that a topic holds. */
export async function readAll({ client }: Stage, topic: string): Promise<StoredRecord[]> {
  const text = new TextDecoder();
  const stored: StoredRecord[] = [];
  for await (const { key, partition, offset, headers } of client.read({ topic })) {
    const row = headers.find((header) => header.name === ROW_HEADER)?.value;
    stored.push({ number: Number(text.decode(row)), key: text.decode(key), partition, offset });
  }
  return stored;
}
