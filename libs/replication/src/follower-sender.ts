/**
 * What a leader sends to one follower of one partition: batches in order from where the logs part, out of memory where they
 * were just appended, else from the files, and the watermarks with them. It ends with the leader's epoch or the follower's
 * join, whichever ends first; nothing is sent under another.
 */
import { invariant, REPLICA_IN_FLIGHT_BYTES_MAX, REPLICATION_MESSAGE_BYTES_MAX } from '@partita/domain';
import { epochBefore } from './epoch-history.ts';
import type { JoinOutcome } from './messages.ts';
import type { Follower, PartitionState } from './partition-state.ts';

/** Whole batches in a row. */
export interface OutgoingBatches<Content> {
  readonly content: Content;
  readonly bytes: number;
  /** Behind the last record; above the offset asked for. */
  readonly endOffset: bigint;
}

/** The leader's log. */
export interface SenderSource<Content> {
  /** Batches from exactly `fromOffset` on that are in memory, durable or not: at most `maxBytes`, but at least one. */
  recent(fromOffset: bigint, maxBytes: number): OutgoingBatches<Content> | undefined;
  /** Durable batches from the first one that ends above `fromOffset` on; undefined when there is none. */
  read(fromOffset: bigint, maxBytes: number): Promise<OutgoingBatches<Content> | undefined>;
  /** The state in front of the first segment. */
  firstSnapshot(): Promise<{ readonly baseOffset: bigint; readonly content: Uint8Array }>;
}

export interface OutgoingAppend<Content> {
  readonly epoch: number;
  readonly nonce: string;
  /** Where the follower's log ends. */
  readonly baseOffset: bigint;
  readonly previousEpoch: number;
  /** Undefined = news of the watermarks alone. */
  readonly batches: OutgoingBatches<Content> | undefined;
  readonly highWatermark: bigint;
  readonly logStart: bigint;
  readonly inSync: boolean;
}

/** The stream to the follower's broker. */
export interface SenderStream<Content> {
  /** False = the stream is full or out of credit: `pump` is called again when it no longer is. */
  readonly canSend: boolean;
  append(message: OutgoingAppend<Content>): void;
  snapshot(message: { epoch: number; nonce: string; baseOffset: bigint; content: Uint8Array }): void;
  /** The follower cannot be served from this log: it has to join again. */
  fail(error: unknown): void;
}

export interface FollowerSenderOptions<Content> {
  readonly state: () => Readonly<PartitionState>;
  readonly epoch: number;
  readonly brokerId: number;
  /** Of the join. */
  readonly nonce: string;
  readonly source: SenderSource<Content>;
  readonly stream: SenderStream<Content>;
}

export class FollowerSender<Content> {
  readonly #options: FollowerSenderOptions<Content>;
  #nextOffset = 0n;
  /** Sent and not acknowledged, oldest first. */
  readonly #inFlight: { readonly endOffset: bigint; readonly bytes: number }[] = [];
  #inFlightBytes = 0;
  #isReading = false;
  #told = { highWatermark: -1n, logStart: -1n, inSync: false };

  constructor(options: FollowerSenderOptions<Content>) {
    this.#options = options;
  }

  /** True while the epoch is led and the follower's join stands. */
  get isCurrent(): boolean {
    return this.#follower() !== undefined;
  }

  /** Next offset that the follower will be sent. */
  get nextOffset(): bigint {
    return this.#nextOffset;
  }

  /**
   * After the answer to the join has been sent. Only a snapshot goes at once: the follower cuts its log first, drops what
   * comes meanwhile, and asks for the rest by its first acknowledgement.
   */
  begin({ truncateTo, fromSnapshot }: JoinOutcome): void {
    this.#nextOffset = truncateTo;
    if (!fromSnapshot) return this.pump();
    const { source, stream, epoch, nonce } = this.#options;
    this.#reading(source.firstSnapshot(), ({ baseOffset, content }) => {
      stream.snapshot({ epoch, nonce, baseOffset, content });
      this.#nextOffset = baseOffset;
    });
  }

  /** Sends what there is to send. Call it whenever there is more, or more room. */
  pump(): void {
    const { source, stream } = this.#options;
    for (let follower = this.#follower(); follower !== undefined; follower = this.#follower()) {
      if (!follower.isLive || this.#isReading || !stream.canSend || this.#inFlightBytes >= REPLICA_IN_FLIGHT_BYTES_MAX)
        return;
      const { logEnd, durableEnd } = this.#options.state();
      const recent =
        this.#nextOffset < logEnd ? source.recent(this.#nextOffset, REPLICATION_MESSAGE_BYTES_MAX) : undefined;
      if (recent !== undefined) {
        this.#send(follower, recent);
        continue;
      }
      if (this.#nextOffset < durableEnd) return this.#readOn();
      // A replica that is in sync need not count as suspect any more: that does not wait for the next record.
      if (follower.inSync !== this.#told.inSync) this.#send(follower, undefined);
      return;
    }
  }

  /** Tells the watermarks where no batch has done so. Called by the clock: nobody waits for them. */
  tell(): void {
    const follower = this.#follower();
    const { highWatermark, logStart } = this.#options.state();
    const isTold = highWatermark === this.#told.highWatermark && logStart === this.#told.logStart;
    if (follower?.isLive !== true || isTold || this.#isReading || !this.#options.stream.canSend) return;
    this.#send(follower, undefined);
  }

  /** The follower is ready, or holds more. Call it after the acknowledgement was fed to the leader. */
  acked(durableEnd: bigint): void {
    for (let first = this.#inFlight[0]; first !== undefined; first = this.#inFlight[0]) {
      if (first.endOffset > durableEnd) break;
      this.#inFlight.shift();
      this.#inFlightBytes -= first.bytes;
    }
    this.pump();
  }

  #follower(): Follower | undefined {
    const { state, epoch, brokerId, nonce } = this.#options;
    const { role } = state();
    if (role.kind !== 'leader' || role.epoch !== epoch) return undefined;
    const follower = role.followers.get(brokerId);
    return follower?.nonce === nonce ? follower : undefined;
  }

  #readOn(): void {
    const from = this.#nextOffset;
    this.#reading(this.#options.source.read(from, REPLICATION_MESSAGE_BYTES_MAX), (batches) => {
      const follower = this.#follower();
      if (follower !== undefined && batches !== undefined) this.#send(follower, batches);
    });
  }

  /** One reading is under way at a time. Its result counts only if the join still stands. */
  #reading<Result>(work: Promise<Result>, take: (result: Result) => void): void {
    this.#isReading = true;
    work.then(
      (result) => {
        this.#isReading = false;
        if (!this.isCurrent) return;
        take(result);
        this.pump();
      },
      (error: unknown) => {
        this.#isReading = false;
        if (this.isCurrent) this.#options.stream.fail(error);
      },
    );
  }

  #send(follower: Follower, batches: OutgoingBatches<Content> | undefined): void {
    const { state, epoch, nonce, stream } = this.#options;
    const { highWatermark, logStart, history } = state();
    const baseOffset = this.#nextOffset;
    const { inSync } = follower;
    this.#told = { highWatermark, logStart, inSync };
    if (batches !== undefined) {
      invariant(batches.endOffset > baseOffset, `batches that end at ${batches.endOffset} follow offset ${baseOffset}`);
      this.#nextOffset = batches.endOffset;
      this.#inFlight.push({ endOffset: batches.endOffset, bytes: batches.bytes });
      this.#inFlightBytes += batches.bytes;
    }
    const previousEpoch = epochBefore(history, baseOffset);
    stream.append({ epoch, nonce, baseOffset, previousEpoch, batches, highWatermark, logStart, inSync });
  }
}
