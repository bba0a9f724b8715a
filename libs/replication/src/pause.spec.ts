import { PARTITION_QUEUE_BYTES_MAX } from '@partita/domain';
import { describe, expect, it } from 'vitest';
import { configOf, TestReplica } from './testing/replica.fixture.ts';

const LEVEL_BY_MS = 300;
const UNTIL_MS = 2000;

/** Leads three replicas, two of them in sync; tells what each pause was answered. */
class PausingLeader extends TestReplica {
  readonly ends: bigint[] = [];

  constructor() {
    super(configOf(3, 2));
    this.elect(1);
    this.joinedBy(2);
  }

  pause(successorId = 'r2', epoch = 1, untilMs = UNTIL_MS): void {
    const reply = (end: bigint) => this.ends.push(end);
    this.feed({ kind: 'pause', epoch, successorId, levelByMs: LEVEL_BY_MS, untilMs, reply });
  }

  follow(durableEnd = this.state.logEnd): void {
    this.feed({ kind: 'follower-ack', epoch: 1, brokerId: 2, nonce: 'j2', durableEnd, fsynced: true });
  }

  expire(nowMs: number): void {
    this.feed({ kind: 'expire', nowMs });
  }
}

describe('a leader that pauses', () => {
  it('answers with its end at once when the successor has everything', () => {
    const leader = new PausingLeader();
    leader.pause();
    expect(leader.ends).toEqual([1n]);
  });

  it('answers when what was under way is durable on both and acknowledged, and appends nothing meanwhile', () => {
    const leader = new PausingLeader();
    leader.append();
    leader.pause();
    leader.append();
    leader.sync();
    expect(leader.ends).toEqual([]);
    leader.follow();
    expect(leader.ends).toEqual([2n]);
    expect(leader.lastReasons).toEqual(['ok']);
    expect(leader.state.logEnd).toBe(2n);
  });

  it('refuses for another epoch, for one that is not in sync, and without leading', () => {
    const leader = new PausingLeader();
    leader.pause('r2', 2);
    leader.pause('r3');
    new TestReplica().feed({
      kind: 'pause',
      epoch: 1,
      successorId: 'r2',
      levelByMs: 0,
      untilMs: 0,
      reply: (end) => leader.ends.push(end),
    });
    expect(leader.ends).toEqual([-1n, -1n, -1n]);
    leader.append();
    expect(leader.state.logEnd).toBe(2n);
  });

  it('takes what it queued, in order, when the successor does not draw level in time', () => {
    const leader = new PausingLeader();
    leader.append();
    leader.pause();
    leader.append({ recordCount: 2 });
    leader.append({ recordCount: 3 });
    leader.expire(LEVEL_BY_MS - 1);
    expect(leader.state.logEnd).toBe(2n);
    leader.expire(LEVEL_BY_MS);
    expect(leader.ends).toEqual([-1n]);
    leader.sync();
    leader.follow();
    expect(leader.appends).toMatchObject([
      { stamp: { baseOffset: 1n } },
      { stamp: { baseOffset: 2n } },
      { stamp: { baseOffset: 4n } },
    ]);
  });

  it('goes on by itself when nobody is elected', () => {
    const leader = new PausingLeader();
    leader.pause();
    leader.append({ deadlineMs: 9000 });
    leader.expire(UNTIL_MS - 1);
    expect(leader.state.logEnd).toBe(1n);
    leader.expire(UNTIL_MS);
    leader.sync();
    leader.follow();
    expect(leader.lastReasons).toEqual(['ok']);
  });

  it('is not held up for longer by a second request', () => {
    const leader = new PausingLeader();
    leader.pause();
    leader.append({ deadlineMs: 9000 });
    leader.pause('r2', 1, UNTIL_MS + 5000);
    expect(leader.ends).toEqual([1n, 1n]);
    leader.expire(UNTIL_MS);
    expect(leader.state.logEnd).toBe(2n);
  });

  it('goes on at once when the successor is lost', () => {
    const leader = new PausingLeader();
    leader.joinedBy(3);
    leader.append();
    leader.pause();
    leader.append();
    leader.feed({ kind: 'follower-lost', brokerId: 2, nonce: 'j2' });
    expect(leader.ends).toEqual([-1n]);
    expect(leader.state.logEnd).toBe(3n);
  });

  it('keeps the deadlines of what it queued', () => {
    const leader = new PausingLeader();
    leader.pause();
    leader.append({ deadlineMs: 100 });
    leader.append({ deadlineMs: 5000 });
    leader.expire(100);
    expect(leader.lastReasons).toEqual(['TIMED_OUT']);
    leader.expire(UNTIL_MS);
    expect(leader.state.logEnd).toBe(2n);
  });

  it('queues as much as the log itself would', () => {
    const leader = new PausingLeader();
    leader.pause();
    const batch = new Uint8Array(PARTITION_QUEUE_BYTES_MAX / 2);
    for (let count = 0; count < 3; count += 1) leader.append({ batch });
    expect(leader.lastReasons).toEqual(['QUEUE_FULL']);
  });

  it('sends what it queued to the next leader when it promises another epoch, nothing of it stored', () => {
    const leader = new PausingLeader();
    leader.pause();
    leader.append();
    leader.promise(2, 'b');
    expect(leader.lastReasons).toEqual(['NOT_LEADER']);
    leader.settleJournal();
    expect(leader.promises.at(-1)).toMatchObject({ granted: true, logEnd: 1n });
  });

  it('takes no change of the replica set', () => {
    const leader = new PausingLeader();
    leader.pause();
    const refusals: unknown[] = [];
    leader.feed({
      kind: 'propose-config',
      leaderEpoch: 0,
      expectedVersion: 1,
      config: { ...configOf(3, 2), version: 2 },
      wallMs: 1000,
      deadlineMs: 9000,
      reply: (outcome) => refusals.push(outcome),
    });
    expect(refusals).toMatchObject([{ ok: false, refusal: 'not-leader' }]);
  });

  it('does not pause while appends wait for replicas', () => {
    const leader = new TestReplica(configOf(3, 2));
    leader.elect(1);
    leader.append();
    const ends: bigint[] = [];
    const reply = (end: bigint) => ends.push(end);
    leader.feed({ kind: 'pause', epoch: 1, successorId: 'r2', levelByMs: LEVEL_BY_MS, untilMs: UNTIL_MS, reply });
    expect(ends).toEqual([-1n]);
  });
});
