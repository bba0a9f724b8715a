/**
 * Reads partitions from whoever leads, over one stream per broker, and goes on by itself where it was when a leader
 * moves or a stream breaks.
 */
import { PartitaError } from '@partita/domain';
import type { ErrorReason } from '@partita/domain';
import type { FetchedPartition, PartitionWatermark } from '@partita/protocol';
import { fromRpcStatus } from '@partita/rpc';
import { backoffDelayMs } from '@partita/rpc/client';
import type { ChannelPool } from '@partita/rpc/client';
import { FetchLink } from './fetch-link.ts';
import type { FetchPace } from './fetch-link.ts';
import { JITTER } from './jitter.ts';
import type { RouteCache } from './route-cache.ts';

/** What to read, and who takes it. */
export interface ReadingOptions {
  readonly topicId: string;
  readonly topic: string;
  readonly partition: number;
  /** Offset of the next record wanted. */
  readonly offset: bigint;
  /**
   * Batches, in order; the first may begin below the offset asked for. Bytes are the callee's to keep, until it calls
   * `release` where the reader was given a pace.
   */
  onBatches(data: FetchedPartition, release: () => void): void;
  /** Epoch of the last record taken, so that an unclean election is noticed (LOG_TRUNCATED). Default: unknown. */
  lastRecordEpoch?(): number;
  /** Where the partition stands; `caughtUp` = everything committed has been delivered. */
  onWatermark(mark: PartitionWatermark, caughtUp: boolean): void;
  /** The reading is over: OFFSET_OUT_OF_RANGE, CORRUPT_BATCH, LOG_TRUNCATED, TOPIC_NOT_FOUND … */
  onError(error: PartitaError): void;
}

/** A reading under way. */
export interface Reading {
  /** Offset asked for next. */
  readonly nextOffset: bigint;
  /** Stops the flow; what is on its way still arrives. */
  pause(): void;
  resume(): void;
  /** Goes on at another offset; nothing from before arrives afterwards. */
  seek(offset: bigint): void;
  close(): void;
}

const FATAL_REASONS: ReadonlySet<ErrorReason> = new Set<ErrorReason>([
  'OFFSET_OUT_OF_RANGE',
  'CORRUPT_BATCH',
  'LOG_TRUNCATED',
  'TOPIC_NOT_FOUND',
  'INVALID_REQUEST',
  'NOT_IMPLEMENTED',
]);

export class LeaderReader {
  readonly #routes: RouteCache;
  readonly #pool: ChannelPool;
  readonly #pace: FetchPace | undefined;
  readonly #links = new Map<string, FetchLink>();

  /** `pace`: how the window of each broker's stream is used; default: readers pause when they are full. */
  constructor(routes: RouteCache, pool: ChannelPool, pace?: FetchPace) {
    this.#routes = routes;
    this.#pool = pool;
    this.#pace = pace;
  }

  /** Begins to read one partition. */
  read(options: ReadingOptions): Reading {
    return new PartitionReading(options, this.#routes, (address) => this.#link(address));
  }

  close(): void {
    for (const link of [...this.#links.values()]) link.close();
  }

  #link(address: string): FetchLink {
    let link = this.#links.get(address);
    if (link === undefined) {
      const onClosed = (): void => {
        if (this.#links.get(address) === made) this.#links.delete(address);
      };
      const made: FetchLink = new FetchLink(this.#pool, address, onClosed, this.#pace);
      link = made;
      this.#links.set(address, link);
    }
    return link;
  }
}

class PartitionReading implements Reading {
  nextOffset: bigint;
  readonly #options: ReadingOptions;
  readonly #routes: RouteCache;
  readonly #link: (address: string) => FetchLink;
  #stop: (() => void) | undefined;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #forgetChange: (() => void) | undefined;
  #attempt = 0;
  #paused = false;
  #closed = false;
  /** Grows with each start, so that a late callback of an earlier one is known. */
  #run = 0;

  constructor(options: ReadingOptions, routes: RouteCache, link: (address: string) => FetchLink) {
    this.#options = options;
    this.#routes = routes;
    this.#link = link;
    this.nextOffset = options.offset;
    this.#start();
  }

  pause(): void {
    this.#paused = true;
    this.#halt();
  }

  resume(): void {
    if (!this.#paused || this.#closed) return;
    this.#paused = false;
    this.#start();
  }

  seek(offset: bigint): void {
    this.#halt();
    this.nextOffset = offset;
    if (!this.#paused) this.#start();
  }

  close(): void {
    this.#closed = true;
    this.#halt();
  }

  #halt(): void {
    this.#run += 1;
    this.#stop?.();
    this.#stop = undefined;
    clearTimeout(this.#retryTimer);
    this.#forgetChange?.();
    this.#forgetChange = undefined;
  }

  #start(): void {
    if (this.#closed) return;
    this.#halt();
    const run = this.#run;
    const { topicId, topic, partition } = this.#options;
    const route = this.#routes.leader(topicId, partition);
    if (route === undefined) return this.#again();
    const wanted = {
      topicId,
      topic,
      partition,
      offset: this.nextOffset,
      maxBytes: 0,
      leaderEpoch: route.leaderEpoch,
      lastRecordEpoch: this.#options.lastRecordEpoch?.() ?? 0,
    };
    this.#stop = this.#link(route.address).start(wanted, {
      onData: (data, release) => {
        if (run === this.#run) this.#onData(data, release);
        else release();
      },
      onWatermark: (mark, caughtUp) => {
        if (run === this.#run) this.#options.onWatermark(mark, caughtUp);
      },
      onBroken: () => {
        if (run === this.#run) this.#again();
      },
    });
  }

  #onData(data: FetchedPartition, release: () => void): void {
    if (data.error === undefined) {
      this.#attempt = 0;
      this.nextOffset = data.nextOffset;
      return this.#options.onBatches(data, release);
    }
    release();
    const error = fromRpcStatus(data.error);
    if (error.reason === 'NOT_LEADER') this.#routes.applyHint(error);
    const topicGone =
      error.reason === 'TOPIC_NOT_FOUND' && this.#routes.table.topicById(this.#options.topicId) !== undefined;
    if (FATAL_REASONS.has(error.reason) && !topicGone) {
      this.close();
      return this.#options.onError(error);
    }
    this.#again();
  }

  /** Starts anew after a pause that grows, or as soon as another leader is known. */
  #again(): void {
    this.#halt();
    if (this.#closed || this.#paused) return;
    const { topicId, topic, partition } = this.#options;
    if (this.#attempt > 0) this.#routes.suspectLeader(topic);
    const before = this.#routes.leader(topicId, partition);
    this.#retryTimer = setTimeout(() => this.#start(), backoffDelayMs(this.#attempt, JITTER));
    this.#attempt += 1;
    this.#forgetChange = this.#routes.onChange(() => {
      const now = this.#routes.leader(topicId, partition);
      if (now !== undefined && (now.leaderEpoch !== before?.leaderEpoch || now.address !== before.address))
        this.#start();
    });
  }
}
