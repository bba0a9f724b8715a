/** A broker whose fetch streams a spec drives. */
import { PartitaError } from '@partita/domain';
import { BrokerServiceService, FetchedPartition, ListOffsetsResponse } from '@partita/protocol';
import type { FetchPartition, FetchStreamRequest, FetchStreamResponse } from '@partita/protocol';
import { toRpcStatus } from '@partita/rpc';
import { bidi, unary } from '@partita/rpc/server';
import type { ServerBidiStream } from '@partita/rpc/server';
import { TOPIC_ID } from './leaders.ts';
import { part } from './loopback.ts';

export interface SentData {
  readonly nextOffset?: bigint;
  readonly recordBatches?: Uint8Array;
  /** Zeros, so many, where `recordBatches` is not given. */
  readonly bytes?: number;
  readonly highWatermark?: bigint;
  readonly error?: PartitaError;
}

export class SpecBroker {
  readonly starts: (FetchPartition & { readonly startId: bigint })[] = [];
  readonly stops: number[] = [];
  creditBytes = 0;
  /** What ListOffsets tells of partition 0. */
  log = { offset: 0n, logStartOffset: 0n, highWatermark: 0n };
  stream: ServerBidiStream<FetchStreamResponse> | undefined;

  readonly part = part(BrokerServiceService, {
    fetchStream: bidi<FetchStreamRequest, FetchStreamResponse>((stream) => {
      this.stream = stream;
      return { onMessage: ({ message }) => this.#onMessage(message) };
    }),
    listOffsets: unary(() => ListOffsetsResponse.fromPartial({ results: [this.log] })),
  });

  #onMessage(message: FetchStreamRequest['message']): void {
    if (message?.$case === 'initial') this.creditBytes += Number(message.initial.credit?.bytes ?? 0n);
    if (message?.$case === 'credit') this.creditBytes += Number(message.credit.bytes);
    if (message?.$case === 'start') {
      const { startId } = message.start;
      this.starts.push(...message.start.partitions.map((partition) => ({ ...partition, startId })));
    }
    if (message?.$case === 'stop') this.stops.push(...message.stop.partitions.map((partition) => partition.partition));
  }

  /** Sends data, or an error, for the latest reading or an earlier one. */
  data(content: SentData, start = this.starts.at(-1)): void {
    const { nextOffset = 0n, highWatermark = 0n, bytes = 1, error } = content;
    const partition = FetchedPartition.fromPartial({
      topicId: TOPIC_ID,
      partition: start?.partition ?? 0,
      nextOffset,
      highWatermark,
      recordBatches: content.recordBatches ?? new Uint8Array(bytes),
      ...(error === undefined ? {} : { error: toRpcStatus(error) }),
    });
    this.stream?.send({ message: { $case: 'data', data: { startId: start?.startId ?? 0n, partition } } });
  }
}
