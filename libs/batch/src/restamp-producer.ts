import { FIELD_AT } from './batch-header.ts';
import { putInt32, putInt64 } from './little-endian.ts';

/** What a batch of a producer session says of its session. */
export interface ProducerStamp {
  /** 16 bytes. */
  readonly producerId: Uint8Array;
  readonly producerEpoch: number;
  readonly firstSequence: bigint;
}

/** A copy of a canonical batch under another producer session, epoch or sequence; the leader's checksum is not there yet. */
export function restampProducer(batch: Uint8Array, stamp: ProducerStamp): Buffer {
  const copy = Buffer.from(batch);
  copy.set(stamp.producerId, FIELD_AT.producerId);
  putInt32(copy, FIELD_AT.producerEpoch, stamp.producerEpoch);
  putInt64(copy, FIELD_AT.firstSequence, stamp.firstSequence);
  return copy;
}
