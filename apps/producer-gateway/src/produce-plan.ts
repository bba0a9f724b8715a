/** From a ProduceRequest to parts: the records of one partition, checked, in order, that are stored or refused together. */
import { checkRecord, HEADER_BYTES, unsupportedCodec } from '@partita/batch';
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
import type { PartitionChooser } from '@partita/client';

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
  /** 16 bytes: the leader knows a repeat of the request by it. */
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
  if (request.requestId !== '') {
    throw new PartitaError('NOT_IMPLEMENTED', 'request_id is not served yet; leave it empty', { field: 'request_id' });
  }
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
  const named = request.partition === undefined ? undefined : chooser.named(route, request.partition);
  const aheadMs = route.timestampFutureMsMax > 0n ? Number(route.timestampFutureMsMax) : TIMESTAMP_FUTURE_MS_MAX;
  const recordBytesMax = Math.min(route.recordBytesMax, BATCHED_RECORD_BYTES_MAX);
  const limits = { recordBytesMax, timestampMsMax: nowMs + aheadMs, compacted: route.compacted };
  const now = BigInt(nowMs);
  const parts = new Map<number, ProducePart>();
  let keyless: number | undefined;
  let bytes = 0;
  for (const [index, record] of request.records.entries()) {
    if (record.timestampMs === 0n) record.timestampMs = now;
    record.offsetDelta = undefined;
    const recordBytes = checkAt(index, record, limits);
    bytes += recordBytes;
    const partition =
      named ??
      (record.key === undefined ? (keyless ??= chooser.choose(route, undefined)) : chooser.choose(route, record.key));
    let part = parts.get(partition);
    if (part === undefined) {
      part = { route, partition, records: [], indexes: [], bytes: 0 };
      parts.set(partition, part);
    }
    part.records.push(record);
    part.indexes.push(index);
    part.bytes += recordBytes;
  }
  const single = request.atomic || request.expectedNextOffset !== undefined;
  if (single && parts.size > 1) {
    const metadata = { field: 'atomic', value: String(parts.size), range: '1 partition' };
    throw new PartitaError(
      'INVALID_REQUEST',
      `the records go to ${parts.size} partitions; atomic records go to one: name it`,
      metadata,
    );
  }
  return {
    parts: [...parts.values()],
    acks: request.acks,
    codec,
    mergeable: !single,
    expectedNextOffset: request.expectedNextOffset,
    requestId: undefined,
    bytes,
  };
}

function codecOf(request: ProduceRequest, route: TopicRoute): CompressionCodec {
  const codec =
    request.codec === CompressionCodec.COMPRESSION_CODEC_UNSPECIFIED
      ? CompressionCodec.COMPRESSION_CODEC_NONE
      : request.codec;
  if (route.allowedCodecs.length > 0 && !route.allowedCodecs.includes(codec)) {
    throw unsupportedCodec(codec, route.allowedCodecs);
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
