/** ListOffsets: from a position told in one of several ways to an offset. */
import { BATCH_DATA, batchesIn, decodeBatch, readBatchHeader } from '@partita/batch';
import type { DecodedRecord } from '@partita/batch';
import { asPartitaError, PartitaError } from '@partita/domain';
import type { Clock } from '@partita/domain';
import { bytesFrom } from '@partita/log';
import type { ListOffsetsEntry, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsResult } from '@partita/protocol';
import { toRpcStatus } from '@partita/rpc';
import type { PartitionActor } from '../partition-actor.ts';
import type { PartitionRegistry } from '../partition-registry.ts';
import { checkPartitionCount, outOfRange } from './request-checks.ts';

export interface ListOffsetsOptions {
  readonly registry: PartitionRegistry;
  readonly clock: Clock;
}

/** Control batches in a row that are passed over: one per leader that came without a record between. */
const CONTROL_BATCH_COUNT_MAX = 16;

/** The unary call. Looks for times one partition after the other: each may read from the disk. */
export async function listOffsets(
  request: ListOffsetsRequest,
  options: ListOffsetsOptions,
): Promise<ListOffsetsResponse> {
  checkPartitionCount('entries', request.entries.length);
  const results: ListOffsetsResult[] = [];
  for (const entry of request.entries) results.push(await resolveEntry(entry, options));
  return { results };
}

async function resolveEntry(entry: ListOffsetsEntry, options: ListOffsetsOptions): Promise<ListOffsetsResult> {
  try {
    const actor = options.registry.find(entry);
    const role = actor.leader;
    if (role === undefined) throw options.registry.notLeader(actor);
    const { highWatermark, dataEnd } = actor.state;
    // A new leader's watermark may still lie below what readers have seen. Where the log begins is known all the same.
    const dependsOnEnd = !['earliest', 'offset'].includes(entry.position?.position?.$case ?? 'latest');
    if (dependsOnEnd && highWatermark <= role.epochStartOffset) throw notYet(role.epochStartOffset, highWatermark);
    const offset = await resolvePosition(entry, actor, options.clock);
    const clamped = offset > highWatermark ? highWatermark : offset;
    const logStartOffset = actor.log.logStart;
    const found = clamped < logStartOffset ? logStartOffset : clamped;
    const dataEndOffset = dataEnd < highWatermark ? dataEnd : highWatermark;
    const lag = entry.withLag ? await lagFrom(actor, found, dataEndOffset) : {};
    return {
      offset: found,
      logStartOffset,
      highWatermark,
      leaderEpoch: role.epoch,
      dataEndOffset,
      error: undefined,
      ...lag,
    };
  } catch (error) {
    const status = toRpcStatus(asPartitaError(error));
    return { offset: 0n, logStartOffset: 0n, highWatermark: 0n, leaderEpoch: 0, dataEndOffset: 0n, error: status };
  }
}

/** What lies between an offset and the end. */
async function lagFrom(
  actor: PartitionActor,
  offset: bigint,
  dataEnd: bigint,
): Promise<Pick<ListOffsetsResult, 'bytesToEnd' | 'firstAppendTimeMs'>> {
  if (offset >= dataEnd) return { bytesToEnd: 0n };
  const bytesToEnd = BigInt(await actor.log.undisturbed(() => bytesFrom(actor.log.segments, offset)));
  return { bytesToEnd, firstAppendTimeMs: await firstAppendTime(actor, offset) };
}

/** Append time of the first data batch that reaches to the offset or behind it; control batches between are passed over. */
async function firstAppendTime(actor: PartitionActor, from: bigint): Promise<bigint | undefined> {
  let offset = from;
  for (let look = 0; look < CONTROL_BATCH_COUNT_MAX; look += 1) {
    const { bytes } = await actor.read(offset, 1);
    for (const { header } of batchesIn(bytes)) {
      const last = header.baseOffset + BigInt(header.lastOffsetDelta);
      if (header.type === BATCH_DATA && last >= from) return header.appendTimeMs;
      offset = last + 1n;
    }
    if (bytes.length === 0) return undefined;
  }
  return undefined;
}

async function resolvePosition(entry: ListOffsetsEntry, actor: PartitionActor, clock: Clock): Promise<bigint> {
  const position = entry.position?.position;
  switch (position?.$case) {
    case undefined:
    case 'latest':
      return actor.state.highWatermark;
    case 'earliest':
      return actor.log.logStart;
    case 'offset':
      if (position.offset < 0n) throw outOfRange('position.offset', position.offset, 'at least 0');
      return position.offset;
    case 'time': {
      const { seconds, nanos } = position.time;
      return atTime(actor, seconds * 1000n + BigInt(Math.ceil(nanos / 1_000_000)));
    }
    case 'ago': {
      const { seconds, nanos } = position.ago;
      return atTime(actor, BigInt(clock.wallMs()) - seconds * 1000n - BigInt(Math.ceil(nanos / 1_000_000)));
    }
  }
}

/** Offset of the first committed record whose time is at or after `timeMs`; the high watermark when there is none. */
async function atTime(actor: PartitionActor, timeMs: bigint): Promise<bigint> {
  const { log, state } = actor;
  const base = await log.offsetForTime(timeMs);
  if (base === undefined || base >= state.highWatermark) return state.highWatermark;
  // The index finds the batch; only here a broker opens one to find the record.
  const { bytes } = await actor.read(base, 1);
  if (bytes.length === 0) return base;
  const { type, baseOffset } = readBatchHeader(bytes);
  if (type !== BATCH_DATA || actor.topic.settings.usesAppendTime) return baseOffset;
  const records = recordsOf(bytes);
  const record = records.findIndex(({ timestampMs }) => timestampMs >= timeMs);
  const delta = records[record]?.offsetDelta ?? Math.max(record, 0);
  return baseOffset + BigInt(delta);
}

/**
 * The records of a batch. A broker takes in batches without unpacking them, so that a producer can store one that nobody can
 * decode: then there are none, its first offset is the answer, and who reads there is told of it.
 */
function recordsOf(bytes: Uint8Array): readonly DecodedRecord[] {
  try {
    return decodeBatch(bytes).records;
  } catch (error) {
    if (!(error instanceof PartitaError)) throw error;
    return [];
  }
}

/** A new leader's watermark may lie below what readers have seen until its first record is committed. */
export function notYet(offset: bigint, highWatermark: bigint): PartitaError {
  const metadata = { offset: String(offset), high_watermark: String(highWatermark) };
  return new PartitaError('NOT_YET', 'the leader is new and has not committed its first record; try again', metadata);
}
