/** The log of one partition in memory: batches stamped and kept as bytes, and the claim of a group shard. */
import { BATCH_CLAIM, batchesIn, headerSeed, isBatchAt, recordsAt, stampBatch } from '@partita/batch';
import { PartitaError } from '@partita/domain';
import { ClaimRecord } from '@partita/protocol';
import type { OffsetSpec } from '@partita/protocol';

export const LEADER_EPOCH = 1;

interface Stored {
  readonly bytes: Uint8Array;
  readonly baseOffset: bigint;
  readonly endOffset: bigint;
  readonly appendTimeMs: bigint;
}

export class FakeLog {
  readonly batches: Stored[] = [];
  readonly waiting = new Set<() => void>();
  readonly seed: number;
  logStart = 0n;
  claimEpoch = 0;
  claimedBy = '';

  constructor(topicId: string, partition: number) {
    this.seed = headerSeed(topicId, partition);
  }

  get end(): bigint {
    return this.batches.at(-1)?.endOffset ?? this.logStart;
  }

  append(batch: Uint8Array, appendTimeMs = BigInt(Date.now())): bigint {
    const bytes = Uint8Array.from(batch);
    const baseOffset = this.end;
    stampBatch(bytes, { baseOffset, leaderEpoch: LEADER_EPOCH, appendTimeMs }, this.seed);
    const [placed] = batchesIn(bytes);
    if (placed === undefined) throw new PartitaError('INVALID_BATCH', 'no batch', { rule: 'one batch' });
    this.batches.push({
      bytes,
      baseOffset,
      endOffset: baseOffset + BigInt(placed.header.lastOffsetDelta) + 1n,
      appendTimeMs,
    });
    for (const wake of [...this.waiting]) wake();
    return baseOffset;
  }

  read(offset: bigint): { readonly bytes: Uint8Array; readonly nextOffset: bigint } {
    const found = this.batches.filter((batch) => batch.endOffset > offset).slice(0, 20);
    return { bytes: Buffer.concat(found.map((batch) => batch.bytes)), nextOffset: found.at(-1)?.endOffset ?? offset };
  }

  /** Times are looked for by append time, to the batch. */
  resolve(spec: OffsetSpec | undefined): bigint {
    const at = spec?.position;
    const wanted = at?.$case === 'earliest' ? 0n : at?.$case === 'offset' ? at.offset : this.#offsetAtTime(at);
    if (wanted < this.logStart) return this.logStart;
    return wanted > this.end ? this.end : wanted;
  }

  lagFrom(offset: bigint): { readonly bytesToEnd: bigint; readonly firstAppendTimeMs: bigint | undefined } {
    const behind = this.batches.filter(({ endOffset }) => endOffset > offset);
    const bytesToEnd = BigInt(behind.reduce((sum, { bytes }) => sum + bytes.length, 0));
    return { bytesToEnd, firstAppendTimeMs: behind[0]?.appendTimeMs };
  }

  #offsetAtTime(at: NonNullable<OffsetSpec['position']> | undefined): bigint {
    if (at?.$case !== 'time' && at?.$case !== 'ago') return this.end;
    const timeMs = at.$case === 'time' ? at.time.seconds * 1000n : BigInt(Date.now()) - at.ago.seconds * 1000n;
    return this.batches.find(({ appendTimeMs }) => appendTimeMs >= timeMs)?.baseOffset ?? this.end;
  }

  /** Takes a claim as a leader does: the next one, or a repeat of the current. */
  claim(claim: ClaimRecord): void {
    const repeat = claim.claimEpoch === this.claimEpoch && claim.instanceId === this.claimedBy;
    if (!repeat && claim.claimEpoch !== this.claimEpoch + 1) throw fencedClaim(claim.claimEpoch, this.claimEpoch);
    this.claimEpoch = claim.claimEpoch;
    this.claimedBy = claim.instanceId;
  }

  /** Resolves with the next append, or after `waitMs`. */
  change(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, waitMs);
      this.waiting.add(done);
    });
  }
}

export function claimIn(bytes: Uint8Array): ClaimRecord | undefined {
  if (!isBatchAt(bytes, 0)) return undefined;
  const [placed] = batchesIn(bytes);
  return placed?.header.type === BATCH_CLAIM ? ClaimRecord.decode(recordsAt(bytes, 0)) : undefined;
}

export function fencedClaim(sent: number, current: number): PartitaError {
  return new PartitaError('FENCED_CLAIM', 'another claim holds', {
    shard: '0',
    claim_epoch: String(sent),
    current: String(current),
  });
}
