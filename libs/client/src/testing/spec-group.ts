/** A consumer-group instance that says what a spec tells it to, and a consumer on it. */
import {
  ConsumeAssignment,
  ConsumeBatches,
  ConsumedRecord,
  GetCommittedOffsetsResponse,
  GroupServiceService,
  ServiceKind,
} from '@partita/protocol';
import type { CommitFailure, ConsumeRequest, ConsumeResponse, OffsetCommit } from '@partita/protocol';
import { bidi, unary } from '@partita/rpc/server';
import type { ServerBidiStream } from '@partita/rpc/server';
import { connect } from '../index.ts';
import type { ConsumerOptions, ReceivedRecord } from '../index.ts';
import { TOPIC_ID } from './leaders.ts';
import { closeLater, listen, part, SpecDirectory } from './loopback.ts';

export type Message = NonNullable<ConsumeRequest['message']>;
type Kind = Message['$case'];
type Held = readonly [partition: number, assignmentEpoch: number];

/** A consumer-group instance that says what the spec tells it to, and remembers what members say. */
export class SpecGroup {
  readonly heard: Message[] = [];
  /** What each of them said of its trace. */
  readonly traceparents: string[] = [];
  stream: ServerBidiStream<ConsumeResponse> | undefined;
  streamCount = 0;
  /** Streams that members ended without leaving. */
  endCount = 0;
  /** What the group has, by partition. */
  readonly committed = new Map<number, bigint>();
  /** False = acks get no answer. */
  answersAcks = true;
  /** What every ack is answered with. */
  failures: CommitFailure[] = [];
  /** Called with each `initial`; by default the member joins and gets partition 0. */
  onInitial: (initial: Extract<Message, { $case: 'initial' }>['initial']) => void = () => {
    this.join();
    this.assign([[0, 1]]);
  };

  readonly part = part(GroupServiceService, {
    consume: bidi<ConsumeRequest, ConsumeResponse>((stream) => {
      this.streamCount += 1;
      this.stream = stream;
      return { onMessage: (request) => this.#onMessage(request), onEnd: () => this.#onEnd(stream) };
    }),
    getCommittedOffsets: unary(() =>
      GetCommittedOffsetsResponse.fromPartial({ offsets: [{ topic: 't', partition: 0, nextOffset: 77n }] }),
    ),
  });

  /** The member ended its side. */
  #onEnd(stream: ServerBidiStream<ConsumeResponse>): void {
    this.endCount += 1;
    stream.end();
  }

  #onMessage({ message, traceparent }: ConsumeRequest): void {
    if (message === undefined) return;
    this.heard.push(message);
    this.traceparents.push(traceparent);
    if (message.$case === 'initial') this.onInitial(message.initial);
    if (message.$case === 'ack')
      for (const offset of message.ack.offsets) this.committed.set(offset.partition, offset.nextOffset);
    if (message.$case === 'ack' && this.answersAcks)
      this.say({
        $case: 'ackResult',
        ackResult: { ackId: message.ack.ackId, error: this.failures[0]?.error, failures: this.failures },
      });
    if (message.$case === 'leave') this.stream?.end();
  }

  say(message: NonNullable<ConsumeResponse['message']>): void {
    this.stream?.send({ message });
  }

  join(memberId = 'm-1'): void {
    this.say({ $case: 'joined', joined: { memberId, memberEpoch: 1, heartbeatMs: 1000, ownerAddress: '' } });
  }

  /** Delivery begins at `committed`, as a group that has taken in the acks says. */
  assign(partitions: readonly Held[], revoking: readonly Held[] = [], memberEpoch = 1): void {
    const named = ([partition, assignmentEpoch]: Held) => ({
      topic: 't',
      partition,
      assignmentEpoch,
      startOffset: this.committed.get(partition) ?? 0n,
    });
    const assignment = ConsumeAssignment.fromPartial({
      memberEpoch,
      partitions: partitions.map(named),
      revoking: revoking.map(named),
    });
    this.say({ $case: 'assignment', assignment });
  }

  /** Delivers offsets `from` to `to`, exclusive. */
  deliver(partition: number, from: number, to: number, assignmentEpoch = 1, traceparent = '', seekId = 0n): void {
    const records = Array.from({ length: to - from }, (_, index) =>
      ConsumedRecord.fromPartial({
        offset: BigInt(from + index),
        leaderEpoch: 3,
        record: { value: new Uint8Array(10), traceparent },
      }),
    );
    this.say({
      $case: 'records',
      records: { topic: 't', partition, assignmentEpoch, records, highWatermark: BigInt(to), seekId },
    });
  }

  /** Delivers batches as stored, from `fromOffset` on. */
  deliverBatches(batches: readonly Uint8Array[], options: Partial<ConsumeBatches> = {}): void {
    const message = ConsumeBatches.fromPartial({
      topic: 't',
      topicId: TOPIC_ID,
      partition: 0,
      assignmentEpoch: 1,
      recordBatches: Buffer.concat(batches),
      ...options,
    });
    this.say({ $case: 'batches', batches: message });
  }

  /** What messages of a kind said of their traces. */
  traceparentsOf(kind: Kind): string[] {
    return this.traceparents.filter((_, index) => this.heard[index]?.$case === kind);
  }

  all<K extends Kind>(kind: K): Extract<Message, { $case: K }>[] {
    return this.heard.filter((message): message is Extract<Message, { $case: K }> => message.$case === kind);
  }

  /** Next offsets committed by acks, in order: `partition:offset`. */
  get acked(): string[] {
    return this.all('ack').flatMap(({ ack }) => ack.offsets.map(text));
  }
}

export function text({ partition, nextOffset }: OffsetCommit): string {
  return `${partition}:${nextOffset}`;
}

/** A client and its consumer of topic "t"; nothing is sent before the first record is asked for. */
export async function startConsumer(options: Partial<ConsumerOptions> = {}) {
  const group = new SpecGroup();
  const directory = new SpecDirectory();
  const { address } = await listen([directory.part, group.part]);
  directory.add(ServiceKind.SERVICE_KIND_CONSUMER_GROUP, address);
  const client = await connect({ servers: [address] });
  const consumer = client.consumer({ group: 'g', topics: ['t'], ...options });
  closeLater(() => client.close());
  const records = consumer[Symbol.asyncIterator]();
  return { group, directory, address, consumer, client, records };
}

/** Takes so many records: `partition:offset`. */
export async function offsets(records: AsyncIterator<ReceivedRecord>, count: number): Promise<string[]> {
  const taken: string[] = [];
  for (let index = 0; index < count; index += 1) {
    const next = await records.next();
    if (next.done === true) break;
    taken.push(`${next.value.partition}:${next.value.offset}`);
  }
  return taken;
}
