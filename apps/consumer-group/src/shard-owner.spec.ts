import { PartitaError } from '@partita/domain';
import type { GroupCommand } from '@partita/groups';
import { createLogger } from '@partita/runtime';
import { describe, expect, it } from 'vitest';
import { ShardOwner } from './shard-owner.ts';

/** A shard log whose appends wait until the test ends them. */
class HeldLog {
  readonly #ends: { resolve: () => void; reject: (error: PartitaError) => void }[] = [];
  appendCount = 0;
  claimCount = 0;
  claim(): Promise<{ claimEpoch: number; offset: bigint }> {
    this.claimCount += 1;
    return Promise.resolve({ claimEpoch: this.claimCount, offset: 0n });
  }
  replay(): Promise<void> {
    return Promise.resolve();
  }
  append(): Promise<void> {
    this.appendCount += 1;
    return new Promise((resolve, reject) => this.#ends.push({ resolve, reject }));
  }
  end(error?: PartitaError): void {
    const first = this.#ends.shift();
    if (error === undefined) first?.resolve();
    else first?.reject(error);
  }
}

const join = (memberId: string): GroupCommand => ({
  kind: 'join',
  group: 'g',
  memberId,
  instanceId: '',
  clientId: '',
  peer: '',
  topics: ['t'],
  topicPattern: '',
  sessionTimeoutMs: 1000,
  rebalanceTimeoutMs: 1000,
  rack: '',
  capacity: 1,
  assignor: '',
  wallMs: 1,
});

async function setUp(): Promise<{ owner: ShardOwner; log: HeldLog }> {
  const log = new HeldLog();
  const owner = new ShardOwner({
    shard: 0,
    log,
    catalog: { topic: () => ({ topicId: 'id', partitionCount: 1 }), matching: () => [], has: () => true },
    logger: createLogger({ service: 'spec', instance: '1', level: 'fatal' }),
    wallMs: () => 1,
    listener: { onServing: () => undefined, onChanged: () => undefined },
  });
  owner.start();
  await owner.serving(1000);
  return { owner, log };
}

const untilAppended = async (log: HeldLog, count: number): Promise<void> => {
  while (log.appendCount < count) await new Promise((resolve) => setImmediate(resolve));
};

describe('ShardOwner', () => {
  it('gathers what comes while a batch is under way into the next one', async () => {
    const { owner, log } = await setUp();
    const first = owner.submit(join('a'));
    await untilAppended(log, 1);
    const others = ['b', 'c', 'd'].map((memberId) => owner.submit(join(memberId)));
    log.end();
    await first;
    await untilAppended(log, 2);
    log.end();
    await Promise.all(others);
    expect([log.appendCount, owner.state.get('g')?.members.size]).toEqual([2, 4]);
    owner.stop();
  });

  it('answers what became durable although the shard was given up meanwhile, and refuses what waits', async () => {
    const { owner, log } = await setUp();
    const underWay = owner.submit(join('a'));
    await untilAppended(log, 1);
    const waiting = owner.submit(join('b'));
    owner.stop();
    await expect(waiting).rejects.toMatchObject({ reason: 'GROUP_LOADING' });
    log.end();
    await expect(underWay).resolves.toBeDefined();
  });

  it('claims anew after doubt, and decides the same commands again', async () => {
    const { owner, log } = await setUp();
    const doubtful = owner.submit(join('a'));
    await untilAppended(log, 1);
    log.end(new PartitaError('OUTCOME_UNKNOWN', 'the stream broke'));
    await untilAppended(log, 2);
    log.end();
    await doubtful;
    expect([log.claimCount, owner.claimEpoch, owner.state.get('g')?.members.size]).toEqual([2, 2, 1]);
    owner.stop();
  });
});
