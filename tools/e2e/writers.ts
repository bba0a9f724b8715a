/** Producers that run while things are killed, and the books they keep: what was sent, what was acknowledged. */
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '@partita/client';
import { expect } from 'vitest';
import type { Api } from './api.ts';
import { keyOf, valueOf } from './api.ts';

const KEYS_PER_WRITER = 5;
const IN_FLIGHT_MAX = 50;

export interface LedgerOptions {
  /** Whether acknowledgements of the SDK must say that the record is on the device. Default: true. */
  readonly fsynced?: boolean;
  /** Characters behind the number in each value, so that segments fill and roll. Default: 0. */
  readonly paddingChars?: number;
}

/** The books of all writers of one topic over all rounds. */
export class Ledger {
  readonly topic: string;
  readonly partitionCount: number;
  readonly fsynced: boolean;
  /** Value by value, in the order of sending. */
  readonly sent = new Set<string>();
  readonly acked = new Set<string>();
  readonly failures: string[] = [];
  readonly #padding: string;
  #writers = 0;

  constructor(topic: string, partitionCount: number, options: LedgerOptions = {}) {
    this.topic = topic;
    this.partitionCount = partitionCount;
    this.fsynced = options.fsynced ?? true;
    this.#padding = options.paddingChars === undefined ? '' : ` ${'-'.repeat(options.paddingChars)}`;
  }

  /** A record of its own for each call: `<key> <number>`, the key names the writer; numbers grow. */
  writer(): () => { key: string; value: string } {
    const writer = (this.#writers += 1);
    let number = 0;
    return () => {
      const key = `w${writer}k${number % KEYS_PER_WRITER}`;
      const value = `${key} ${number}${this.#padding}`;
      number += 1;
      this.sent.add(value);
      return { key, value };
    };
  }

  /**
   * Reads everything and holds it against the books: every acknowledged record once, no record twice, none that nobody
   * sent, and each key in the order of sending. Returns how many records there are.
   */
  async check(api: Api): Promise<number> {
    const seen = new Set<string>();
    const last = new Map<string, number>();
    const partitions = Array.from({ length: this.partitionCount }, (_, number) =>
      api.readPartition(this.topic, number),
    );
    for (const records of await Promise.all(partitions)) {
      for (const consumed of records) {
        const value = valueOf(consumed);
        // Plain conditions: there may be hundreds of thousands of records, and each expect() costs.
        if (!this.sent.has(value)) expect.fail(`nobody sent "${value}"`);
        if (seen.has(value)) expect.fail(`"${value}" is there twice`);
        seen.add(value);
        const [key = '', number = ''] = value.split(' ');
        if (keyOf(consumed) !== key) expect.fail(`"${value}" has the key "${keyOf(consumed)}"`);
        if (Number(number) <= (last.get(key) ?? -1)) expect.fail(`"${value}" is out of order`);
        last.set(key, Number(number));
      }
    }
    const lost = [...this.acked].filter((value) => !seen.has(value));
    expect(lost, `${lost.length} of ${this.acked.size} acknowledged records are lost`).toEqual([]);
    return seen.size;
  }
}

export interface Running {
  /** Tells the writer to send no more, and waits for its open sends. Never rejects: failures are in the ledger. */
  stop(): Promise<void>;
}

/** One record after the other by the unary call. Nothing is sent again. */
export function writeUnary(api: Api, ledger: Ledger): Running {
  const next = ledger.writer();
  const abort = new AbortController();
  const work = (async () => {
    while (!abort.signal.aborted) {
      const record = next();
      try {
        const { results } = await api.produce(ledger.topic, [record], { deadlineMs: 5000 });
        const outcome = results[0]?.outcome;
        if (outcome?.$case === 'ack') ledger.acked.add(record.value);
        else ledger.failures.push(outcome?.error.message ?? 'no outcome');
      } catch (error) {
        ledger.failures.push(String(error));
        await sleep(20);
      }
    }
  })();
  return {
    stop: () => {
      abort.abort();
      return work;
    },
  };
}

/** Many records at once by the SDK's producer, which sends again only what was certainly refused. */
export async function writeSdk(server: string, ledger: Ledger): Promise<Running> {
  const client = await connect({ servers: [server], clientId: 'e2e-writer' });
  const producer = client.producer({ deliveryTimeoutMs: 10_000 });
  const next = ledger.writer();
  const abort = new AbortController();
  const open = new Set<Promise<void>>();
  const work = (async () => {
    while (!abort.signal.aborted) {
      const record = next();
      const sending = producer
        .send(ledger.topic, record, { signal: abort.signal })
        .then((sent) => {
          expect(sent.fsynced).toBe(ledger.fsynced);
          ledger.acked.add(record.value);
        })
        .catch((error: unknown) => void ledger.failures.push(String(error)))
        .finally(() => open.delete(sending));
      open.add(sending);
      if (open.size >= IN_FLIGHT_MAX) await Promise.race(open);
      // Gives others their turn, and keeps the run from being one of throughput.
      await sleep(1);
    }
    await Promise.all(open);
    await client.close();
  })();
  return {
    stop: () => {
      abort.abort();
      return work;
    },
  };
}
