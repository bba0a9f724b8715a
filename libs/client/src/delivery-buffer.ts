/** Records that the server sent ahead of the handler, and the credit that is owed for those taken. */
import type { ConsumeCredit, ConsumedRecord } from '@partita/protocol';
import type { HeldPartition } from './held-partition.ts';
import { receivedBytes, receivedRecord } from './record-form.ts';
import type { ReceivedRecord } from './record-form.ts';

interface Chunk {
  readonly held: HeldPartition;
  readonly records: readonly ConsumedRecord[];
  next: number;
}

/** A record and the partition it was delivered under. */
export interface Taken {
  readonly held: HeldPartition;
  readonly record: ReceivedRecord;
}

export class DeliveryBuffer {
  readonly #windowRecords: number;
  readonly #windowBytes: number;
  #chunks: Chunk[] = [];
  #owedRecords = 0;
  #owedBytes = 0;

  constructor(windowRecords: number, windowBytes: number) {
    this.#windowRecords = windowRecords;
    this.#windowBytes = windowBytes;
  }

  /** The credit that opens a stream. */
  get fullCredit(): ConsumeCredit {
    return { records: BigInt(this.#windowRecords), bytes: BigInt(this.#windowBytes) };
  }

  /** Takes records in; `held` undefined = they are nobody's any more, and only owed for. */
  add(held: HeldPartition | undefined, records: readonly ConsumedRecord[]): void {
    if (held?.state === 'held') this.#chunks.push({ held, records, next: 0 });
    else for (const record of records) this.#owe(record);
  }

  /** The next record to hand out, repeats and those of partitions no longer held left out. */
  take(): Taken | undefined {
    for (let chunk = this.#chunks[0]; chunk !== undefined; chunk = this.#chunks[0]) {
      const { held } = chunk;
      for (let consumed = chunk.records[chunk.next]; consumed !== undefined; consumed = chunk.records[chunk.next]) {
        chunk.next += 1;
        this.#owe(consumed);
        if (held.state !== 'held' || (held.nextWanted !== undefined && consumed.offset < held.nextWanted)) continue;
        held.nextWanted = consumed.offset + 1n;
        return { held, record: receivedRecord(held.topic, held.partition, consumed) };
      }
      this.#chunks.shift();
    }
    return undefined;
  }

  /** Drops what waits of one partition. */
  drop(held: HeldPartition): void {
    for (const chunk of this.#chunks) {
      if (chunk.held !== held) continue;
      for (; chunk.next < chunk.records.length; chunk.next += 1) {
        const consumed = chunk.records[chunk.next];
        if (consumed !== undefined) this.#owe(consumed);
      }
    }
  }

  /** The stream is gone: so are its records and its credit. */
  clear(): void {
    this.#chunks = [];
    this.#owedRecords = 0;
    this.#owedBytes = 0;
  }

  /** The credit to grant now: half the window at once, or all that is owed when nothing is left to hand out. */
  dueCredit(): ConsumeCredit | undefined {
    if (this.#owedRecords === 0) return undefined;
    const much = this.#owedRecords * 2 >= this.#windowRecords || this.#owedBytes * 2 >= this.#windowBytes;
    if (!much && this.#chunks.length > 0) return undefined;
    const credit = { records: BigInt(this.#owedRecords), bytes: BigInt(this.#owedBytes) };
    this.#owedRecords = 0;
    this.#owedBytes = 0;
    return credit;
  }

  #owe(consumed: ConsumedRecord): void {
    this.#owedRecords += 1;
    this.#owedBytes += receivedBytes(consumed);
  }
}
