/**
 * Reads records without a group: some partitions of a topic, from a position, up to a bound or for ever. Partitions are
 * read side by side, in order each; nothing is committed.
 */
import { READ_RECORD_COUNT_MAX, READER_CONCURRENT_PARTITION_COUNT_MAX } from '@partita/domain';
import { ClusterServiceService, GroupServiceService } from '@partita/protocol';
import type { OffsetSpec, ReadRecordsResponse } from '@partita/protocol';
import { clientError, refused } from './client-error.ts';
import { pause } from './pause.ts';
import { offsetSpec, timestamp } from './position.ts';
import type { Position } from './position.ts';
import { receivedRecord } from './record-form.ts';
import type { ReceivedRecord } from './record-form.ts';
import type { ServiceCalls } from './service-calls.ts';

export interface ReadOptions {
  readonly topic: string;
  /** Default: all. */
  readonly partition?: number | 'all' | undefined;
  /** In each partition. Default earliest. */
  readonly from?: Position | undefined;
  /** Stop before this offset or time. Default: what is committed when the reading begins. */
  readonly to?: bigint | Date | undefined;
  /** Most records in all. */
  readonly maxRecords?: number | undefined;
  /** True: waits for more at the end, until `to`, `maxRecords` or `signal`. */
  readonly follow?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Records per call: some calls are answered while their records are handed out. */
const CHUNK_RECORD_COUNT = 1000;
const WAIT_MS = 1000;
/** Pause between two rounds over partitions that have nothing new, when there are more than are waited for at once. */
const ROUND_PAUSE_MS = 100;

interface PartitionPosition {
  readonly partition: number;
  start: OffsetSpec;
  /** Exclusive; known after the first answer unless the reading follows. */
  endOffset: bigint | undefined;
}

export async function* readRecords(
  calls: ServiceCalls,
  options: ReadOptions,
): AsyncGenerator<ReceivedRecord, void, undefined> {
  const stop = new AbortController();
  const onAbort = (): void => stop.abort();
  options.signal?.addEventListener('abort', onAbort, { once: true });
  const reading = new TopicReading(calls, options, await partitionsOf(calls, options), stop.signal);
  try {
    let left = options.maxRecords ?? Infinity;
    while (left > 0 && options.signal?.aborted !== true) {
      const chunk = await reading.nextChunk(left);
      if (chunk === undefined) return;
      for (const record of chunk.records.slice(0, left)) yield receivedRecord(options.topic, chunk.partition, record);
      left -= chunk.records.length;
    }
  } catch (error) {
    // A signal ends the reading like its end does: there is nothing to undo.
    if (options.signal?.aborted !== true) throw clientError(error);
  } finally {
    stop.abort();
    options.signal?.removeEventListener('abort', onAbort);
  }
}

async function partitionsOf(calls: ServiceCalls, options: ReadOptions): Promise<number[]> {
  if (typeof options.partition === 'number') return [options.partition];
  // Every listener answers this from its directory, so reading needs no coordinator.
  const request = { topics: [options.topic] };
  const { routes } = await calls.call('consumer-group', ClusterServiceService.getRoutes, request, {
    signal: options.signal,
  });
  const route = routes.find((candidate) => candidate.topic === options.topic);
  if (route === undefined) {
    throw refused(
      'TOPIC_NOT_FOUND',
      `topic "${options.topic}" does not exist; create it: npx partita topic create ${options.topic}`,
      {
        topic: options.topic,
      },
    );
  }
  return route.partitions.map((partition) => partition.partition);
}

interface Chunk {
  readonly partition: number;
  readonly records: ReadRecordsResponse['records'];
}

class TopicReading {
  readonly #calls: ServiceCalls;
  readonly #options: ReadOptions;
  readonly #signal: AbortSignal;
  /** Partitions whose turn comes; those not under way and not at their end. */
  readonly #turn: PartitionPosition[];
  readonly #underWay = new Set<Promise<Chunk>>();
  readonly #crowded: boolean;

  constructor(calls: ServiceCalls, options: ReadOptions, partitions: readonly number[], signal: AbortSignal) {
    this.#calls = calls;
    this.#options = options;
    this.#signal = signal;
    const start = offsetSpec(options.from ?? 'earliest');
    const endOffset = typeof options.to === 'bigint' ? options.to : undefined;
    this.#turn = partitions.map((partition) => ({ partition, start, endOffset }));
    this.#crowded = partitions.length > READER_CONCURRENT_PARTITION_COUNT_MAX;
  }

  /** Records of whichever partition has some first; undefined = all are at their end. */
  async nextChunk(recordCountMax: number): Promise<Chunk | undefined> {
    for (;;) {
      while (this.#underWay.size < READER_CONCURRENT_PARTITION_COUNT_MAX) {
        const position = this.#turn.shift();
        if (position === undefined) break;
        const call = this.#read(position, Math.min(recordCountMax, CHUNK_RECORD_COUNT, READ_RECORD_COUNT_MAX));
        this.#underWay.add(call);
        const over = (): void => void this.#underWay.delete(call);
        call.then(over, over);
      }
      if (this.#underWay.size === 0) return undefined;
      const chunk = await Promise.race(this.#underWay);
      if (chunk.records.length > 0) return chunk;
    }
  }

  async #read(position: PartitionPosition, maxRecords: number): Promise<Chunk> {
    const { topic, to, follow } = this.#options;
    const request = {
      topic,
      partition: position.partition,
      start: position.start,
      endOffset: position.endOffset,
      endTime: to instanceof Date ? timestamp(to.getTime()) : undefined,
      maxRecords,
      maxBytes: 0,
      maxWaitMs: follow === true && !this.#crowded ? WAIT_MS : 0,
    };
    const answer = await this.#calls.call('consumer-group', GroupServiceService.readRecords, request, {
      signal: this.#signal,
    });
    if (follow !== true) position.endOffset ??= answer.highWatermark;
    position.start = offsetSpec(answer.nextOffset);
    const atEnd = answer.endReached || (position.endOffset !== undefined && answer.nextOffset >= position.endOffset);
    if (!atEnd) {
      if (this.#crowded && answer.records.length === 0) await pause(ROUND_PAUSE_MS, this.#signal);
      this.#turn.push(position);
    }
    const { endOffset } = position;
    const records =
      endOffset === undefined ? answer.records : answer.records.filter((record) => record.offset < endOffset);
    return { partition: position.partition, records };
  }
}
