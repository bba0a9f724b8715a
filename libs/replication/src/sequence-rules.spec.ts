import {
  PRODUCER_COUNT_MAX,
  PRODUCER_EXPIRY_MS,
  REQUEST_COUNT_MAX,
  REQUEST_EXPIRY_MS,
  REQUEST_PRODUCER_EPOCH,
} from '@partita/domain';
import { beforeEach, describe, expect, it } from 'vitest';
import type { AppendInput } from './messages.ts';
import { configOf, TestReplica } from './testing/replica.fixture.ts';

/** Wall clock of the tests, milliseconds. */
const NOW = 1_700_000_000_000;

function idAt(wallMs: number, last = 1): string {
  return `${wallMs.toString(16).padStart(12, '0')}7000a000${String(last).padStart(12, '0')}`;
}

const ID = idAt(NOW);

let replica: TestReplica;
beforeEach(() => {
  replica = new TestReplica();
  replica.elect(1);
});

/** Appends a batch of a session; `more` may give it another clock, epoch or checksum. */
function send(
  firstSequence: number,
  more: Partial<AppendInput> & { id?: string; epoch?: number; crc?: number; count?: number } = {},
): void {
  const { id = ID, epoch = 0, crc = 7, count = 1, ...input } = more;
  replica.append({
    recordCount: count,
    wallMs: NOW,
    ...input,
    producer: {
      producerId: id,
      producerEpoch: epoch,
      firstSequence: BigInt(firstSequence),
      lastSequence: BigInt(firstSequence + count - 1),
      recordsCrc: crc,
    },
  });
}

const lastError = () => {
  const last = replica.appends.at(-1);
  return last?.ok === false ? { reason: last.error.reason, ...last.error.metadata } : undefined;
};

describe('a leader, to a producer session', () => {
  it('appends what follows, and answers a repeated batch with the place of the original', () => {
    send(0, { count: 3 });
    send(3);
    replica.sync();
    send(0, { count: 3 });
    send(3);
    const end = replica.state.logEnd;
    expect(replica.lastReasons).toEqual(['ok', 'ok', 'ok', 'ok']);
    const stamps = replica.appends.map((outcome) => (outcome.ok ? [outcome.stamp, outcome.duplicate] : undefined));
    expect(stamps.slice(2)).toEqual([
      [(stamps[0] ?? [])[0], true],
      [(stamps[1] ?? [])[0], true],
    ]);
    expect(end).toBe(5n);
  });

  it('lets a duplicate wait for an original that is still on its way to the disk', () => {
    send(0);
    send(0);
    send(1);
    send(0);
    expect(replica.lastReasons).toEqual([]);
    expect(replica.state.logEnd).toBe(3n);
    replica.sync(1);
    expect(replica.appends.map((outcome) => outcome.ok && [outcome.stamp.baseOffset, outcome.duplicate])).toEqual([
      [1n, false],
      [1n, true],
      [1n, true],
    ]);
  });

  it('acknowledges a duplicate when the original is below the high watermark, or durable for acks=leader', () => {
    replica = new TestReplica(configOf(3, 2));
    replica.elect(1);
    replica.joinedBy(2);
    send(0);
    replica.sync();
    send(0);
    send(0, { acks: 'leader' });
    expect(replica.lastReasons).toEqual([]);
    replica.feed({ kind: 'follower-ack', epoch: 1, brokerId: 2, nonce: 'j2', durableEnd: 2n, fsynced: true });
    expect(replica.lastReasons).toEqual(['ok', 'ok', 'ok']);
  });

  it('answers the doubt of a duplicate with doubt, never with a refusal, when it loses its replicas', () => {
    replica = new TestReplica(configOf(3, 2));
    replica.elect(1);
    replica.joinedBy(2);
    send(0);
    replica.sync();
    replica.feed({ kind: 'expire', nowMs: 0 });
    replica.feed({ kind: 'expire', nowMs: 5000 });
    replica.feed({ kind: 'follower-lost', brokerId: 2, nonce: 'j2' });
    send(0);
    send(1);
    expect(replica.lastReasons).toEqual(['OUTCOME_UNKNOWN', 'NOT_ENOUGH_REPLICAS']);
    replica.promise(2, 'b');
    replica.settleJournal();
    expect(replica.lastReasons.at(-1)).toBe('OUTCOME_UNKNOWN');
    expect(replica.state.logEnd).toBe(2n);
  });

  it('judges what it holds back when its turn comes', () => {
    replica = new TestReplica(configOf(3, 2));
    replica.elect(1);
    send(0);
    send(1);
    send(1);
    send(3);
    expect(replica.lastReasons).toEqual([]);
    replica.joinedBy(2);
    expect(lastError()).toMatchObject({ reason: 'OUT_OF_ORDER_SEQUENCE', expected: '2', actual: '3' });
    expect(replica.state.logEnd).toBe(3n);
  });

  it('finds the original of a conditional append before it looks at the condition', () => {
    send(0, { expectedNextOffset: 1n });
    send(1, { expectedNextOffset: 2n });
    replica.sync();
    send(0, { expectedNextOffset: 1n });
    send(1, { expectedNextOffset: 2n });
    expect(replica.appends.map((outcome) => outcome.ok && outcome.duplicate)).toEqual([false, false, true, true]);
    send(2, { expectedNextOffset: 2n });
    expect(lastError()).toMatchObject({ reason: 'EXPECTED_OFFSET_MISMATCH', actual: '3' });
  });

  it('refuses a gap, and stores nothing of it', () => {
    send(0);
    send(2);
    expect(lastError()).toEqual({ reason: 'OUT_OF_ORDER_SEQUENCE', expected: '1', actual: '2' });
    expect(replica.state.logEnd).toBe(2n);
    send(1);
    send(2);
    replica.sync();
    expect(replica.lastReasons).toEqual(['OUT_OF_ORDER_SEQUENCE', 'ok', 'ok', 'ok']);
  });

  it('never takes for a duplicate what it does not remember as one', () => {
    for (let number = 0; number < 7; number += 1) send(number);
    replica.sync();
    send(1);
    expect(lastError()).toEqual({ reason: 'UNKNOWN_PRODUCER', producer_id: ID });
    send(6, { crc: 8 });
    expect(lastError()).toMatchObject({ reason: 'UNKNOWN_PRODUCER' });
    send(6, { count: 2 });
    expect(lastError()).toMatchObject({ reason: 'UNKNOWN_PRODUCER' });
    send(4, { id: idAt(NOW, 2) });
    expect(lastError()).toMatchObject({ reason: 'UNKNOWN_PRODUCER' });
    expect(replica.state.logEnd).toBe(8n);
  });

  it('refuses an id whose time is more than half a day from its own, and tells its own', () => {
    const halfDay = PRODUCER_EXPIRY_MS / 2;
    send(0, { id: idAt(NOW - halfDay) });
    send(0, { id: idAt(NOW + halfDay) });
    expect(lastError()).toBeUndefined();
    send(0, { id: idAt(NOW - halfDay - 1) });
    const expired = { reason: 'PRODUCER_EXPIRED', leader_time_ms: String(NOW) };
    expect(lastError()).toEqual({ ...expired, producer_id: idAt(NOW - halfDay - 1) });
    send(0, { id: idAt(NOW + halfDay + 1) });
    expect(lastError()).toMatchObject(expired);
  });

  it('never appends a batch again whose session it has forgotten', () => {
    send(0);
    send(0, { id: idAt(NOW + PRODUCER_EXPIRY_MS + 1), wallMs: NOW + PRODUCER_EXPIRY_MS + 1 });
    send(0);
    expect(lastError()).toMatchObject({ reason: 'PRODUCER_EXPIRED' });
    send(1);
    expect(lastError()).toMatchObject({ reason: 'UNKNOWN_PRODUCER' });
  });

  it('goes on with the newer epoch of a session from 0, and fences the older', () => {
    send(0);
    send(1, { epoch: 1 });
    expect(lastError()).toEqual({ reason: 'OUT_OF_ORDER_SEQUENCE', expected: '0', actual: '1' });
    send(0, { epoch: 1 });
    send(1);
    expect(lastError()).toEqual({ reason: 'FENCED_PRODUCER', producer_id: ID, epoch: '0', current: '1' });
    send(1, { epoch: 1 });
    replica.sync();
    expect(replica.lastReasons.slice(2)).toEqual(['ok', 'ok', 'ok']);
  });

  it('refuses a further session when it remembers as many as it may, and forgets none for it', () => {
    for (let number = 1; number <= PRODUCER_COUNT_MAX; number += 1) send(0, { id: idAt(NOW, number) });
    send(0, { id: idAt(NOW, PRODUCER_COUNT_MAX + 1) });
    expect(lastError()).toEqual({ reason: 'PRODUCER_TABLE_FULL', limit: String(PRODUCER_COUNT_MAX) });
    send(1, { id: idAt(NOW, 1) });
    expect(replica.state.logEnd).toBe(BigInt(PRODUCER_COUNT_MAX) + 2n);
  });

  it('forgets the sessions of earlier claims with a new one, not with one that is repeated late', () => {
    const claim = (epoch: number) => replica.append({ claimEpoch: epoch, claim: { epoch, instanceId: 'a' } });
    claim(1);
    send(0, { claimEpoch: 1 });
    claim(1);
    send(0, { claimEpoch: 1 });
    replica.sync();
    expect(replica.appends.map((outcome) => outcome.ok && outcome.duplicate)).toEqual([false, false, true, false]);
    claim(2);
    send(0, { claimEpoch: 1 });
    expect(lastError()).toMatchObject({ reason: 'FENCED_CLAIM' });
    send(1, { claimEpoch: 2 });
    expect(lastError()).toMatchObject({ reason: 'UNKNOWN_PRODUCER' });
  });

  it('forgets what a crash took, and knows the rest as after every start', () => {
    send(0);
    replica.sync();
    send(1);
    replica.restart();
    replica.elect(2);
    send(2);
    expect(lastError()).toMatchObject({ reason: 'OUT_OF_ORDER_SEQUENCE', expected: '1' });
    send(0);
    send(1);
    replica.sync();
    const [duplicate, again] = replica.appends.slice(-2);
    expect(duplicate).toMatchObject({ ok: true, duplicate: true, stamp: { baseOffset: 1n, leaderEpoch: 1 } });
    expect(again).toMatchObject({ ok: true, duplicate: false, stamp: { baseOffset: 3n, leaderEpoch: 2 } });
  });
});

describe('a leader, to a request with an id', () => {
  const epoch = REQUEST_PRODUCER_EPOCH;
  const answers = () => replica.appends.map((outcome) => outcome.ok && [outcome.stamp.baseOffset, outcome.duplicate]);

  it('answers a repeat with the first place, whatever its checksum, when that is safe', () => {
    send(0, { epoch, count: 3 });
    send(0, { epoch, count: 3, crc: 8 });
    expect(replica.lastReasons).toEqual([]);
    replica.sync();
    send(0, { epoch, count: 3, crc: 9, wallMs: NOW + REQUEST_EXPIRY_MS });
    expect(answers()).toEqual([
      [1n, false],
      [1n, true],
      [1n, true],
    ]);
    expect(replica.state.logEnd).toBe(4n);
  });

  it('refuses another number of records under the same id, and stores nothing', () => {
    send(0, { epoch, count: 3 });
    send(0, { epoch, count: 2 });
    expect(lastError()).toEqual({ reason: 'UNKNOWN_PRODUCER', producer_id: ID });
    expect(replica.state.logEnd).toBe(4n);
  });

  it('finds the original of a conditional append before it looks at the condition', () => {
    send(0, { epoch, expectedNextOffset: 1n });
    replica.sync();
    send(0, { epoch, expectedNextOffset: 1n, crc: 8 });
    expect(answers()).toEqual([
      [1n, false],
      [1n, true],
    ]);
    send(0, { epoch, id: idAt(NOW, 2), expectedNextOffset: 1n });
    expect(lastError()).toMatchObject({ reason: 'EXPECTED_OFFSET_MISMATCH' });
  });

  it('stores one copy of those that it held back together', () => {
    replica = new TestReplica(configOf(3, 2));
    replica.elect(1);
    send(0, { epoch });
    send(0, { epoch, crc: 8 });
    replica.joinedBy(2);
    expect(replica.state.logEnd).toBe(2n);
  });

  it('refuses an id whose time is more than half of what it remembers from its own, and never appends one again', () => {
    const half = REQUEST_EXPIRY_MS / 2;
    send(0, { epoch, id: idAt(NOW - half) });
    send(0, { epoch, id: idAt(NOW + half) });
    expect(lastError()).toBeUndefined();
    send(0, { epoch, id: idAt(NOW - half - 1) });
    const expired = { reason: 'PRODUCER_EXPIRED', leader_time_ms: String(NOW) };
    expect(lastError()).toEqual({ ...expired, producer_id: idAt(NOW - half - 1) });
    send(0, { epoch, id: idAt(NOW + half + 1) });
    expect(lastError()).toMatchObject(expired);
    send(0, { epoch, id: idAt(NOW + half), wallMs: NOW + REQUEST_EXPIRY_MS });
    replica.sync();
    expect(answers().at(-1)).toEqual([2n, true]);
    send(0, { epoch, id: idAt(NOW + half), wallMs: NOW + REQUEST_EXPIRY_MS + 1 });
    expect(lastError()).toMatchObject({ reason: 'PRODUCER_EXPIRED' });
    expect(replica.state.logEnd).toBe(3n);
  });

  it('refuses a further one when it remembers as many as it may, forgets none for it, and takes sessions all the same', () => {
    send(0, { epoch, id: idAt(NOW, 1) });
    replica.sync();
    const { producers } = replica.state;
    for (let number = 2; number <= REQUEST_COUNT_MAX; number += 1) {
      const place = { recordCount: 1, baseOffset: BigInt(number), appendTimeMs: BigInt(NOW) };
      producers.requests.note({ requestId: idAt(NOW, number), ...place });
    }
    const end = replica.state.logEnd;
    send(0, { epoch, id: idAt(NOW, REQUEST_COUNT_MAX + 1) });
    expect(lastError()).toEqual({ reason: 'PRODUCER_TABLE_FULL', limit: String(REQUEST_COUNT_MAX) });
    send(0, { epoch, id: idAt(NOW, 1), crc: 8 });
    expect(answers().at(-1)).toEqual([1n, true]);
    send(0, { id: idAt(NOW, REQUEST_COUNT_MAX + 1) });
    expect(replica.state.logEnd).toBe(end + 1n);
    send(0, { epoch, id: idAt(NOW + REQUEST_EXPIRY_MS + 1, 1), wallMs: NOW + REQUEST_EXPIRY_MS + 1 });
    expect(replica.state.logEnd).toBe(end + 2n);
  });

  it('forgets what a crash took, and knows the rest as after every start', () => {
    send(0, { epoch });
    replica.sync();
    send(0, { epoch, id: idAt(NOW, 2) });
    replica.restart();
    replica.elect(2);
    send(0, { epoch });
    send(0, { epoch, id: idAt(NOW, 2) });
    replica.sync();
    expect(answers().slice(-2)).toEqual([
      [1n, true],
      [3n, false],
    ]);
  });
});
