/** From a ProduceRequest to parts: the records of one partition, checked, in order, that are stored or refused together. */
import { checkRecord, keyHash } from '@partita/batch';
import type { RecordInput } from '@partita/batch';
import { BATCH_RECORD_COUNT_MAX, isInternalTopic, PartitaError, topicNameFault } from '@partita/domain';
import { Acks, CompressionCodec } from '@partita/protocol';
import type { ProduceRequest, TopicRoute } from '@partita/protocol';
import { checkEnum } from '@partita/rpc';
import { callPartitions, checkCodec, recordLimits } from '@partita/client';
import type { PartitionChooser } from '@partita/client';
import { parseRequestId } from './request-id.ts';
import type { RequestId } from './request-id.ts';

/** Records of one request for one partition. */
export interface ProducePart {
  readonly route: TopicRoute;
  readonly partition: number;
  readonly records: RecordInput[];
  /** Of their keys. */
  readonly keyHashes: (number | undefined)[];
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
}

const ACKS = [Acks.ACKS_UNSPECIFIED, Acks.ACKS_ALL, Acks.ACKS_LEADER];
const CODECS = Object.values(CompressionCodec).filter((codec) => codec >= 0);

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
  const isWhole = request.atomic || request.expectedNextOffset !== undefined || requestId !== undefined;
  const { partition: named, records } = request;
  const partitionFor = callPartitions(route, chooser, { named, requestId: requestId?.bytes, isWhole, records });
  const limits = recordLimits(route, nowMs);
  const timeMs = timeOfReceipt(BigInt(nowMs), requestId);
  const parts = new Map<number, ProducePart>();
  for (const [index, record] of records.entries()) {
    if (record.timestampMs === 0n) record.timestampMs = timeMs;
    record.offsetDelta = undefined;
    const recordBytes = checkAt(index, record, limits);
    const hash = record.key === undefined ? undefined : keyHash(record.key);
    const partition = partitionFor(hash);
    let part = parts.get(partition);
    if (part === undefined) {
      part = { route, partition, records: [], keyHashes: [], indexes: [], bytes: 0 };
      parts.set(partition, part);
    }
    part.records.push(record);
    part.keyHashes.push(hash);
    part.indexes.push(index);
    part.bytes += recordBytes;
  }
  return {
    parts: [...parts.values()],
    acks: request.acks,
    codec,
    mergeable: !isWhole,
    expectedNextOffset: request.expectedNextOffset,
    requestId: requestId?.bytes,
  };
}

/** What a record without a time gets. A request with an id gets the id's, so that a repeat can have the same bytes. */
function timeOfReceipt(nowMs: bigint, requestId: RequestId | undefined): bigint {
  return requestId !== undefined && requestId.timeMs < nowMs ? requestId.timeMs : nowMs;
}

function codecOf(request: ProduceRequest, route: TopicRoute): CompressionCodec {
  const isSaid = request.codec !== CompressionCodec.COMPRESSION_CODEC_UNSPECIFIED;
  const codec = isSaid ? request.codec : CompressionCodec.COMPRESSION_CODEC_NONE;
  checkCodec(codec, route);
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
