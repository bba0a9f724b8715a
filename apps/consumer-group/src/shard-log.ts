/**
 * The log of one group shard: a partition of `__groups`, written under a claim. The partition's leader keeps the highest
 * claim, takes the next one only at highest + 1, and refuses appends under any other: whoever claimed last is the only
 * writer, however long an earlier one was paused. Under one claim it writes as one producer session, so that an append in
 * doubt can be sent again: it is stored once, and never behind a later one.
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
import { asPartitaError, DEADLINE_MS_MAX, invariant } from '@partita/domain';
import { Acks, ClaimRecord } from '@partita/protocol';
import type { AppendAck } from '@partita/protocol';
import type { DecodedRecord } from '@partita/batch';
import type { ShardAppend } from '@partita/groups';
import { systemRandom, uuidV7 } from '@partita/runtime';
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
/** Longest try of one append, so that one leader that hangs leaves time for another. */
const APPEND_TRY_MS_MAX = DEADLINE_MS_MAX / 2;

/** The producer session of one claim. */
interface WriterSession {
  readonly claimEpoch: number;
  readonly producerId: Uint8Array;
}

/** What it needs of the calls to leaders. */
export type ShardCalls = Pick<LeaderCalls, 'append' | 'fetch' | 'listOffset'>;

export class ShardLog {
  readonly #calls: ShardCalls;
  readonly #name: PartitionName;
  /** Of this ownership, not of the process: a later one of the same process must not take this one's claim for its own. */
  readonly #claimant: string;
  readonly #signal: AbortSignal;
  #session: WriterSession | undefined;

  constructor(calls: ShardCalls, name: PartitionName, instanceId: string, signal: AbortSignal) {
    this.#calls = calls;
    this.#name = name;
    this.#claimant = `${instanceId}/${systemRandom.uuid()}`;
    this.#signal = signal;
  }

  /** Claims the shard above `atLeast`. A refusal tells the current claim; an append in doubt may be repeated as it is. */
  async claim(atLeast: number): Promise<Claim> {
    let claimEpoch = atLeast + 1;
    for (let attempt = 1; ; attempt++) {
      const payload = ClaimRecord.encode({ claimEpoch, instanceId: this.#claimant }).finish();
      try {
        const ack = await this.#append(buildControlBatch(BATCH_CLAIM, payload), claimEpoch, DEADLINE_MS_MAX);
        // By the leader's clock, not by this machine's: it judges the age of the id.
        this.#session = { claimEpoch, producerId: producerIdAt(ack.appendTimeMs) };
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

  /**
   * Appends records as one batch. The same again is the same batch, which is stored once; any refusal means: claim anew.
   * `traces`: traceparents of those who wait for it.
   */
  async append(
    { records, claimEpoch, firstSequence }: ShardAppend<RecordInput>,
    traces: readonly string[] = [],
  ): Promise<void> {
    const session = this.#session;
    invariant(session?.claimEpoch === claimEpoch, `claim ${claimEpoch} is not the one that the shard is written under`);
    const builder = new BatchBuilder();
    for (const record of records) if (!builder.tryAdd(record)) throw new Error('a batch of group records is too large');
    const { producerId } = session;
    const batch = builder.build({ codec: CODEC_NONE, producerId, producerEpoch: 0, firstSequence });
    await this.#append(batch, claimEpoch, APPEND_TRY_MS_MAX, traces);
  }

  /**
   * Passes every record below the claim at `claimOffset` to `onRecord`, from the start of the log, in order. Reads on to
   * the end, and answers false when somebody has written above the claim.
   */
  async replay(claimOffset: bigint, onRecord: (record: DecodedRecord) => void): Promise<boolean> {
    const limits = { deadlineMs: DEADLINE_MS_MAX, signal: this.#signal };
    const start = await this.#calls.listOffset(this.#name, { position: { $case: 'earliest', earliest: true } }, limits);
    let offset = start.offset;
    let endOffset = claimOffset;
    let isAlone = true;
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
          if (record.offset >= claimOffset) isAlone = false;
          else if (record.offset >= offset) onRecord(record);
        }
      }
      offset = fetched.nextOffset;
      if (fetched.highWatermark > endOffset) endOffset = fetched.highWatermark;
      this.#signal.throwIfAborted();
    }
    return isAlone;
  }

  #append(
    batch: Uint8Array,
    claimEpoch: number,
    deadlineMs: number,
    traces: readonly string[] = [],
  ): Promise<AppendAck> {
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
    return this.#calls.append(entry, { deadlineMs, signal: this.#signal }, traces);
  }
}

function producerIdAt(wallMs: bigint): Uint8Array {
  return Buffer.from(uuidV7(Number(wallMs)).replaceAll('-', ''), 'hex');
}
