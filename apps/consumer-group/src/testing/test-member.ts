/** A member as a plain generated client would be: it sends what it is told and remembers what it hears. */
import type { PartitaError } from '@partita/domain';
import { ConsumeInitial, GroupServiceService } from '@partita/protocol';
import type {
  AssignedPartition,
  ConsumeAssignment,
  ConsumedRecord,
  ConsumeRequest,
  ConsumeResponse,
} from '@partita/protocol';
import { openBidi } from '@partita/rpc/client';
import type { BidiStream, ChannelPool } from '@partita/rpc/client';

type Answer = NonNullable<ConsumeResponse['message']>;
type AnswerOf<Case extends Answer['$case']> = Extract<Answer, { $case: Case }>;

/** Names a record in assertions. */
export interface HeardRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly value: string;
  readonly consumed: ConsumedRecord;
}

export class TestMember {
  readonly heard: Answer[] = [];
  readonly records: HeardRecord[] = [];
  assignment: ConsumeAssignment | undefined;
  memberId = '';
  memberEpoch = 0;
  /** Gives partitions up as soon as it is asked to. */
  autoRevoke = true;
  readonly closed: Promise<PartitaError | undefined>;
  readonly #stream: BidiStream<ConsumeRequest>;
  readonly #heartbeat: ReturnType<typeof setInterval>;
  readonly #watchers = new Set<() => void>();

  constructor(pool: ChannelPool, address: string, initial: Parameters<typeof ConsumeInitial.fromPartial>[0]) {
    this.#stream = openBidi(pool.client(address), GroupServiceService.consume, {
      onMessage: (message) => this.#onMessage(message),
    });
    this.closed = this.#stream.closed;
    this.#heartbeat = setInterval(() => this.send({ $case: 'heartbeat', heartbeat: { positions: [] } }), 200);
    void this.closed.then(() => clearInterval(this.#heartbeat));
    this.send({ $case: 'initial', initial: ConsumeInitial.fromPartial(initial) });
  }

  send(message: NonNullable<ConsumeRequest['message']>, traceparent = ''): void {
    this.#stream.send({ message, traceparent });
  }

  grant(records: number, bytes = 1_000_000): void {
    this.send({ $case: 'credit', credit: { records: BigInt(records), bytes: BigInt(bytes) } });
  }

  ack(
    ackId: bigint,
    offsets: readonly { topic: string; partition: number; nextOffset: bigint; assignmentEpoch?: number }[],
  ): void {
    const full = offsets.map((offset) => ({
      assignmentEpoch: this.holding(offset.topic, offset.partition)?.assignmentEpoch ?? 0,
      recordEpoch: 0,
      metadata: '',
      ...offset,
    }));
    this.send({ $case: 'ack', ack: { ackId, offsets: full } });
  }

  holding(topic: string, partition: number): AssignedPartition | undefined {
    return this.assignment?.partitions.find((held) => held.topic === topic && held.partition === partition);
  }

  /** Numbers of the partitions that it holds and need not give up, over all topics. */
  get partitions(): number[] {
    const revoking = this.assignment?.revoking ?? [];
    const kept = this.assignment?.partitions.filter(
      (held) => !revoking.some((r) => r.topic === held.topic && r.partition === held.partition),
    );
    return (kept ?? []).map((held) => held.partition).sort((a, b) => a - b);
  }

  get values(): string[] {
    return this.records.map((record) => record.value);
  }

  all<Case extends Answer['$case']>(kind: Case): AnswerOf<Case>[] {
    return this.heard.filter((answer): answer is AnswerOf<Case> => answer.$case === kind);
  }

  /** Resolves when `condition` holds; rejects after `waitMs`, or when the stream ends before. */
  until(condition: () => boolean, waitMs = 5000): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => fail('in time'), waitMs);
      const look = (): void => {
        if (condition()) finish(resolve);
      };
      const finish = (end: () => void): void => {
        clearTimeout(timer);
        this.#watchers.delete(look);
        end();
      };
      const fail = (why: string): void => {
        const heard = this.heard.map((answer) => answer.$case).join(' ');
        finish(() =>
          reject(
            new Error(`${condition.toString()} did not hold ${why}; heard: ${heard}; values: ${this.values.join()}`),
          ),
        );
      };
      this.#watchers.add(look);
      void this.closed.then((error) => {
        if (this.#watchers.has(look)) fail(`before the stream ended: ${error?.reason ?? 'OK'} ${error?.message ?? ''}`);
      });
      look();
    });
  }

  /** Says nothing any more by itself; the stream stays. */
  stopHeartbeats(): void {
    clearInterval(this.#heartbeat);
  }

  /** Breaks the stream, as a crash does. */
  crash(): void {
    clearInterval(this.#heartbeat);
    this.#stream.cancel();
  }

  async leave(): Promise<void> {
    this.send({ $case: 'leave', leave: { offsets: [] } });
    await this.closed;
  }

  #onMessage({ message }: ConsumeResponse): void {
    if (message === undefined) return;
    this.heard.push(message);
    if (message.$case === 'joined') ({ memberId: this.memberId, memberEpoch: this.memberEpoch } = message.joined);
    if (message.$case === 'assignment') this.#onAssignment(message.assignment);
    if (message.$case === 'records') {
      const { topic, partition, records } = message.records;
      for (const consumed of records) {
        const value = Buffer.from(consumed.record?.value ?? []).toString();
        this.records.push({ topic, partition, offset: consumed.offset, value, consumed });
      }
    }
    for (const look of [...this.#watchers]) look();
  }

  #onAssignment(assignment: ConsumeAssignment): void {
    this.assignment = assignment;
    this.memberEpoch = assignment.memberEpoch;
    const { revoking } = assignment;
    if (this.autoRevoke && revoking.length > 0)
      this.send({ $case: 'revoked', revoked: { partitions: revoking, offsets: [] } });
  }
}
