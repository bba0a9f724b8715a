/** Many members of one group in this process, each with a connection of its own, and what a change of members does to each partition. */
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '@partita/client';
import type { Consumer, PartitaClient, PartitionName } from '@partita/client';
import { ageMsOf } from './steady-records.ts';
import { until } from './until.ts';

export interface LargeGroupOptions {
  readonly group: string;
  readonly topic: string;
  readonly count: number;
}

/** A partition that another member has now. */
interface Moved {
  readonly partition: number;
  /** The longest that a record waited, or that nobody had the partition, milliseconds. */
  readonly pauseMs: number;
}

/** A partition that stayed. Gaps are between two of its records, milliseconds. */
interface Stayed {
  readonly partition: number;
  readonly gapMs: number;
  /** p99 of those before the change. */
  readonly usualGapMs: number;
  readonly wasRevoked: boolean;
}

export interface Resize {
  readonly settledMs: number;
  readonly moved: readonly Moved[];
  readonly others: readonly Stayed[];
}

interface Arrival {
  readonly atMs: number;
  readonly latencyMs: number;
}

interface LargeMember {
  readonly name: number;
  readonly client: PartitaClient;
  readonly consumer: Consumer;
  readonly running: Promise<void>;
}

export class LargeGroup {
  arrivalCount = 0;
  readonly #server: string;
  readonly #options: LargeGroupOptions;
  readonly #members: LargeMember[] = [];
  readonly #holders = new Map<number, number>();
  /** By partition. */
  readonly #arrivals = new Map<number, Arrival[]>();
  readonly #revokedAtMs = new Map<number, number>();
  readonly #assignedAtMs = new Map<number, number>();
  #count = 0;

  static async start(server: string, options: LargeGroupOptions): Promise<LargeGroup> {
    const group = new LargeGroup(server, options);
    for (let number = 0; number < options.count; number += 1) await group.add();
    return group;
  }

  private constructor(server: string, options: LargeGroupOptions) {
    this.#server = server;
    this.#options = options;
  }

  async add(): Promise<void> {
    const name = (this.#count += 1);
    const { group, topic } = this.#options;
    const client = await connect({ servers: [this.#server], clientId: `large-${name}` });
    const consumer = client.consumer({
      group,
      topics: [topic],
      onAssigned: (partitions) => this.#assigned(name, partitions),
      onRevoked: (partitions) => this.#revoked(name, partitions, performance.now()),
    });
    const running = consumer.run(({ partition, value }) => {
      this.arrivalCount += 1;
      const arrival = { atMs: performance.now(), latencyMs: ageMsOf(value) };
      const arrivals = this.#arrivals.get(partition);
      if (arrivals === undefined) this.#arrivals.set(partition, [arrival]);
      else arrivals.push(arrival);
    });
    this.#members.push({ name, client, consumer, running });
  }

  async removeLast(): Promise<void> {
    const last = this.#members.pop();
    if (last === undefined) return;
    // A consumer that is closed is told of nothing any more.
    const [held, atMs] = [last.consumer.assignment, performance.now()];
    await last.consumer.close();
    this.#revoked(last.name, held, atMs);
    await last.client.close();
  }

  /** Each member holds its share, and every partition has a holder. */
  async untilSettled(partitionCount: number): Promise<void> {
    await until('every member to have its share', 60, () => {
      const counts = this.#members.map(({ consumer }) => consumer.assignment.length);
      const isEven = Math.max(...counts) - Math.min(...counts) <= 1;
      return (
        isEven &&
        counts.reduce((sum, count) => sum + count, 0) === partitionCount &&
        this.#holders.size === partitionCount
      );
    });
  }

  /** Changes the members, waits until that has settled and `afterMs` longer, and looks at every partition. */
  async resize(partitionCount: number, afterMs: number, change: () => Promise<void>): Promise<Resize> {
    const before = new Map(this.#holders);
    const calmFromMs = Math.min(...[...this.#arrivals.values()].map(([first]) => first?.atMs ?? Infinity));
    const fromMs = performance.now();
    await change();
    await this.untilSettled(partitionCount);
    const settledMs = performance.now() - fromMs;
    await sleep(afterMs);
    const moved: Moved[] = [];
    const others: Stayed[] = [];
    for (const [partition, holder] of before) {
      if (this.#holders.get(partition) === holder) others.push(this.#stayed(partition, calmFromMs, fromMs));
      else moved.push(this.#moved(partition, fromMs));
    }
    return { settledMs, moved, others };
  }

  async close(): Promise<void> {
    await Promise.all(this.#members.map(({ client }) => client.close()));
    await Promise.all(this.#members.map(({ running }) => running));
  }

  #moved(partition: number, fromMs: number): Moved {
    const waits = (this.#arrivals.get(partition) ?? []).filter(({ atMs }) => atMs >= fromMs);
    const withoutHolderMs = (this.#assignedAtMs.get(partition) ?? Infinity) - (this.#revokedAtMs.get(partition) ?? 0);
    return { partition, pauseMs: Math.max(withoutHolderMs, ...waits.map(({ latencyMs }) => latencyMs)) };
  }

  #stayed(partition: number, calmFromMs: number, fromMs: number): Stayed {
    const times = (this.#arrivals.get(partition) ?? []).map(({ atMs }) => atMs);
    const gaps = times.slice(1).map((atMs, index) => ({ atMs, gapMs: atMs - (times[index] ?? atMs) }));
    const usual = gaps.filter(({ atMs }) => atMs >= calmFromMs && atMs < fromMs).map(({ gapMs }) => gapMs);
    const sorted = usual.toSorted((a, b) => a - b);
    return {
      partition,
      gapMs: Math.max(0, ...gaps.filter(({ atMs }) => atMs >= fromMs).map(({ gapMs }) => gapMs)),
      usualGapMs: sorted[Math.floor(sorted.length * 0.99)] ?? Infinity,
      wasRevoked: (this.#revokedAtMs.get(partition) ?? 0) >= fromMs,
    };
  }

  #assigned(name: number, partitions: readonly PartitionName[]): void {
    for (const { partition } of partitions) {
      this.#holders.set(partition, name);
      this.#assignedAtMs.set(partition, performance.now());
    }
  }

  #revoked(name: number, partitions: readonly PartitionName[], atMs: number): void {
    for (const { partition } of partitions) {
      if (this.#holders.get(partition) === name) this.#holders.delete(partition);
      this.#revokedAtMs.set(partition, atMs);
    }
  }
}
