/** Many plain clients at one gateway: records by the unary call, without a repeat, and what became of each. */
import { asPartitaError, PartitaError } from '@partita/domain';
import { ProduceRequest, ProducerServiceService } from '@partita/protocol';
import { outcomeOf } from '@partita/rpc';
import { callUnary, ChannelPool } from '@partita/rpc/client';

const VALUE_BYTES = 8192;
const TICK_MS = 5;
/** Calls that are begun in one turn: who is behind still reads what comes back, or sees deadlines pass that were kept. */
const TURN_CALL_COUNT_MAX = 32;
const ID_BYTES = 4;

export interface LoadOptions {
  /** Of the gateway. */
  readonly address: string;
  readonly topic: string;
  readonly partitionCount: number;
  /** Each has a name and a connection of its own. */
  readonly clientCount: number;
  readonly deadlineMs?: number;
}

export class ProduceLoad {
  readonly #options: LoadOptions;
  readonly #pools: readonly ChannelPool[];
  #nextId = 0;
  /** Ids of records by what their producer was told. */
  readonly acknowledged = new Set<number>();
  readonly refused = new Set<number>();
  readonly inDoubt = new Set<number>();
  /** How often each reason was told; and one error of each. */
  readonly reasons = new Map<string, { count: number; readonly first: PartitaError }>();
  /** Refusals that say how long to wait. */
  advisedCount = 0;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#pools = Array.from(
      { length: options.clientCount },
      (_, index) => new ChannelPool({ clientId: `load-${index}` }),
    );
  }

  close(): void {
    for (const pool of this.#pools) pool.close();
  }

  /** Never rejects; true = acknowledged. */
  async one(partition?: number): Promise<boolean> {
    const id = this.#nextId++;
    const { address, topic, partitionCount, deadlineMs = 10_000 } = this.#options;
    const value = Buffer.alloc(VALUE_BYTES);
    value.writeUInt32LE(id);
    const wanted = { topic, partition: partition ?? id % partitionCount, records: [{ value }] };
    const pool = this.#pools[id % this.#pools.length];
    try {
      if (pool === undefined) throw new Error('a load without clients');
      const client = pool.client(address);
      await callUnary(client, ProducerServiceService.produce, ProduceRequest.fromPartial(wanted), {
        deadlineMs,
        append: true,
      });
      this.acknowledged.add(id);
      return true;
    } catch (thrown) {
      this.#note(id, asPartitaError(thrown));
      return false;
    }
  }

  /** So many callers, each with one call under way. Records acknowledged in a second. */
  async closedLoop(callerCount: number, seconds: number, partition?: number): Promise<number> {
    const untilMs = performance.now() + seconds * 1000;
    let count = 0;
    const caller = async (): Promise<void> => {
      while (performance.now() < untilMs) if (await this.one(partition)) count += 1;
    };
    await Promise.all(Array.from({ length: callerCount }, caller));
    return count / seconds;
  }

  /** Calls at a rate, whatever becomes of them. Resolves when all are answered; with the rate that was kept. */
  async openLoop(ratePerSecond: number, seconds: number): Promise<number> {
    const open = new Set<Promise<unknown>>();
    const startMs = performance.now();
    let sent = 0;
    for (let nowMs = startMs; nowMs - startMs < seconds * 1000; nowMs = performance.now()) {
      for (const due = ((nowMs - startMs) / 1000) * ratePerSecond; sent < due; sent += 1) {
        const call = this.one().finally(() => open.delete(call));
        open.add(call);
        if (sent % TURN_CALL_COUNT_MAX === 0) await new Promise(setImmediate);
      }
      await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    }
    const kept = sent / ((performance.now() - startMs) / 1000);
    await Promise.all(open);
    return kept;
  }

  #note(id: number, error: PartitaError): void {
    (outcomeOf(error) === 'unknown' ? this.inDoubt : this.refused).add(id);
    const known = this.reasons.get(error.reason);
    if (known === undefined) this.reasons.set(error.reason, { count: 1, first: error });
    else known.count += 1;
    if ((error.retryAfterMs ?? 0) > 0) this.advisedCount += 1;
  }
}

/** The id of a record of a load. Throws an Error when it is none. */
export function idOf(value: Uint8Array | undefined): number {
  if (value?.byteLength !== VALUE_BYTES) throw new Error('a record that no load has sent');
  return Buffer.from(value.buffer, value.byteOffset, ID_BYTES).readUInt32LE();
}
