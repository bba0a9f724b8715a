/**
 * The log of one group shard: a partition of `__groups`, written under a claim. The partition's leader keeps the highest
 * claim, takes the next one only at highest + 1, and refuses appends under any other: whoever claimed last is the only
 * writer, however long an earlier one was paused.
 */
import {
  BatchBuilder,
  batchesIn,
  BATCH_CLAIM,
  BATCH_DATA,
  buildControlBatch,
  CODEC_NONE,
  decodeBatch,
} from '@partita/batch';
import type { RecordInput } from '@partita/batch';
import { asPartitaError, DEADLINE_MS_MAX } from '@partita/domain';
import { Acks, ClaimRecord } from '@partita/protocol';
import type { AppendAck } from '@partita/protocol';
import type { DecodedRecord } from '@partita/batch';
import type { ShardAppend } from '@partita/groups';
import { systemRandom } from '@partita/runtime';
import type { LeaderCalls, PartitionName } from './leader-calls.ts';

/** A claim that holds. */
export interface Claim {
  readonly claimEpoch: number;
  /** Offset of the claim: everything below it is what earlier owners wrote. */
  readonly offset: bigint;
}

/** Claims tried in a row: another instance that claims at the same time wins at most this often. */
const CLAIM_ATTEMPT_COUNT_MAX = 5;
const REPLAY_FETCH_WAIT_MS = 1000;

export class ShardLog {
  readonly #calls: LeaderCalls;
  readonly #name: PartitionName;
  readonly #instanceId: string;
  readonly #signal: AbortSignal;
  #producer: { readonly claimEpoch: number; readonly id: Uint8Array } | undefined;

  constructor(calls: LeaderCalls, name: PartitionName, instanceId: string, signal: AbortSignal) {
    this.#calls = calls;
    this.#name = name;
    this.#instanceId = instanceId;
    this.#signal = signal;
  }

  /** Claims the shard above `atLeast`. A refusal tells the current claim; an append in doubt may be repeated as it is. */
  async claim(atLeast: number): Promise<Claim> {
    let claimEpoch = atLeast + 1;
    for (let attempt = 1; ; attempt++) {
      const payload = ClaimRecord.encode({ claimEpoch, instanceId: this.#instanceId }).finish();
      try {
        const ack = await this.#append(buildControlBatch(BATCH_CLAIM, payload), claimEpoch);
        return { claimEpoch, offset: ack.baseOffset };
      } catch (thrown) {
        const error = asPartitaError(thrown);
        const current = Number(error.metadata['current']);
        if (attempt >= CLAIM_ATTEMPT_COUNT_MAX) throw error;
        if (error.reason === 'FENCED_CLAIM' && Number.isInteger(current)) claimEpoch = current + 1;
        else if (error.reason !== 'OUTCOME_UNKNOWN') throw error;
      }
    }
  }

  /** Appends records as one batch. FENCED_CLAIM and OUTCOME_UNKNOWN mean: claim anew and replay. */
  async append({ records, claimEpoch, firstSequence }: ShardAppend<RecordInput>): Promise<void> {
    const builder = new BatchBuilder();
    for (const record of records) if (!builder.tryAdd(record)) throw new Error('a batch of group records is too large');
    const session = { producerId: this.#producerOf(claimEpoch), producerEpoch: 0, firstSequence };
    await this.#append(builder.build({ codec: CODEC_NONE, ...session }), claimEpoch);
  }

  /** The owner writes as a producer session of its own under each claim. */
  #producerOf(claimEpoch: number): Uint8Array {
    if (this.#producer?.claimEpoch !== claimEpoch) {
      const id = Buffer.from(systemRandom.uuid().replaceAll('-', ''), 'hex');
      this.#producer = { claimEpoch, id };
    }
    return this.#producer.id;
  }

  /** Passes every record below `endOffset` to `onRecord`, from the start of the log, in order. */
  async replay(endOffset: bigint, onRecord: (record: DecodedRecord) => void): Promise<void> {
    const limits = { deadlineMs: DEADLINE_MS_MAX, signal: this.#signal };
    const start = await this.#calls.listOffset(this.#name, { position: { $case: 'earliest', earliest: true } }, limits);
    let offset = start.offset;
    while (offset < endOffset) {
      const want = {
        ...this.#name,
        offset,
        endOffset,
        maxBytes: 0,
        leaderEpoch: 0,
        lastRecordEpoch: 0,
        maxWaitMs: REPLAY_FETCH_WAIT_MS,
      };
      const fetched = await this.#calls.fetch(want, limits);
      for (const { position, header } of batchesIn(fetched.recordBatches)) {
        if (header.type !== BATCH_DATA) continue;
        for (const record of decodeBatch(fetched.recordBatches, position).records) {
          if (record.offset >= offset && record.offset < endOffset) onRecord(record);
        }
      }
      offset = fetched.nextOffset;
      this.#signal.throwIfAborted();
    }
  }

  #append(batch: Uint8Array, claimEpoch: number): Promise<AppendAck> {
    const entry = {
      ...this.#name,
      leaderEpoch: 0,
      recordBatches: batch,
      acks: Acks.ACKS_ALL,
      expectedNextOffset: undefined,
      claimEpoch,
      traceparent: '',
      tracestate: '',
    };
    return this.#calls.append(entry, { deadlineMs: DEADLINE_MS_MAX, signal: this.#signal });
  }
}
