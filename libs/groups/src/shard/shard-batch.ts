/** One batch: commands decided in order, each seeing what those before it do, until its records fill it. */
import { asPartitaError, PartitaError } from '@partita/domain';
import type { GroupCommand, GroupResponse, TopicCatalog } from '../commands.ts';
import { decide } from '../decide.ts';
import { ShardDraft } from '../group-state.ts';
import type { ShardState } from '../group-state.ts';
import { recordKey } from '../records.ts';
import type { GroupRecord } from '../records.ts';

/** A command that waits, with what its caller is known by. */
export interface Waiting<Ticket> {
  readonly command: GroupCommand;
  readonly ticket: Ticket;
}

/** What a caller is told. */
export type ShardAnswer<Ticket> =
  | { readonly ticket: Ticket; readonly response: GroupResponse }
  | { readonly ticket: Ticket; readonly error: PartitaError };

/** How records are written, and how much of a batch each takes. */
export interface RecordForm<Encoded> {
  encode(record: GroupRecord): Encoded;
  bytesOf(encoded: Encoded): number;
  /** Most bytes of records in one batch. */
  readonly batchBytesMax: number;
}

export interface DecidedBatch<Ticket, Encoded> {
  readonly entries: readonly (Waiting<Ticket> & { readonly response: GroupResponse })[];
  /** Refused commands: nothing of them becomes durable, so they are told at once. */
  readonly refused: readonly ShardAnswer<Ticket>[];
  /** In order, for the state. */
  readonly records: readonly GroupRecord[];
  /** The last record of each key, for the log. */
  readonly encoded: readonly Encoded[];
}

/** Takes commands off the queue until a batch is full. */
export function decideBatch<Ticket, Encoded>(
  queue: Waiting<Ticket>[],
  state: ShardState,
  catalog: TopicCatalog,
  form: RecordForm<Encoded>,
): DecidedBatch<Ticket, Encoded> {
  const draft = new ShardDraft(state);
  const entries: (Waiting<Ticket> & { readonly response: GroupResponse })[] = [];
  const refused: ShardAnswer<Ticket>[] = [];
  const records: GroupRecord[] = [];
  const lastOfKey = new Map<string, Encoded>();
  let bytes = 0;
  let taken = 0;
  for (const { command, ticket } of queue) {
    try {
      const decided = decide(draft, command, catalog);
      const encoded = decided.records.map((record) => form.encode(record));
      const size = encoded.reduce((sum, record) => sum + form.bytesOf(record), 0);
      if (size > form.batchBytesMax) throw tooLarge(command.group, size, form.batchBytesMax);
      if (bytes + size > form.batchBytesMax) break;
      bytes += size;
      decided.records.forEach((record, index) => {
        draft.apply(record);
        records.push(record);
        const key = recordKey(record);
        lastOfKey.delete(key);
        const input = encoded[index];
        if (input !== undefined) lastOfKey.set(key, input);
      });
      entries.push({ command, ticket, response: decided.response });
    } catch (thrown) {
      refused.push({ ticket, error: asPartitaError(thrown) });
    }
    taken += 1;
  }
  queue.splice(0, taken);
  return { entries, refused, records, encoded: [...lastOfKey.values()] };
}

function tooLarge(group: string, size: number, limit: number): PartitaError {
  const message = `group "${group}" is too large for one change (${size} bytes of records): subscribe to fewer topics`;
  return new PartitaError('LIMIT_EXCEEDED', message, { group, limit: String(limit) });
}
