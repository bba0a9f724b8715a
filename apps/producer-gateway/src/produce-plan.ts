/** From a ProduceRequest to parts: the records of one partition, checked, in order, that are stored or refused together. */
import { checkRecord, HEADER_BYTES, keyHash } from '@partita/batch';
import type { RecordInput } from '@partita/batch';
import {
  BATCH_BYTES_MAX,
  BATCH_RECORD_COUNT_MAX,
  isInternalTopic,
  PartitaError,
  TIMESTAMP_FUTURE_MS_MAX,
  topicNameFault,
} from '@partita/domain';
import { Acks, CompressionCodec } from '@partita/protocol';
import type { ProduceRequest, TopicRoute } from '@partita/protocol';
import { checkEnum } from '@partita/rpc';
import { partitionOfHash } from './partition-chooser.ts';
import type { PartitionChooser } from './partition-chooser.ts';
import { parseRequestId } from './request-id.ts';
import type { RequestId } from './request-id.ts';

/** Records of one request for one partition. */
export interface ProducePart {
  readonly route: TopicRoute;
  readonly partition: number;
  readonly records: RecordInput[];
  /** Index of each record in the request. */
  readonly indexes: number[];
  bytes: number;
}

/** Parts and what holds for all of them. */
export interface ProducePlan {
  readonly parts: readonly ProducePart[];
  readonly acks: Acks;
  readonly codec: CompressionCodec;
  /** True = the records may share a batch with others, and be split over several. */
  readonly mergeable: boolean;
  readonly expectedNextOffset: bigint | undefined;
  /** 16 bytes: the batch is known again by it when the request is repeated. */
  readonly requestId: Uint8Array | undefined;
  readonly bytes: number;
}

const ACKS = [Acks.ACKS_UNSPECIFIED, Acks.ACKS_ALL, Acks.ACKS_LEADER];
const CODECS = Object.values(CompressionCodec).filter((codec) => codec >= 0);

/** Whatever a topic allows, a batch with its header must hold a record and its framing. */
const BATCHED_RECORD_BYTES_MAX = BATCH_BYTES_MAX - HEADER_BYTES - 16;

/** Checks what can be checked before the topic is known. */
export function checkRequest(request: ProduceRequest): void {
  const fault = topicNameFault(request.topic);
  if (fault !== undefined)
    throw new PartitaError('INVALID_TOPIC_NAME', `"${request.topic}": ${fault}`, { topic: request.topic });
  if (isInternalTopic(request.topic)) {
    throw new PartitaError('INTERNAL_TOPIC', `"${request.topic}" is Partita's own; clients cannot write it`, {
      topic: request.topic,
    });
  }
  if (request.records.length === 0 || request.records.length > BATCH_RECORD_COUNT_MAX) {
    const range = `1..${BATCH_RECORD_COUNT_MAX}`;
    const metadata = { field: 'records', value: String(request.records.length), range };
    throw new PartitaError(
      'INVALID_REQUEST',
      `a request carries ${range} records, this one ${request.records.length}`,
      metadata,
    );
  }
  checkEnum(request.acks, ACKS, 'acks');
  checkEnum(request.codec, CODECS, 'codec');
  parseRequestId(request.requestId);
  if (
    request.expectedNextOffset !== undefined &&
    (request.partition === undefined || request.expectedNextOffset < 0n)
  ) {
    const metadata = {
      field: 'expected_next_offset',
      value: String(request.expectedNextOffset),
      range: '>= 0, with partition',
    };
    throw new PartitaError('INVALID_REQUEST', 'expected_next_offset is at least 0 and needs `partition`', metadata);
  }
}

/** Chooses a partition for each record and checks each record. Nothing is queued before all are found good. */
export function planRequest(
  request: ProduceRequest,
  route: TopicRoute,
  chooser: PartitionChooser,
  nowMs: number,
): ProducePlan {
  const codec = codecOf(request, route);
  const requestId = parseRequestId(request.requestId);
  const partitionFor = partitionRule(request, requestId, route, chooser);
  const aheadMs = route.timestampFutureMsMax > 0n ? Number(route.timestampFutureMsMax) : TIMESTAMP_FUTURE_MS_MAX;
  const recordBytesMax = Math.min(route.recordBytesMax, BATCHED_RECORD_BYTES_MAX);
  const limits = { recordBytesMax, timestampMsMax: nowMs + aheadMs, compacted: route.compacted };
  const timeMs = timeOfReceipt(BigInt(nowMs), requestId);
  const parts = new Map<number, ProducePart>();
  let bytes = 0;
  for (const [index, record] of request.records.entries()) {
    if (record.timestampMs === 0n) record.timestampMs = timeMs;
    record.offsetDelta = undefined;
    const recordBytes = checkAt(index, record, limits);
    bytes += recordBytes;
    const partition = partitionFor(record.key);
    let part = parts.get(partition);
    if (part === undefined) {
      part = { route, partition, records: [], indexes: [], bytes: 0 };
      parts.set(partition, part);
    }
    part.records.push(record);
    part.indexes.push(index);
    part.bytes += recordBytes;
  }
  const single = request.atomic || request.expectedNextOffset !== undefined || requestId !== undefined;
  if (single && parts.size > 1) throw severalPartitions(requestId === undefined ? 'atomic' : 'request_id', parts.size);
  return {
    parts: [...parts.values()],
    acks: request.acks,
    codec,
    mergeable: !single,
    expectedNextOffset: request.expectedNextOffset,
    requestId: requestId?.bytes,
    bytes,
  };
}

/** Where each record of the request goes, by its key. */
function partitionRule(
  request: ProduceRequest,
  requestId: RequestId | undefined,
  route: TopicRoute,
  chooser: PartitionChooser,
): (key: Uint8Array | undefined) => number {
  if (request.partition !== undefined) {
    const named = chooser.named(route, request.partition);
    return () => named;
  }
  let keyless = requestId === undefined ? undefined : keylessPartition(request, requestId, route, chooser);
  return (key) => (key === undefined ? (keyless ??= chooser.choose(route, undefined)) : chooser.choose(route, key));
}

/** Of a request with an id: with the others; when none has a key the id chooses, so that a repeat goes there, too. */
function keylessPartition(
  { records }: ProduceRequest,
  { bytes }: RequestId,
  route: TopicRoute,
  chooser: PartitionChooser,
): number {
  const key = records.find((record) => record.key !== undefined)?.key;
  return key === undefined ? partitionOfHash(route, keyHash(bytes)) : chooser.choose(route, key);
}

/** What a record without a time gets. A request with an id gets the id's, so that a repeat can have the same bytes. */
function timeOfReceipt(nowMs: bigint, requestId: RequestId | undefined): bigint {
  return requestId !== undefined && requestId.timeMs < nowMs ? requestId.timeMs : nowMs;
}

function severalPartitions(field: string, count: number): PartitaError {
  const message = `the records go to ${count} partitions; those of a request with ${field} go to one: name it`;
  return new PartitaError('INVALID_REQUEST', message, { field, value: String(count), range: '1 partition' });
}

function codecOf(request: ProduceRequest, route: TopicRoute): CompressionCodec {
  const codec =
    request.codec === CompressionCodec.COMPRESSION_CODEC_UNSPECIFIED
      ? CompressionCodec.COMPRESSION_CODEC_NONE
      : request.codec;
  if (route.allowedCodecs.length > 0 && !route.allowedCodecs.includes(codec)) {
    const metadata = { codec: String(codec), allowed: route.allowedCodecs.join(',') };
    throw new PartitaError('UNSUPPORTED_CODEC', `topic "${route.topic}" does not take codec ${codec}`, metadata);
  }
  return codec;
}

function checkAt(index: number, record: RecordInput, limits: Parameters<typeof checkRecord>[1]): number {
  try {
    return checkRecord(record, limits);
  } catch (error) {
    if (!(error instanceof PartitaError)) throw error;
    throw new PartitaError(error.reason, `record ${index}: ${error.message}`, {
      ...error.metadata,
      index: String(index),
    });
  }
}
