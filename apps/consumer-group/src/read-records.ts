/** ReadRecords: records of one partition without a group, up to a bound of offset, time, count, bytes. */
import { BATCH_DATA, batchesIn } from '@partita/batch';
import {
  FETCH_WAIT_MS_MAX,
  PartitaError,
  READ_RECORD_COUNT_DEFAULT,
  READ_RECORD_COUNT_MAX,
  RESPONSE_BYTES_MAX,
} from '@partita/domain';
import type { QuotaBrake } from '@partita/domain';
import { pause } from '@partita/client';
import type { RouteCache } from '@partita/client';
import type { ConsumedRecord, FetchedPartition, ReadRecordsRequest, ReadRecordsResponse } from '@partita/protocol';
import type { CallContext } from '@partita/rpc/server';
import { consumedBytes, consumedRecord, recordTimeMs, responseBytes, usesAppendTime } from './consumed-record.ts';
import { checkStart, invalid } from './consume-initial.ts';
import type { LeaderCalls, PartitionName } from './leader-calls.ts';
import { timestampMs } from './proto-time.ts';
import { decodeStored } from './stored-batch.ts';

export interface ReadServices {
  readonly routes: RouteCache;
  readonly calls: LeaderCalls;
  readonly brake: QuotaBrake;
}

const READ_BYTES_DEFAULT = 1024 * 1024;
/** Asked of the broker at once: compressed records grow. */
const FETCH_BYTES_MAX = 1024 * 1024;
/** Left for the answer when the call's own deadline is shorter than the wait. */
const DEADLINE_MARGIN_MS = 200;

interface Bounds {
  readonly endOffset: bigint | undefined;
  readonly endTimeMs: bigint | undefined;
  readonly recordCountMax: number;
  readonly bytesMax: number;
}

/** What has been gathered so far. */
interface Reading {
  readonly records: ConsumedRecord[];
  readonly bounds: Bounds;
  readonly isAppendTime: boolean;
  bytes: number;
  responseBytes: number;
  nextOffset: bigint;
  /** The bound given by end_offset or end_time. */
  endReached: boolean;
  /** Count or bytes. */
  full: boolean;
}

export async function readRecords(
  request: ReadRecordsRequest,
  context: CallContext,
  services: ReadServices,
): Promise<ReadRecordsResponse> {
  const bounds = checkBounds(request);
  const position = checkStart(request.start);
  const { topic, partition } = request;
  const route = await services.routes.resolve(topic);
  if (partition < 0 || partition >= route.partitions.length) {
    const metadata = { topic, partition: String(partition), partition_count: String(route.partitions.length) };
    throw new PartitaError(
      'PARTITION_NOT_FOUND',
      `"${topic}" has ${route.partitions.length} partitions, counted from 0`,
      metadata,
    );
  }
  const name = { topicId: route.topicId, topic, partition };
  if (services.brake.isOn) await hold(topic, context, services.brake);
  const limits = { deadlineMs: context.deadlineMs, signal: context.signal };
  const at = position.position;
  const start = await services.calls.listOffset(name, position, limits);
  // An offset is taken as it was asked for, so that the broker refuses one that is out of range.
  const nextOffset = at?.$case === 'offset' ? at.offset : start.offset;
  const reading = {
    records: [],
    bounds,
    isAppendTime: usesAppendTime(route),
    bytes: 0,
    responseBytes: 0,
    nextOffset,
    endReached: false,
    full: false,
  };
  const { highWatermark, logStartOffset } = await gather(name, reading, request.maxWaitMs, context, services);
  const { records, endReached } = reading;
  if (services.brake.isOn) services.brake.spend(context.clientId, topic, reading.bytes);
  return { records, nextOffset: reading.nextOffset, highWatermark, logStartOffset, endReached };
}

/** Waits for the quotas of the caller, for half of its time at most; then it is served all the same, and pays the next time. */
async function hold(topic: string, { clientId, deadlineMs, signal }: CallContext, brake: QuotaBrake): Promise<void> {
  const holdMs = Math.min(brake.waitMs(clientId, topic), deadlineMs / 2);
  if (holdMs <= 0) return;
  brake.noteHold(clientId, topic, holdMs);
  await pause(holdMs, signal);
}

async function gather(
  name: PartitionName,
  reading: Reading,
  waitMs: number,
  context: CallContext,
  { calls }: ReadServices,
): Promise<FetchedPartition> {
  const waitUntilMs = performance.now() + Math.min(waitMs, Math.max(0, context.deadlineMs - DEADLINE_MARGIN_MS));
  for (;;) {
    // A wait is for the first record only.
    const maxWaitMs = reading.records.length > 0 ? 0 : Math.max(0, Math.floor(waitUntilMs - performance.now()));
    const { endOffset } = reading.bounds;
    const want = {
      ...name,
      offset: reading.nextOffset,
      endOffset: undefined,
      maxBytes: FETCH_BYTES_MAX,
      leaderEpoch: 0,
      lastRecordEpoch: 0,
    };
    const fetched = await calls.fetch(
      { ...want, maxWaitMs },
      { deadlineMs: context.deadlineMs, signal: context.signal },
    );
    take(fetched, reading, name);
    if (endOffset !== undefined && reading.nextOffset >= endOffset) reading.endReached = true;
    const atEnd = reading.nextOffset >= fetched.highWatermark;
    const waited = reading.records.length > 0 || performance.now() >= waitUntilMs;
    if (reading.endReached || reading.full || (atEnd && waited) || context.signal.aborted || context.draining.aborted)
      return fetched;
  }
}

/** Moves records from batches into the reading, until a bound. */
function take(fetched: FetchedPartition, reading: Reading, name: PartitionName): void {
  for (const { position, header } of batchesIn(fetched.recordBatches)) {
    if (header.type !== BATCH_DATA) continue;
    const { records } = decodeStored(fetched.recordBatches, position, name, header.baseOffset);
    for (const record of records) {
      if (record.offset < reading.nextOffset) continue;
      const { bounds } = reading;
      const pastOffset = bounds.endOffset !== undefined && record.offset >= bounds.endOffset;
      const pastTime =
        bounds.endTimeMs !== undefined && recordTimeMs(record, header, reading.isAppendTime) >= bounds.endTimeMs;
      reading.endReached = pastOffset || pastTime;
      reading.full = reading.records.length > 0 && isFull(reading, consumedBytes(record), responseBytes(record));
      if (reading.endReached || reading.full) return;
      reading.records.push(consumedRecord(record, header, reading.isAppendTime));
      reading.bytes += consumedBytes(record);
      reading.responseBytes += responseBytes(record);
      reading.nextOffset = record.offset + 1n;
    }
  }
  if (fetched.nextOffset > reading.nextOffset) reading.nextOffset = fetched.nextOffset;
}

function isFull(
  { records, bounds, bytes, responseBytes: answerBytes }: Reading,
  more: number,
  moreInResponse: number,
): boolean {
  return (
    records.length >= bounds.recordCountMax ||
    bytes + more > bounds.bytesMax ||
    answerBytes + moreInResponse > RESPONSE_BYTES_MAX
  );
}

function checkBounds(request: ReadRecordsRequest): Bounds {
  const { endOffset, endTime, maxRecords, maxBytes, maxWaitMs } = request;
  if (endOffset !== undefined && endOffset < 0n) throw invalid('end_offset', String(endOffset), '0..2^63-1');
  if (maxRecords < 0 || maxRecords > READ_RECORD_COUNT_MAX)
    throw invalid('max_records', String(maxRecords), `1..${READ_RECORD_COUNT_MAX}, or 0`);
  if (maxBytes < 0 || maxBytes > RESPONSE_BYTES_MAX)
    throw invalid('max_bytes', String(maxBytes), `1..${RESPONSE_BYTES_MAX}, or 0`);
  if (maxWaitMs < 0 || maxWaitMs > FETCH_WAIT_MS_MAX)
    throw invalid('max_wait_ms', String(maxWaitMs), `0..${FETCH_WAIT_MS_MAX}`);
  return {
    endOffset,
    endTimeMs: endTime === undefined ? undefined : timestampMs(endTime),
    recordCountMax: maxRecords === 0 ? READ_RECORD_COUNT_DEFAULT : maxRecords,
    bytesMax: maxBytes === 0 ? READ_BYTES_DEFAULT : maxBytes,
  };
}
