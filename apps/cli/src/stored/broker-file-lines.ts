/** The files of a data directory that belong to no partition, as lines and as objects for --json. */
import { jsonLine } from '../output/json.ts';
import { printableMessage } from './batch-text.ts';
import { parseJournalEntry } from './journal-entry.ts';

/** What the files say; undefined for each that is missing or cannot be read. */
export interface StoredBrokerFiles {
  readonly identity:
    | {
        readonly clusterId: string;
        readonly brokerId: number;
        readonly dirUuid: string;
        readonly incarnation: number;
      }
    | undefined;
  readonly holderPid: number | undefined;
  readonly cleanShutdown:
    | {
        readonly incarnation: number;
        readonly bootId: string | undefined;
        readonly logEnds: ReadonlyMap<string, bigint>;
      }
    | undefined;
  readonly checkpoint:
    | ReadonlyMap<string, { readonly highWatermark: bigint; readonly syncedEnd: bigint; readonly logStart: bigint }>
    | undefined;
  readonly journal:
    | {
        readonly state: ReadonlyMap<string, Uint8Array>;
        readonly generation: bigint;
        readonly number: 0 | 1;
        readonly entryCount: number;
      }
    | undefined;
}

/** One line. */
export interface FileLine {
  readonly content: object;
  readonly text: string;
}

/** The lines in the order of the files' names in FORMAT.md. */
export function brokerFileLines({ identity, cleanShutdown, checkpoint, journal }: StoredBrokerFiles): FileLine[] {
  const lines: FileLine[] = [];
  if (identity !== undefined) lines.push(line('storage', identity, `storage.json  ${jsonLine(identity)}`));
  if (cleanShutdown !== undefined) {
    const { incarnation, bootId, logEnds } = cleanShutdown;
    lines.push(line('clean-shutdown', { incarnation, bootId }, `clean-shutdown  start number ${incarnation}`));
    for (const [partition, end] of logEnds) {
      lines.push(line('clean-shutdown', { partition, logEnd: end }, `clean-shutdown  ${partition}  log end ${end}`));
    }
  }
  for (const [partition, { highWatermark, syncedEnd, logStart }] of checkpoint ?? []) {
    const text = `log start ${logStart}  high watermark ${highWatermark}  synced end ${syncedEnd}`;
    const content = { partition, logStart, highWatermark, syncedEnd };
    lines.push(line('checkpoint', content, `checkpoint  ${partition}  ${text}`));
  }
  if (journal === undefined) return lines;
  const { number, generation, entryCount, state } = journal;
  const charge = `file ${number} in charge  generation ${generation}  ${entryCount} entries`;
  lines.push(line('journal', { file: number, generation, entryCount }, `meta.journal  ${charge}`));
  for (const [key, value] of state) lines.push(journalLine(key, value));
  return lines;
}

function journalLine(key: string, value: Uint8Array): FileLine {
  const entry = parseJournalEntry(key, value);
  let content: object = { bytes: Buffer.from(value).toString('hex') };
  if (entry.kind === 'replica') content = printableMessage(entry.meta);
  if (entry.kind === 'floor') content = printableMessage(entry.floor);
  if (entry.kind === 'tombstone') content = printableMessage(entry.tombstone);
  if (entry.kind === 'start') content = { logStart: entry.logStart };
  if (entry.kind === 'boot-id') content = { bootId: entry.bootId };
  return line('journal', { key, value: content }, `meta.journal  ${key}  ${jsonLine(content)}`);
}

function line(kind: string, content: object, text: string): FileLine {
  return { content: { kind, ...content }, text };
}
