/** Records that the group's service pushes, decoded or as batches, as far as the credit goes. */
import { headerSeed } from '@partita/batch';
import {
  CONSUMER_BUFFER_BYTES,
  CONSUMER_BUFFER_RECORD_COUNT,
  CREDIT_RECORD_COUNT_MAX,
  RECORD_BYTES_MAX,
} from '@partita/domain';
import { DeliveryForm } from '@partita/protocol';
import type { ConsumeBatches, ConsumeCredit, ConsumePosition } from '@partita/protocol';
import type { GroupMessage, MemberMessage } from './consume-link.ts';
import type { ConsumerOptions } from './consumer-options.ts';
import { CreditWindow } from './credit-window.ts';
import { BatchesChunk, RecordsChunk } from './delivered-chunk.ts';
import type { DeliveryBuffer } from './delivery-buffer.ts';
import type { HeldPartition } from './held-partition.ts';
import type { HeldPartitions } from './held-partitions.ts';
import { offsetSpec } from './position.ts';
import type { ReceivedRecord } from './record-form.ts';
import type { RecordSource } from './record-source.ts';

/** Seeds of checksums that are kept; more partitions than that compute theirs anew. */
const SEED_COUNT_MAX = 10_000;

export interface PushedRecordsContext {
  readonly options: ConsumerOptions;
  readonly held: HeldPartitions;
  readonly buffer: DeliveryBuffer;
  send(message: MemberMessage): void;
}

export class PushedRecords implements RecordSource {
  readonly form: DeliveryForm;
  readonly #context: PushedRecordsContext;
  readonly #window: CreditWindow;
  readonly #seeds = new Map<string, number>();
  #lastSeekId = 0n;
  /** Grows with each stream: what is dropped from an earlier one is not owed for on this one. */
  #streamCount = 0;

  constructor(context: PushedRecordsContext) {
    const { options } = context;
    const isDecoded = options.delivery === 'records';
    this.form = isDecoded ? DeliveryForm.DELIVERY_FORM_RECORDS : DeliveryForm.DELIVERY_FORM_BATCHES;
    this.#context = context;
    // Batches are bounded by their bytes: the records in them cost nothing until one is decoded.
    const records = isDecoded ? CONSUMER_BUFFER_RECORD_COUNT : CREDIT_RECORD_COUNT_MAX;
    const bytes = options.bufferBytes ?? CONSUMER_BUFFER_BYTES;
    // A decoded record waits for credit for all of it.
    this.#window = new CreditWindow(
      options.bufferRecordCount ?? records,
      isDecoded ? Math.max(bytes, RECORD_BYTES_MAX) : bytes,
    );
  }

  get openingCredit(): ConsumeCredit {
    return this.#window.full;
  }

  onMessage(message: GroupMessage): void {
    switch (message.$case) {
      case 'records': {
        const { topic, partition, assignmentEpoch, records, highWatermark, seekId } = message.records;
        const held = this.#taker(topic, partition, assignmentEpoch, seekId);
        held?.sawHighWatermark(highWatermark);
        this.#context.buffer.add(held, new RecordsChunk({ topic, partition }, records, this.#owe()));
        break;
      }
      case 'batches':
        this.#onBatches(message.batches);
        break;
      case 'heartbeat':
        for (const position of message.heartbeat.positions) this.#onPosition(position);
        return;
      case 'caughtUp':
        return this.#onPosition(message.caughtUp);
      default:
        return;
    }
    this.taken();
  }

  begin(held: HeldPartition): void {
    if (held.paused) this.setPaused(held);
    else if (held.sought !== undefined) this.move(held);
  }

  move(held: HeldPartition): void {
    this.end(held);
    if (!held.begun) return;
    this.#lastSeekId += 1n;
    held.seekId = this.#lastSeekId;
    const entry = { partition: held.assigned, position: offsetSpec(held.place), seekId: held.seekId };
    this.#context.send({ $case: 'seek', seek: { entries: [entry] } });
  }

  moved(held: HeldPartition): void {
    this.end(held);
  }

  /** A pause drops what waits: kept, it would hold the credit of the others. Going on begins at the place again. */
  setPaused(held: HeldPartition): void {
    const partitions = [held.assigned];
    if (held.paused) this.end(held);
    if (!held.begun) return;
    if (held.paused) return this.#context.send({ $case: 'pause', pause: { partitions } });
    this.move(held);
    this.#context.send({ $case: 'resume', resume: { partitions } });
  }

  end(held: HeldPartition): void {
    this.#context.buffer.drop(held);
    this.taken();
  }

  taken(): void {
    const credit = this.#window.due(this.#context.buffer.isEmpty);
    if (credit !== undefined) this.#context.send({ $case: 'credit', credit });
  }

  streamLost(): void {
    this.#streamCount += 1;
    this.#context.buffer.clear();
    this.#window.reset();
  }

  close(): void {
    this.streamLost();
  }

  #onBatches(batches: ConsumeBatches): void {
    const { topic, partition, assignmentEpoch, highWatermark, seekId } = batches;
    const held = this.#taker(topic, partition, assignmentEpoch, seekId);
    held?.sawHighWatermark(highWatermark);
    const chunk = new BatchesChunk({
      name: { topic, partition },
      bytes: batches.recordBatches,
      fromOffset: batches.fromOffset,
      seed: this.#seed(batches),
      isAppendTime: batches.appendTime,
      owe: this.#owe(),
      traceparentOf: tracesOf(batches),
    });
    this.#context.buffer.add(held, chunk);
  }

  /** Whose delivery it is; undefined for one from before a seek, or of an assignment that is over. */
  #taker(topic: string, partition: number, assignmentEpoch: number, seekId: bigint): HeldPartition | undefined {
    const held = this.#context.held.get(topic, partition, assignmentEpoch);
    return held?.seekId === seekId ? held : undefined;
  }

  #onPosition({ topic, partition, highWatermark }: ConsumePosition): void {
    this.#context.held.find(topic, partition)?.sawHighWatermark(highWatermark);
  }

  #owe(): (records: number, bytes: number) => void {
    const stream = this.#streamCount;
    return (records, bytes) => {
      if (stream === this.#streamCount) this.#window.owe(records, bytes);
    };
  }

  #seed({ topicId, partition }: ConsumeBatches): number {
    const key = `${topicId}/${partition}`;
    let seed = this.#seeds.get(key);
    if (seed === undefined) {
      seed = headerSeed(topicId, partition);
      if (this.#seeds.size >= SEED_COUNT_MAX) this.#seeds.clear();
      this.#seeds.set(key, seed);
    }
    return seed;
  }
}

/** The service's spans of the records; undefined when none is traced. */
function tracesOf({ traces }: ConsumeBatches): ((record: ReceivedRecord) => string) | undefined {
  if (traces.length === 0) return undefined;
  const byOffset = new Map(traces.map(({ offset, traceparent }) => [offset, traceparent]));
  return ({ offset }) => byOffset.get(offset) ?? '';
}
