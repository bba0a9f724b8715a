/**
 * One FetchStream to one broker, shared by all partitions that are read from it. The credit window belongs to the whole
 * stream; it is given back as soon as data is taken over, so readers must bound what they keep and pause when full.
 */
import { HEARTBEAT_MS, PartitaError, STREAM_SILENCE_MS_MAX } from '@partita/domain';
import { BrokerServiceService } from '@partita/protocol';
import type {
  FetchedPartition,
  FetchPartition,
  FetchStreamRequest,
  FetchStreamResponse,
  PartitionWatermark,
} from '@partita/protocol';
import { openBidi } from '@partita/rpc/client';
import type { BidiStream, ChannelPool } from '@partita/rpc/client';

/** Bytes that one broker may send ahead. */
const CREDIT_WINDOW_BYTES = 16 * 1024 * 1024;
const CREDIT_STEP_BYTES = 1024 * 1024;

/** How the credit window of a link is used. */
export interface FetchPace {
  readonly windowBytes: number;
  /** True: the credit for data is given back when its taker releases it, so that the window bounds what takers keep. */
  readonly isReleased: boolean;
}

const NOTHING_TO_RELEASE = (): void => undefined;
const READ_AHEAD: FetchPace = { windowBytes: CREDIT_WINDOW_BYTES, isReleased: false };

/** Takes what a link receives for one reading. */
export interface FetchSink {
  /** `release` once, when the data's memory is free again; without effect where the link gives credit back by itself. */
  onData(data: FetchedPartition, release: () => void): void;
  onWatermark(mark: PartitionWatermark, caughtUp: boolean): void;
  /** The link is gone; undefined = it drains or ended. */
  onBroken(error: PartitaError | undefined): void;
}

export class FetchLink {
  readonly #onClosed: () => void;
  readonly #stream: BidiStream<FetchStreamRequest>;
  readonly #sinks = new Map<bigint, FetchSink>();
  /** Reading of each partition, `<topic id>/<partition>`. */
  readonly #byPartition = new Map<string, bigint>();
  readonly #pace: FetchPace;
  readonly #heartbeat: ReturnType<typeof setInterval>;
  /** Waiting for room in the connection. Bounded: starts and stops of the partitions read, and one credit and beat a time. */
  readonly #unsent: FetchStreamRequest[] = [];
  #nextStartId = 1n;
  #owedBytes = 0;
  #isOver = false;
  #heardMs = performance.now();

  constructor(pool: ChannelPool, address: string, onClosed: () => void, pace: FetchPace = READ_AHEAD) {
    this.#pace = pace;
    this.#onClosed = onClosed;
    this.#stream = openBidi(pool.client(address), BrokerServiceService.fetchStream, {
      onMessage: (message) => this.#onMessage(message),
      onDrain: () => this.#flush(),
      onClose: (error) => this.#onClose(error),
    });
    this.#send({ $case: 'initial', initial: { credit: { bytes: BigInt(pace.windowBytes) } } });
    this.#heartbeat = setInterval(() => this.#beat(), HEARTBEAT_MS);
  }

  /** Begins to read a partition; the answer ends it. One reading per partition and link. */
  start(partition: FetchPartition, sink: FetchSink): () => void {
    const startId = this.#nextStartId++;
    const key = `${partition.topicId}/${partition.partition}`;
    this.#sinks.set(startId, sink);
    this.#byPartition.set(key, startId);
    this.#send({ $case: 'start', start: { startId, partitions: [partition] } });
    return () => {
      if (!this.#sinks.delete(startId)) return;
      if (this.#byPartition.get(key) !== startId) return;
      this.#byPartition.delete(key);
      this.#send({ $case: 'stop', stop: { partitions: [partition] } });
    };
  }

  close(): void {
    this.#stream.cancel();
  }

  #send(message: NonNullable<FetchStreamRequest['message']>): void {
    this.#unsent.push({ message });
    this.#flush();
  }

  #flush(): void {
    let count = 0;
    for (const message of this.#unsent) {
      if (!this.#stream.writable) break;
      this.#stream.send(message, 0);
      count += 1;
    }
    this.#unsent.splice(0, count);
  }

  #beat(): void {
    if (performance.now() - this.#heardMs > STREAM_SILENCE_MS_MAX) this.#stream.cancel();
    else if (this.#stream.writable) this.#send({ $case: 'heartbeat', heartbeat: { watermarks: [] } });
  }

  #onMessage({ message }: FetchStreamResponse): void {
    this.#heardMs = performance.now();
    switch (message?.$case) {
      case 'data':
        return this.#onData(message.data.startId, message.data.partition);
      case 'heartbeat':
        for (const mark of message.heartbeat.watermarks) this.#onWatermark(mark, false);
        return;
      case 'caughtUp':
        return this.#onWatermark(message.caughtUp, true);
      case 'draining':
        return this.#break(undefined);
      default:
    }
  }

  #onData(startId: bigint, data: FetchedPartition | undefined): void {
    if (data === undefined) return;
    const bytes = data.recordBatches.byteLength;
    const sink = this.#sinks.get(startId);
    if (sink === undefined) return this.#owe(bytes);
    if (!this.#pace.isReleased) this.#owe(bytes);
    if (data.error !== undefined) {
      this.#sinks.delete(startId);
      this.#byPartition.delete(`${data.topicId}/${data.partition}`);
    }
    sink.onData(data, this.#pace.isReleased ? () => this.#owe(bytes) : NOTHING_TO_RELEASE);
  }

  #owe(bytes: number): void {
    this.#owedBytes += bytes;
    if (this.#isOver || this.#owedBytes < Math.min(CREDIT_STEP_BYTES, this.#pace.windowBytes / 4)) return;
    this.#send({ $case: 'credit', credit: { bytes: BigInt(this.#owedBytes) } });
    this.#owedBytes = 0;
  }

  #onWatermark(mark: PartitionWatermark, caughtUp: boolean): void {
    const startId = this.#byPartition.get(`${mark.topicId}/${mark.partition}`);
    if (startId !== undefined) this.#sinks.get(startId)?.onWatermark(mark, caughtUp);
  }

  #onClose(error: PartitaError | undefined): void {
    clearInterval(this.#heartbeat);
    this.#break(error);
  }

  #break(error: PartitaError | undefined): void {
    this.#isOver = true;
    this.#onClosed();
    const sinks = [...this.#sinks.values()];
    this.#sinks.clear();
    this.#byPartition.clear();
    for (const sink of sinks) sink.onBroken(error);
    this.#stream.end();
  }
}
