/** One request by the unary call to one gateway, as a client without the SDK makes it: nothing is tried again. */
import { Acks, CompressionCodec, ProducerServiceService, Record as WireRecord } from '@partita/protocol';
import { fromRpcStatus } from '@partita/rpc';
import { callUnary } from '@partita/rpc/client';
import type { ChannelPool } from '@partita/rpc/client';
import { keyOf } from '../history.ts';
import type { SendEvent } from '../history.ts';

const DEADLINE_MS = 3000;

export interface UnaryRequest {
  readonly topic: string;
  readonly partition: number | undefined;
  /** Of each record. */
  readonly key: string | undefined;
  readonly values: readonly string[];
  readonly requestId: string;
}

/** Where the records are. Rejects with PartitaError. */
export async function produceOnce(
  pool: ChannelPool,
  gateway: string,
  { topic, partition, key, values, requestId }: UnaryRequest,
): Promise<Pick<SendEvent, 'key' | 'offset' | 'epoch' | 'duplicate'>> {
  const request = {
    topic,
    partition,
    records: values.map((value) =>
      WireRecord.fromPartial({ ...(key === undefined ? {} : { key: Buffer.from(key) }), value: Buffer.from(value) }),
    ),
    acks: Acks.ACKS_ALL,
    requestId,
    expectedNextOffset: undefined,
    atomic: false,
    codec: CompressionCodec.COMPRESSION_CODEC_NONE,
  };
  const call = { append: true, deadlineMs: DEADLINE_MS };
  const { results } = await callUnary(pool.client(gateway), ProducerServiceService.produce, request, call);
  const [result] = results;
  if (result?.outcome?.$case === 'error') throw fromRpcStatus(result.outcome.error);
  if (result?.outcome?.$case !== 'ack' || results.length !== 1)
    throw new Error(`a request of one batch got ${results.length} results`);
  const { ack } = result.outcome;
  const offsets = values.map((_, index) => Number(ack.baseOffset) + index);
  return {
    key: keyOf(topic, result.partition),
    epoch: ack.leaderEpoch,
    offset: offsets.length === 1 ? Number(ack.baseOffset) : offsets,
    ...(ack.duplicate ? { duplicate: true } : {}),
  };
}
