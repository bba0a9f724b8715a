/** A producer that goes on at a steady pace while the cluster changes under it, and notes what became of each record. */
import { keyHash } from '@partita/batch';
import { ClientError } from '@partita/client';
import type { Producer, SentRecord } from '@partita/client';
import type { Partition } from '@partita/protocol';
import type { Send } from './checks.ts';
import { flightValue, ROW_HEADER } from './flights.ts';
import type { Flight } from './flights.ts';
import { nowMs } from './member-report.ts';

const TICK_MS = 10;
const SENDS_PER_TICK = 20;

export interface SteadySendsOptions {
  readonly producer: Producer;
  readonly topic: string;
  readonly partitions: readonly Partition[];
  /** Sent in turn, over and over. */
  readonly flights: readonly Flight[];
}

export class SteadySends {
  /** In the order of sending. */
  readonly sends: Send[] = [];
  readonly #options: SteadySendsOptions;
  readonly #underWay = new Set<Promise<void>>();
  readonly #timer: NodeJS.Timeout;

  constructor(options: SteadySendsOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Sends no more. Resolves when every record sent has its outcome. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#underWay);
  }

  #tick(): void {
    for (let count = 0; count < SENDS_PER_TICK; count += 1) {
      const sending = this.#send();
      this.#underWay.add(sending);
      void sending.then(() => this.#underWay.delete(sending));
    }
  }

  async #send(): Promise<void> {
    const { producer, topic, partitions, flights } = this.#options;
    const number = this.sends.length;
    const flight = flights[number % flights.length];
    if (flight === undefined) throw new Error('no flights to send');
    const hash = keyHash(Buffer.from(flight.origin));
    // Told, not left to the gateway: so each partition has a queue of its own, and none waits for another's leader.
    const partition = partitions.find(({ hashMin, hashMax }) => hashMin <= hash && hash <= hashMax)?.partition ?? 0;
    const send: Send = { number, key: flight.origin, partition, outcome: 'under way', atMs: 0 };
    this.sends.push(send);
    const record = { key: flight.origin, value: flightValue(flight), headers: { [ROW_HEADER]: String(number) } };
    send.outcome = await producer.send(topic, record, { partition }).catch(doubtOrRefusal);
    send.atMs = nowMs();
  }
}

function doubtOrRefusal(error: unknown): Exclude<Send['outcome'], SentRecord> {
  if (error instanceof ClientError) return error.outcome === 'unknown' ? 'unknown' : 'refused';
  throw error;
}
