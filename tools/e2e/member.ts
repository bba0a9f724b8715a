/** A member of a consumer group by the raw stream, as a plain generated client would write it. */
import type { PartitaError } from '@partita/domain';
import { ConsumeRequest, GroupServiceService } from '@partita/protocol';
import type {
  AssignedPartition,
  ConsumeAssignment,
  ConsumeResponse,
  ConsumedRecord,
  OffsetCommit,
} from '@partita/protocol';
import { openBidi } from '@partita/rpc/client';
import type { BidiStream } from '@partita/rpc/client';
import type { Api } from './api.ts';
import { ageMsOf } from './steady-records.ts';
import { Hopeless, until } from './until.ts';

const HEARTBEAT_MS = 500;
const CREDIT = { records: 1000n, bytes: 8n * 1024n * 1024n };

export type ConsumeMessage = NonNullable<Parameters<typeof ConsumeRequest.fromPartial>[0]>['message'];

/** A record with the partition it came from. */
export interface Delivery {
  readonly topic: string;
  readonly partition: number;
  readonly consumed: ConsumedRecord;
}

export class Member {
  readonly group: string;
  /** Every record delivered, in order of arrival. */
  readonly deliveries: Delivery[] = [];
  /** From send to delivery, where a record's value is when it was sent (steady-records.ts). */
  readonly latenciesMs: number[] = [];
  /** Every assignment received. */
  readonly assignments: ConsumeAssignment[] = [];
  /** Why the stream ended: undefined while it lives, `ok` after a clean end. */
  ended: PartitaError | 'ok' | undefined;
  readonly #stream: BidiStream<ConsumeRequest>;
  readonly #heartbeat: NodeJS.Timeout;
  /** Next offset by partition, of what was delivered under the present assignment. */
  readonly #positions = new Map<string, OffsetCommit>();
  readonly #acked = new Set<bigint>();
  readonly #failures: string[] = [];
  #ackId = 0n;

  /** `sessionSeconds`: the session time-out, the service's own by default. */
  constructor(api: Api, address: string, group: string, topics: readonly string[], sessionSeconds?: number) {
    this.group = group;
    const sessionTimeout = sessionSeconds === undefined ? undefined : { seconds: BigInt(sessionSeconds) };
    this.#stream = openBidi(api.pool.client(address), GroupServiceService.consume, {
      onMessage: (message) => this.#take(message),
      onClose: (error) => {
        clearInterval(this.#heartbeat);
        this.ended = error ?? 'ok';
      },
    });
    this.#heartbeat = setInterval(() => this.send({ $case: 'heartbeat', heartbeat: {} }), HEARTBEAT_MS);
    const subscription = { topics: [...topics] };
    this.send({ $case: 'initial', initial: { group, subscription, credit: CREDIT, sessionTimeout } });
  }

  send(message: ConsumeMessage): void {
    this.#stream.send(ConsumeRequest.fromPartial({ message }));
  }

  /** Partitions held now, without those being given up. */
  get held(): AssignedPartition[] {
    const now = this.assignments.at(-1);
    const revoking = new Set(now?.revoking.map(({ topic, partition }) => `${topic}/${partition}`));
    return (now?.partitions ?? []).filter(({ topic, partition }) => !revoking.has(`${topic}/${partition}`));
  }

  get values(): string[] {
    return this.deliveries.map(({ consumed }) => Buffer.from(consumed.record?.value ?? []).toString());
  }

  async untilHolding(count: number): Promise<void> {
    await until(`member of ${this.group} to hold ${count} partitions, it holds ${this.held.length}`, 30, () => {
      this.mustLive();
      return this.assignments.length > 0 && this.held.length === count;
    });
  }

  async untilDelivered(count: number): Promise<void> {
    await until(`${count} records of ${this.group}`, 30, () => {
      this.mustLive();
      return this.deliveries.length >= count;
    });
  }

  /** Commits everything delivered from the partitions held, and waits until that is durable. */
  async commit(): Promise<void> {
    const ackId = (this.#ackId += 1n);
    const held = new Set(this.held.map(({ topic, partition }) => `${topic}/${partition}`));
    const offsets = [...this.#positions].filter(([name]) => held.has(name)).map(([, commit]) => commit);
    if (offsets.length === 0) return;
    this.send({ $case: 'ack', ack: { ackId, offsets } });
    await until(`the commit of ${this.group}`, 15, () => {
      this.mustLive();
      return this.#acked.has(ackId);
    });
    if (this.#failures.length > 0) throw new Error(`commits were refused: ${this.#failures.join('; ')}`);
  }

  /** Leaves with a last commit of everything; resolves when the server has ended the stream. */
  async leave(): Promise<void> {
    await this.commit();
    this.send({ $case: 'leave', leave: { offsets: [] } });
    await until(`the end of a member of ${this.group}`, 15, () => this.ended !== undefined);
    if (this.ended !== 'ok') throw new Error('the stream of a member that left failed', { cause: this.ended });
  }

  /** Vanishes without a word, as a process that is killed. */
  drop(): void {
    this.#stream.cancel();
  }

  /** Throws when the stream has ended, and why. */
  mustLive(): void {
    if (this.ended !== undefined) throw new Hopeless(`the member's stream ended: ${String(this.ended)}`);
  }

  #take({ message }: ConsumeResponse): void {
    switch (message?.$case) {
      case 'assignment':
        this.assignments.push(message.assignment);
        this.#giveUp(message.assignment.revoking);
        return;
      case 'records': {
        const { topic, partition, assignmentEpoch, records } = message.records;
        let bytes = 0;
        for (const consumed of records) {
          this.deliveries.push({ topic, partition, consumed });
          this.latenciesMs.push(ageMsOf(consumed.record?.value));
          bytes += 128 + (consumed.record?.key?.length ?? 0) + (consumed.record?.value?.length ?? 0);
          const nextOffset = consumed.offset + 1n;
          const commit = {
            topic,
            partition,
            nextOffset,
            recordEpoch: consumed.leaderEpoch,
            metadata: '',
            assignmentEpoch,
          };
          this.#positions.set(`${topic}/${partition}`, commit);
        }
        this.send({ $case: 'credit', credit: { records: BigInt(records.length), bytes: BigInt(bytes) } });
        return;
      }
      case 'ackResult':
        this.#failures.push(...message.ackResult.failures.map(({ error }) => error?.message ?? 'no reason'));
        if (message.ackResult.error !== undefined) this.#failures.push(message.ackResult.error.message);
        this.#acked.add(message.ackResult.ackId);
        return;
      default:
        return;
    }
  }

  #giveUp(partitions: readonly AssignedPartition[]): void {
    if (partitions.length === 0) return;
    const offsets = partitions.flatMap(({ topic, partition }) => this.#positions.get(`${topic}/${partition}`) ?? []);
    for (const { topic, partition } of partitions) this.#positions.delete(`${topic}/${partition}`);
    this.send({ $case: 'revoked', revoked: { partitions: [...partitions], offsets } });
  }
}
