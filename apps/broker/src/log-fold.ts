/**
 * What a leader must know of its log beyond epochs: where the data ends and who has claimed the partition. On users'
 * topics every control record is the first of an epoch, so the history tells. Only Partita's own topics hold claims;
 * there the batches are read, newest epoch first, until both are known.
 */
import { BATCH_CLAIM, BATCH_DATA, batchesIn, recordsAt } from '@partita/batch';
import type { PartitionLog } from '@partita/log';
import { ClaimRecord } from '@partita/protocol';
import type { Claim } from '@partita/replication';

export interface LogFold {
  /** Behind the last data record. */
  readonly dataEnd: bigint;
  readonly claim: Claim;
}

const READ_BYTES = 1024 * 1024;
const NO_CLAIM: Claim = { epoch: 0, instanceId: '' };

/** Folds the durable log. */
export async function foldLog(log: PartitionLog, isInternal: boolean): Promise<LogFold> {
  let dataEnd: bigint | undefined;
  let end = log.syncedEnd;
  for (const { startOffset } of [...log.epochHistory].reverse()) {
    if (startOffset >= end) continue;
    if (!isInternal) {
      if (end - startOffset > 1n) return { dataEnd: end, claim: NO_CLAIM };
    } else {
      const part = await foldRange(log, startOffset > log.logStart ? startOffset : log.logStart, end);
      dataEnd ??= part.dataEnd;
      if (part.claim !== undefined) return { dataEnd: dataEnd ?? 0n, claim: part.claim };
    }
    end = startOffset;
    if (end <= log.logStart) break;
  }
  return { dataEnd: dataEnd ?? log.logStart, claim: NO_CLAIM };
}

interface RangeFold {
  dataEnd: bigint | undefined;
  claim: Claim | undefined;
}

async function foldRange(log: PartitionLog, from: bigint, end: bigint): Promise<RangeFold> {
  const found: RangeFold = { dataEnd: undefined, claim: undefined };
  let offset = from;
  while (offset < end) {
    const slice = await log.read(offset, end, READ_BYTES);
    if (slice.bytes.length === 0) break;
    for (const { position, header } of batchesIn(slice.bytes)) {
      if (header.type === BATCH_DATA) found.dataEnd = header.baseOffset + BigInt(header.lastOffsetDelta) + 1n;
      if (header.type === BATCH_CLAIM) {
        const { claimEpoch, instanceId } = ClaimRecord.decode(recordsAt(slice.bytes, position));
        found.claim = { epoch: claimEpoch, instanceId };
      }
    }
    offset = slice.nextOffset;
  }
  return found;
}
