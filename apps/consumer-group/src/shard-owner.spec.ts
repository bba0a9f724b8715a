import { PartitaError } from '@partita/domain';
import type { GroupCommand } from '@partita/groups';
import { createLogger, StateLines, systemTimers } from '@partita/runtime';
import { NO_METRICS } from '@partita/telemetry';
import { describe, expect, it } from 'vitest';
import { GroupMeter } from './group-meter.ts';
import { ShardOwner } from './shard-owner.ts';

/** A shard log whose appends wait until the test ends them. */
class HeldLog {
  readonly #ends: { resolve: () => void; reject: (error: PartitaError) => void }[] = [];
  readonly appended: unknown[] = [];
  claimCount = 0;
  get appendCount(): number {
    return this.appended.length;
  }
  claim(): Promise<{ claimEpoch: number; offset: bigint }> {
    this.claimCount += 1;
    return Promise.resolve({ claimEpoch: this.claimCount, offset: 0n });
  }
  replay(): Promise<boolean> {
    return Promise.resolve(true);
  }
  append(batch: unknown): Promise<void> {
    this.appended.push(batch);
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
  const logger = createLogger({ service: 'spec', instance: '1', level: 'fatal' });
  const owner = new ShardOwner({
    shard: 0,
    log,
    catalog: { topic: () => ({ topicId: 'id', partitionCount: 1 }), matching: () => [], has: () => true },
    logger,
    lines: new StateLines(logger, systemTimers),
    tracing: 'off',
    meter: new GroupMeter(NO_METRICS),
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

  const doubt = (): PartitaError => new PartitaError('OUTCOME_UNKNOWN', 'the stream broke');

  it('sends a batch in doubt again, as it is and under its claim', async () => {
    const { owner, log } = await setUp();
    const doubtful = owner.submit(join('a'));
    await untilAppended(log, 1);
    log.end(doubt());
    await untilAppended(log, 2);
    log.end();
    await doubtful;
    expect([log.claimCount, owner.state.get('g')?.members.size]).toEqual([1, 1]);
    expect(log.appended[1]).toEqual(log.appended[0]);
    owner.stop();
  });

  it.each([
    ['a batch that stays in doubt', [doubt, doubt, doubt, doubt]],
    ['a refusal of one in doubt', [doubt, () => new PartitaError('UNKNOWN_PRODUCER', 'a gap')]],
  ])('claims anew after %s, and decides the same commands again', async (_, errors) => {
    const { owner, log } = await setUp();
    const doubtful = owner.submit(join('a'));
    for (const [index, error] of errors.entries()) {
      await untilAppended(log, index + 1);
      log.end(error());
    }
    await untilAppended(log, errors.length + 1);
    log.end();
    await doubtful;
    expect([log.claimCount, owner.claimEpoch, owner.state.get('g')?.members.size]).toEqual([2, 2, 1]);
    owner.stop();
  });

  it('sends a batch in doubt no more once the shard is given up', async () => {
    const { owner, log } = await setUp();
    const doubtful = owner.submit(join('a'));
    await untilAppended(log, 1);
    owner.stop();
    log.end(doubt());
    await expect(doubtful).rejects.toMatchObject({ reason: 'GROUP_LOADING' });
    expect(log.appendCount).toBe(1);
  });
});
