/** ReplicationService: the streams of followers, and checksums to compare replicas by. */
import { batchBytesAt, crc32c } from '@partita/batch';
import { PartitaError } from '@partita/domain';
import { ReplicationServiceService } from '@partita/protocol';
import type { DigestRequest, DigestResponse } from '@partita/protocol';
import { bidi, implement, unary } from '@partita/rpc/server';
import type { Implementation } from '@partita/rpc/server';
import { checkCluster } from '../cluster-check.ts';
import { FollowerStream } from './follower-stream.ts';
import type { FollowerStreamOptions } from './follower-stream.ts';

/** Bytes read at a time for a digest. */
const DIGEST_READ_BYTES = 1024 * 1024;

export function replicationMethods(options: FollowerStreamOptions): Implementation<typeof ReplicationServiceService> {
  return implement(ReplicationServiceService, {
    replicate: bidi((stream) => new FollowerStream(stream, options)),
    digest: unary((request) => digest(request, options)),
  });
}

/** Over whole batches from the one that holds `startOffset` on, up to the last that ends at or below `endOffset`. */
async function digest(request: DigestRequest, options: FollowerStreamOptions): Promise<DigestResponse> {
  checkCluster(options.clusterId, request.clusterId);
  const { topicId, partition, startOffset, endOffset } = request;
  const actor = options.registry.actor(topicId, partition);
  if (actor === undefined) {
    const message = `this broker holds no replica of partition ${partition} of topic ${topicId}`;
    throw new PartitaError('REPLICA_NOT_FOUND', message, { topic_id: topicId, partition: String(partition) });
  }
  const { highWatermark } = actor.state;
  if (startOffset < actor.log.logStart || endOffset > highWatermark || startOffset > endOffset) {
    const range = `${actor.log.logStart}..${highWatermark}`;
    throw new PartitaError('OFFSET_OUT_OF_RANGE', `${startOffset}..${endOffset} is outside of ${range}`, {
      start: String(actor.log.logStart),
      end: String(highWatermark),
    });
  }
  let crc = 0;
  let batchCount = 0n;
  let at = startOffset;
  while (at < endOffset) {
    const { bytes, nextOffset } = await actor.log.read(at, endOffset, DIGEST_READ_BYTES);
    if (bytes.length === 0) break;
    crc = crc32c(bytes, crc);
    for (let position = 0; position < bytes.length; position += batchBytesAt(bytes, position)) batchCount += 1n;
    at = nextOffset;
  }
  return { crc, batchCount, endOffset: at };
}
