/** Reading one partition from an offset on: what both Fetch and FetchStream do. */
import { baseOffsetAt, batchBytesAt } from '@partita/batch';
import { PartitaError, RESPONSE_BYTES_MAX } from '@partita/domain';
import type { FetchedPartition, FetchPartition } from '@partita/protocol';
import { divergence } from '@partita/replication';
import { toRpcStatus } from '@partita/rpc';
import type { PartitionActor } from '../partition-actor.ts';
import type { PartitionRegistry } from '../partition-registry.ts';
import { outOfRange } from './request-checks.ts';

const NO_BYTES = new Uint8Array(0);

/** Throws INVALID_REQUEST for fields that mean nothing on any partition. */
function checkFields(wanted: FetchPartition): void {
  const { offset, endOffset, maxBytes, lastRecordEpoch } = wanted;
  if (offset < 0n) throw outOfRange('offset', offset, 'at least 0');
  if (endOffset !== undefined && endOffset < 0n) throw outOfRange('end_offset', endOffset, 'at least 0');
  if (maxBytes < 0) throw outOfRange('max_bytes', maxBytes, 'at least 0');
  if (lastRecordEpoch < 0) throw outOfRange('last_record_epoch', lastRecordEpoch, 'at least 0');
}

export class Reading {
  readonly actor: PartitionActor;
  readonly #registry: PartitionRegistry;
  readonly #wanted: FetchPartition;
  #offset: bigint;

  /** Throws what `find` of the registry throws, and INVALID_REQUEST. */
  constructor(registry: PartitionRegistry, wanted: FetchPartition) {
    checkFields(wanted);
    this.#registry = registry;
    this.#wanted = wanted;
    this.#offset = wanted.offset;
    this.actor = registry.find(wanted);
  }

  /** Offset to read next. */
  get offset(): bigint {
    return this.#offset;
  }

  /** True when everything that was asked for has been read. */
  get isDone(): boolean {
    return this.#wanted.endOffset !== undefined && this.#offset >= this.#wanted.endOffset;
  }

  /** True when committed records lie at or above the offset. */
  get hasMore(): boolean {
    return !this.isDone && this.#offset < this.actor.state.highWatermark;
  }

  /** True when the position lies behind what is committed: it must be waited for. */
  get isAhead(): boolean {
    return this.#offset > this.actor.state.highWatermark;
  }

  /** Why the partition cannot be read from the offset on, or undefined when it can. */
  fault(): PartitaError | undefined {
    const { actor } = this;
    const role = actor.leader;
    if (role === undefined || this.#wanted.leaderEpoch > role.epoch) return this.#registry.notLeader(actor);
    const { history, logEnd } = actor.state;
    const { logStart } = actor.log;
    // Only before the first read: what was read here since then is this log's own.
    if (this.#offset === this.#wanted.offset && this.#wanted.lastRecordEpoch > 0) {
      const parts = divergence({ history, logEnd }, this.#wanted.lastRecordEpoch, this.#offset);
      if (parts !== undefined) return truncated(parts);
    }
    if (this.#offset >= logStart && this.#offset <= logEnd) return undefined;
    const metadata = { offset: String(this.#offset), start: String(logStart), end: String(logEnd) };
    const message = `offset ${this.#offset} is outside of ${logStart}..${logEnd}; read from earliest, latest or an offset between`;
    return new PartitaError('OFFSET_OUT_OF_RANGE', message, metadata);
  }

  /** NOT_YET for a position that never got committed while it was waited for. */
  notYet(): PartitaError {
    const { highWatermark } = this.actor.state;
    const metadata = { offset: String(this.#offset), high_watermark: String(highWatermark) };
    const message = `offset ${this.#offset} is not committed yet, only ${highWatermark} is; try again`;
    return new PartitaError('NOT_YET', message, metadata);
  }

  /** Reads committed batches and moves on: at most `maxBytes`, but at least one batch. Call only while `hasMore`. */
  async read(maxBytes: number): Promise<Uint8Array> {
    const own = this.#wanted.maxBytes === 0 ? maxBytes : Math.min(maxBytes, this.#wanted.maxBytes);
    const limit = Math.min(own, RESPONSE_BYTES_MAX);
    const { bytes, nextOffset } = await this.actor.read(this.#offset, limit);
    const end = this.#wanted.endOffset;
    if (nextOffset > this.#offset) this.#offset = nextOffset;
    if (end === undefined || nextOffset <= end) return bytes;
    this.#offset = end;
    return beforeOffset(bytes, end);
  }

  /** Takes the last read back: its bytes found no room. */
  backTo(offset: bigint): void {
    this.#offset = offset;
  }

  /** An answer for this partition as it stands now. */
  answer(bytes: Uint8Array = NO_BYTES, error?: PartitaError): FetchedPartition {
    const { actor } = this;
    return {
      topicId: actor.topicId,
      topic: actor.topic.config.topic,
      partition: actor.partition,
      highWatermark: actor.state.highWatermark,
      logStartOffset: actor.log.logStart,
      leaderEpoch: actor.leader?.epoch ?? 0,
      recordBatches: bytes,
      nextOffset: this.#offset,
      error: error === undefined ? undefined : toRpcStatus(error),
    };
  }
}

/** An answer for a partition that cannot be read. */
export function failedPartition(wanted: FetchPartition, error: PartitaError): FetchedPartition {
  return {
    topicId: wanted.topicId,
    topic: wanted.topic,
    partition: wanted.partition,
    highWatermark: 0n,
    logStartOffset: 0n,
    leaderEpoch: 0,
    recordBatches: NO_BYTES,
    nextOffset: wanted.offset,
    error: toRpcStatus(error),
  };
}

/** The batches that begin before the offset. */
function beforeOffset(bytes: Uint8Array, end: bigint): Uint8Array {
  let at = 0;
  while (at < bytes.length && baseOffsetAt(bytes, at) < end) at += batchBytesAt(bytes, at);
  return bytes.subarray(0, at);
}

function truncated(at: bigint): PartitaError {
  return new PartitaError(
    'LOG_TRUNCATED',
    `records from offset ${at} on were lost by an unclean election; read again from there or go on from earliest`,
    { divergence: String(at) },
  );
}
