import { producerSequenceAt } from '@partita/batch';
import { PartitaError } from '@partita/domain';
import type { ErrorReason, ProducerSequence } from '@partita/domain';
import type { AppendAck, AppendEntry } from '@partita/protocol';
import { describe, expect, it } from 'vitest';
import { ShardLog } from './shard-log.ts';
import type { ShardCalls } from './shard-log.ts';

const LEADER_TIME_MS = 0x019a00000001n;
const NAME = { topicId: 'id', topic: '__groups', partition: 0 };
const RECORDS = ['a', 'b'].map((value) => ({ value: Buffer.from(value), timestampMs: 1n }));

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

function setUp(): { leader: ToldLeader; log: ShardLog; abort: AbortController } {
  const leader = new ToldLeader();
  const abort = new AbortController();
  return { leader, log: new ShardLog(leader, NAME, 'instance', abort.signal), abort };
}

describe('the log of a shard', () => {
  it('is written as one producer session for each claim, whose id has the time of the leader', async () => {
    const { leader, log } = setUp();
    await log.claim(0);
    await log.append(RECORDS, 1);
    await log.append(RECORDS, 1);
    await log.claim(1);
    await log.append(RECORDS, 2);
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

  it('sends the same batch again while its outcome is in doubt, and goes on behind it', async () => {
    const { leader, log } = setUp();
    await log.claim(0);
    leader.answers.push('OUTCOME_UNKNOWN', 'OUTCOME_UNKNOWN');
    await log.append(RECORDS, 1);
    await log.append(RECORDS, 1);
    const [, first, second, third, next] = leader.tries;
    expect([second, third]).toEqual([first, first]);
    expect(next).not.toEqual(first);
    expect(leader.sent.at(-1)?.firstSequence).toBe(2n);
  });

  it.each(['FENCED_CLAIM', 'OUT_OF_ORDER_SEQUENCE', 'UNKNOWN_PRODUCER'] as const)(
    'has to be claimed anew after %s, also where that answers a batch in doubt',
    async (reason) => {
      const { leader, log } = setUp();
      await log.claim(0);
      leader.answers.push('OUTCOME_UNKNOWN', reason);
      await expect(log.append(RECORDS, 1)).rejects.toMatchObject({ reason });
      expect(leader.tries).toHaveLength(3);
      await expect(log.append(RECORDS, 1)).rejects.toThrow('is not the one');
      await log.claim(1);
      await log.append(RECORDS, 2);
      expect(leader.sent.at(-1)?.firstSequence).toBe(0n);
    },
  );

  it('gives a batch in doubt up when the shard is given up', async () => {
    const { leader, log, abort } = setUp();
    await log.claim(0);
    leader.answers.push(...Array.from({ length: 100 }, () => 'OUTCOME_UNKNOWN' as const));
    const appended = log.append(RECORDS, 1);
    setTimeout(() => abort.abort(), 50);
    await expect(appended).rejects.toMatchObject({ reason: 'OUTCOME_UNKNOWN' });
  });
});
