/** Producers that run while things are killed, and the books they keep: what was sent, what was acknowledged. */
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '@partita/client';
import { expect } from 'vitest';
import type { Api } from './api.ts';
import { keyOf, valueOf } from './api.ts';

const KEYS_PER_WRITER = 5;
const IN_FLIGHT_MAX = 50;

/** The books of all writers of one topic over all rounds. */
export class Ledger {
  readonly topic: string;
  readonly partitionCount: number;
  /** Value by value, in the order of sending. */
  readonly sent = new Set<string>();
  readonly acked = new Set<string>();
  readonly failures: string[] = [];
  #writers = 0;

  constructor(topic: string, partitionCount: number) {
    this.topic = topic;
    this.partitionCount = partitionCount;
  }

  /** A record of its own for each call: `<writer> <key> <number>`; numbers grow. */
  writer(): () => { key: string; value: string } {
    const writer = (this.#writers += 1);
    let number = 0;
    return () => {
      const key = `w${writer}k${number % KEYS_PER_WRITER}`;
      const value = `${key} ${number}`;
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
        expect(this.sent.has(value), `nobody sent "${value}"`).toBe(true);
        expect(seen.has(value), `"${value}" is there twice`).toBe(false);
        seen.add(value);
        const [key = '', number = ''] = value.split(' ');
        expect(keyOf(consumed)).toBe(key);
        expect(Number(number), `"${value}" out of order`).toBeGreaterThan(last.get(key) ?? -1);
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
          expect(sent.fsynced).toBe(true);
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
