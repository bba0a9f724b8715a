import { producerSequenceAt } from '@partita/batch';
import { PartitaError } from '@partita/domain';
import type { ErrorReason, ProducerSequence } from '@partita/domain';
import type { AppendAck, AppendEntry } from '@partita/protocol';
import { describe, expect, it } from 'vitest';
import { ShardLog } from './shard-log.ts';
import type { ShardCalls } from './shard-log.ts';

const LEADER_TIME_MS = 0x019a00000001n;
const NAME = { topicId: 'id', topic: '__groups', partition: 0 };
const records = ['a', 'b'].map((value) => ({ value: Buffer.from(value), timestampMs: 1n }));
const batch = (claimEpoch: number, firstSequence: bigint) => ({ records, claimEpoch, firstSequence });

/** A leader that answers the next appends as told, and otherwise stores them. */
class ToldLeader implements ShardCalls {
  readonly answers: ErrorReason[] = [];
  readonly sent: (ProducerSequence | undefined)[] = [];
  readonly tries: Uint8Array[] = [];

  append(entry: AppendEntry): Promise<AppendAck> {
    this.tries.push(Uint8Array.from(entry.recordBatches));
    this.sent.push(producerSequenceAt(entry.recordBatches, 0));
    const reason = this.answers.shift();
    if (reason !== undefined) return Promise.reject(new PartitaError(reason, 'as told'));
    return Promise.resolve({
      ...{ partition: 0, baseOffset: 1n, leaderEpoch: 1, replicasAcked: 1, fsynced: true },
      ...{ appendTimeMs: LEADER_TIME_MS, duplicate: false, recordCount: 2 },
    });
  }

  fetch(): never {
    throw new Error('nothing is fetched here');
  }

  listOffset(): never {
    throw new Error('nothing is asked here');
  }
}

function setUp(): { leader: ToldLeader; log: ShardLog } {
  const leader = new ToldLeader();
  return { leader, log: new ShardLog(leader, NAME, 'instance', new AbortController().signal) };
}

describe('the log of a shard', () => {
  it('is written as one producer session for each claim, whose id has the time of the leader', async () => {
    const { leader, log } = setUp();
    await log.claim(0);
    await log.append(batch(1, 0n));
    await log.append(batch(1, 2n));
    await log.claim(1);
    await log.append(batch(2, 0n));
    const [, first, second, claim, third] = leader.sent;
    expect(claim).toBeUndefined();
    expect([first, second, third].map((sent) => [sent?.firstSequence, sent?.lastSequence])).toEqual([
      [0n, 1n],
      [2n, 3n],
      [0n, 1n],
    ]);
    expect(first?.producerId).toMatch(/^019a000000017/);
    expect(second?.producerId).toBe(first?.producerId);
    expect(third?.producerId).not.toBe(first?.producerId);
  });

  it('is given the same bytes again for the same batch, which is how its leader knows it', async () => {
    const { leader, log } = setUp();
    await log.claim(0);
    leader.answers.push('OUTCOME_UNKNOWN');
    await expect(log.append(batch(1, 0n))).rejects.toMatchObject({ reason: 'OUTCOME_UNKNOWN' });
    await log.append(batch(1, 0n));
    const [, first, second] = leader.tries;
    expect(second).toEqual(first);
  });

  it('is written under the last claim only', async () => {
    const { log } = setUp();
    await log.claim(0);
    await log.claim(1);
    await expect(log.append(batch(1, 0n))).rejects.toThrow('is not the one');
  });
});
