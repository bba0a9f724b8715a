/** Orders of one size to the byte, made once: what a producer sends must not cost it more than sending. */
import { recordBytes } from '@partita/batch';
import type { RecordInput } from '@partita/batch';
import type { OutgoingRecord } from '@partita/client';
import { orderRecord } from '../storage-loads/order-records.ts';

/** So many that no batch holds one twice, which would pack it better than orders pack. */
const POOL_BYTES = 16 * 1024 * 1024;

export class OrderPool {
  readonly #records: readonly OutgoingRecord[];
  #next = 0;

  constructor(bytes: number) {
    const records = exactOrders(bytes, Math.ceil(POOL_BYTES / bytes));
    // The timestamp is the sender's own at every send.
    this.#records = records.map(({ key, value }) => ({ key, value }));
  }

  /** The next `count`, from the first again after the last. */
  take(count: number): OutgoingRecord[] {
    const taken: OutgoingRecord[] = [];
    while (taken.length < count) {
      const part = this.#records.slice(this.#next, this.#next + count - taken.length);
      this.#next = (this.#next + part.length) % this.#records.length;
      taken.push(...part);
    }
    return taken;
  }
}

/** Orders 0 to below `count`, each with `bytes` as serialised. */
export function exactOrders(bytes: number, count: number): RecordInput[] {
  const missing = bytes - recordBytes(orderRecord(0, bytes));
  const aimed = bytes + missing;
  // A byte more of the value can be a byte more of its length too.
  const excess = recordBytes(orderRecord(0, aimed)) - bytes;
  return Array.from({ length: count }, (_, number) => orderRecord(number, aimed - excess));
}
