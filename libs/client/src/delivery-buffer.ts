/** What was sent ahead of the handler, by partition; partitions take turns, one chunk each. */
import { Fifo } from './fifo.ts';
import type { DeliveredChunk } from './delivered-chunk.ts';
import type { HeldPartition } from './held-partition.ts';
import type { ReceivedRecord } from './record-form.ts';

/** A record and the partition it was delivered under. */
export interface Taken {
  readonly held: HeldPartition;
  readonly record: ReceivedRecord;
}

export class DeliveryBuffer {
  /** Whose turn it is first. Invariant: no queue is empty. */
  readonly #queues = new Map<HeldPartition, Fifo<DeliveredChunk>>();

  get isEmpty(): boolean {
    return this.#queues.size === 0;
  }

  /** Takes a chunk in; `held` undefined = it is nobody's any more, and dropped. */
  add(held: HeldPartition | undefined, chunk: DeliveredChunk): void {
    if (held === undefined || held.state !== 'held' || held.paused) return chunk.drop();
    let queue = this.#queues.get(held);
    if (queue === undefined) {
      queue = new Fifo();
      this.#queues.set(held, queue);
    }
    queue.push(chunk);
  }

  /** The next record of a partition that nobody is busy with, repeats left out. */
  take(): Taken | undefined {
    for (const held of this.#queues.keys()) {
      if (held.busy) continue;
      const record = this.#next(held);
      if (record !== undefined) return { held, record };
    }
    return undefined;
  }

  /** More records of the partition that `take` gave the first of, without changing turns. */
  more(held: HeldPartition, recordCountMax: number): ReceivedRecord[] {
    const records: ReceivedRecord[] = [];
    while (records.length < recordCountMax) {
      const record = this.#next(held);
      if (record === undefined) break;
      records.push(record);
    }
    return records;
  }

  /** Drops what waits of one partition. */
  drop(held: HeldPartition): void {
    for (const chunk of this.#queues.get(held)?.clear() ?? []) chunk.drop();
    this.#queues.delete(held);
  }

  clear(): void {
    for (const held of [...this.#queues.keys()]) this.drop(held);
  }

  #next(held: HeldPartition): ReceivedRecord | undefined {
    const queue = this.#queues.get(held);
    for (let chunk = queue?.first; queue !== undefined && chunk !== undefined; chunk = queue.first) {
      for (let record = chunk.next(); record !== undefined; record = chunk.next()) {
        if (held.nextWanted !== undefined && record.offset < held.nextWanted) continue;
        held.passed(record);
        return record;
      }
      queue.shift();
      // To the end of the turn.
      this.#queues.delete(held);
      if (queue.length > 0) this.#queues.set(held, queue);
    }
    return undefined;
  }
}
