/** Producer sessions against real brokers: what is refused and why, and that a repeated batch is known for good. */
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BatchBuilder, CODEC_NONE } from '@partita/batch';
import { PRODUCER_EXPIRY_MS } from '@partita/domain';
import { Acks, BrokerServiceService } from '@partita/protocol';
import type { AppendAck, AppendResult, DescribeProducersRequest } from '@partita/protocol';
import { fromRpcStatus } from '@partita/rpc';
import { callUnary } from '@partita/rpc/client';
import { uuidV7 } from '@partita/runtime';
import { claimBatch, entryFor, reasonOf, TestBroker } from './testing/broker.fixture.ts';
import { ReplicaSet } from './testing/replica-set.fixture.ts';

function freshId(wallMs = Date.now()): Buffer {
  return Buffer.from(uuidV7(wallMs).replaceAll('-', ''), 'hex');
}

/** A batch of a session; the same arguments give the same bytes. */
function sessionBatch(
  producerId: Uint8Array,
  firstSequence: number,
  values: readonly string[],
  producerEpoch = 0,
): Buffer {
  const builder = new BatchBuilder();
  for (const value of values) builder.tryAdd({ value: Buffer.from(value), timestampMs: 1000n });
  return builder.build({ codec: CODEC_NONE, producerId, producerEpoch, firstSequence: BigInt(firstSequence) });
}

function errorOf(result: AppendResult | undefined): Readonly<Record<string, string>> | undefined {
  if (result?.outcome?.$case !== 'error') return undefined;
  const { reason, metadata } = fromRpcStatus(result.outcome.error);
  return { reason, ...metadata };
}

describe('a broker, to producer sessions', () => {
  let broker: TestBroker;
  let id: Buffer;

  beforeEach(async () => {
    broker = await TestBroker.start();
    await broker.elect(await broker.createTopic('flights'), 1);
    id = freshId();
  });

  afterEach(async () => {
    await broker.stop();
    await broker.remove();
  });

  const send = async (batch: Uint8Array) => errorOf((await broker.append(entryFor('flights', batch)))[0]);
  const endOffset = async () => (await broker.fetch({ topic: 'flights' })).highWatermark;

  it('answers a repeated batch with the place of the original, and stores it once', async () => {
    const first = sessionBatch(id, 0, ['a', 'b']);
    const original = await broker.appendOk(entryFor('flights', first));
    expect(original).toMatchObject({ baseOffset: 1n, duplicate: false, recordCount: 2 });
    await broker.appendOk(entryFor('flights', sessionBatch(id, 2, ['c'])));
    const again = await broker.appendOk(entryFor('flights', first));
    expect(again).toEqual({ ...original, duplicate: true });
    const leaderOnly = await broker.appendOk(entryFor('flights', first, { acks: Acks.ACKS_LEADER }));
    expect(leaderOnly).toEqual({ ...original, duplicate: true });
    expect(await endOffset()).toBe(4n);
  });

  it('knows a batch that is repeated while the original is on its way to the disk', async () => {
    const batch = sessionBatch(id, 0, ['a']);
    const results = await broker.append(...[batch, batch, batch].map((bytes) => entryFor('flights', bytes)));
    const acks = results.map(
      ({ outcome }) => outcome?.$case === 'ack' && [outcome.ack.baseOffset, outcome.ack.duplicate],
    );
    expect(acks).toEqual([
      [1n, false],
      [1n, true],
      [1n, true],
    ]);
    expect(await endOffset()).toBe(2n);
  });

  it('finds the original of a conditional append before it looks at the condition', async () => {
    const entry = entryFor('flights', sessionBatch(id, 0, ['a']), { expectedNextOffset: 1n });
    const original = await broker.appendOk(entry);
    expect(await broker.appendOk(entry)).toEqual({ ...original, duplicate: true });
    const next = entryFor('flights', sessionBatch(id, 1, ['b']), { expectedNextOffset: 1n });
    expect((await broker.append(next)).map(reasonOf)).toEqual(['EXPECTED_OFFSET_MISMATCH']);
  });

  it('refuses a gap, and with it whatever the request has behind it', async () => {
    const results = await broker.append(
      ...[sessionBatch(id, 0, ['a']), sessionBatch(id, 2, ['c']), sessionBatch(id, 1, ['b'])].map((bytes) =>
        entryFor('flights', bytes),
      ),
    );
    expect(results.map(reasonOf)).toEqual(['ack', 'OUT_OF_ORDER_SEQUENCE', 'OUT_OF_ORDER_SEQUENCE']);
    expect(errorOf(results[1])).toEqual({ reason: 'OUT_OF_ORDER_SEQUENCE', expected: '1', actual: '2' });
    expect(await endOffset()).toBe(2n);
  });

  it('names each refusal, and stores nothing', async () => {
    const producer_id = id.toString('hex');
    await broker.appendOk(entryFor('flights', sessionBatch(id, 0, ['a'], 1)));
    const end = await endOffset();
    expect(await send(sessionBatch(id, 1, ['b']))).toEqual({
      ...{ reason: 'FENCED_PRODUCER', producer_id },
      ...{ epoch: '0', current: '1' },
    });
    expect(await send(sessionBatch(id, 3, ['b'], 2))).toMatchObject({ reason: 'OUT_OF_ORDER_SEQUENCE', expected: '0' });
    expect(await send(sessionBatch(id, 0, ['other'], 1))).toEqual({ reason: 'UNKNOWN_PRODUCER', producer_id });
    const stranger = freshId();
    expect(await send(sessionBatch(stranger, 1, ['a']))).toEqual({
      reason: 'UNKNOWN_PRODUCER',
      producer_id: stranger.toString('hex'),
    });
    const old = freshId(Date.now() - PRODUCER_EXPIRY_MS);
    const expired = await send(sessionBatch(old, 0, ['a']));
    expect(expired).toMatchObject({ reason: 'PRODUCER_EXPIRED', producer_id: old.toString('hex') });
    expect(Math.abs(Number(expired?.['leader_time_ms']) - Date.now())).toBeLessThan(60_000);
    const random = randomBytes(16).fill(0x4f, 6, 7);
    expect(await send(sessionBatch(random, 0, ['a']))).toMatchObject({ reason: 'INVALID_BATCH', field: 'producer_id' });
    expect(await endOffset()).toBe(end);
  });

  it('lets the claim holder of an internal topic write as a session', async () => {
    await broker.elect(await broker.createTopic('__groups'), 1);
    const owner = '0190a000-0000-7000-8000-00000000000a';
    await broker.appendOk(entryFor('__groups', claimBatch(1, owner), { claimEpoch: 1 }));
    const entry = entryFor('__groups', sessionBatch(id, 0, ['a']), { claimEpoch: 1 });
    const original = await broker.appendOk(entry);
    expect(await broker.appendOk(entry)).toEqual({ ...original, duplicate: true });
    await broker.appendOk(entryFor('__groups', claimBatch(2, owner), { claimEpoch: 2 }));
    const late = entryFor('__groups', sessionBatch(id, 1, ['b']), { claimEpoch: 1 });
    expect((await broker.append(entry)).map(reasonOf)).toEqual(['FENCED_CLAIM']);
    expect((await broker.append(late)).map(reasonOf)).toEqual(['FENCED_CLAIM']);
    const ofAnother = entryFor('__groups', sessionBatch(id, 1, ['b']), { claimEpoch: 2 });
    expect((await broker.append(ofAnother)).map(reasonOf)).toEqual(['UNKNOWN_PRODUCER']);
  });

  it('lists the sessions that it knows, page by page', async () => {
    const ids = Array.from({ length: 3 }, () => freshId()).sort((a, b) => a.compare(b));
    for (const producerId of ids) await broker.appendOk(entryFor('flights', sessionBatch(producerId, 0, ['a', 'b'])));
    const list = (more: Partial<DescribeProducersRequest>) =>
      callUnary(broker.client, BrokerServiceService.describeProducers, {
        ...{ topic: 'flights', partition: 0, pageSize: 2, pageToken: '' },
        ...more,
      });
    const first = await list({});
    const second = await list({ pageToken: first.nextPageToken });
    const listed = [...first.producers, ...second.producers];
    expect(listed.map(({ producerId }) => Buffer.from(producerId))).toEqual(ids);
    expect(listed[0]).toMatchObject({ producerEpoch: 0, lastSequence: 1n, lastOffset: 2n });
    expect([first.producers.length, second.nextPageToken]).toEqual([2, '']);
    await expect(list({ pageToken: 'x' })).rejects.toMatchObject({ reason: 'INVALID_PAGE_TOKEN' });
  });
});

describe('a duplicate', () => {
  it('is known when the broker has stopped in order or was killed, and was led again', async () => {
    const batch = entryFor('flights', sessionBatch(freshId(), 0, ['a']));
    const first = await TestBroker.start();
    const topic = await first.createTopic('flights');
    await first.elect(topic, 1);
    const original = await first.appendOk(batch);
    const killed = await first.copyOfDirectory();
    await first.stop();
    let epoch = 1;
    for (const dir of [first.dir, killed]) {
      const again = await TestBroker.start(dir);
      epoch += 1;
      await again.elect(topic, epoch);
      expect(await again.appendOk(batch)).toEqual({ ...original, duplicate: true });
      await again.stop();
      await again.remove();
    }
  });

  it('is known to the next leader, and one that was cut off is stored anew', async () => {
    const set = await ReplicaSet.start(3, 2);
    try {
      const id = freshId();
      await set.elect([1, 2, 3]);
      const kept = entryFor(set.topic, sessionBatch(id, 0, ['kept']));
      const original = await set.broker(1).appendOk(kept);
      await set.untilInSync(1, 2, 3);
      // The others promise a higher epoch: what the old leader still takes is lost when it follows.
      await set.promise([2, 3], 2, Buffer.alloc(16, 7));
      const lost = entryFor(set.topic, sessionBatch(id, 1, ['lost']));
      const [alone] = await set.broker(1).append({ ...lost, acks: Acks.ACKS_LEADER });
      expect(['ack', 'NOT_ENOUGH_REPLICAS', 'NOT_LEADER', 'OUTCOME_UNKNOWN']).toContain(reasonOf(alone));
      set.epoch = 2;
      await set.elect([3, 2]);
      expect(await set.broker(3).appendOk(kept)).toMatchObject({ ...placeOf(original), duplicate: true });
      const anew = await set.broker(3).appendOk(lost);
      expect(anew.duplicate).toBe(false);
      await set.untilInSync(1, 2, 3);
      await set.elect([1, 2]);
      expect(await set.broker(1).appendOk(lost)).toMatchObject({ ...placeOf(anew), duplicate: true });
      expect(await set.broker(1).appendOk(kept)).toMatchObject({ ...placeOf(original), duplicate: true });
    } finally {
      await set.stop();
    }
  });
});

function placeOf({ baseOffset, leaderEpoch, appendTimeMs }: AppendAck) {
  return { baseOffset, leaderEpoch, appendTimeMs };
}
