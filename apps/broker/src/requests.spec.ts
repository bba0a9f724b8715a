/** Requests with an id against real brokers: stored once, however often and by whomever they are sent. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BatchBuilder, CODEC_NONE } from '@partita/batch';
import { REQUEST_EXPIRY_MS, REQUEST_PRODUCER_EPOCH } from '@partita/domain';
import { Acks, BrokerServiceService } from '@partita/protocol';
import type { AppendAck, AppendResult } from '@partita/protocol';
import { fromRpcStatus } from '@partita/rpc';
import { callUnary } from '@partita/rpc/client';
import { uuidV7 } from '@partita/runtime';
import { entryFor, reasonOf, TestBroker } from './testing/broker.fixture.ts';
import { ReplicaSet } from './testing/replica-set.fixture.ts';

function freshId(wallMs = Date.now()): Buffer {
  return Buffer.from(uuidV7(wallMs).replaceAll('-', ''), 'hex');
}

/** A request as a gateway frames it; another gateway may give its records another time. */
function requestBatch(
  requestId: Uint8Array,
  values: readonly string[],
  timestampMs = 1000n,
  firstSequence = 0n,
): Buffer {
  const builder = new BatchBuilder();
  for (const value of values) builder.tryAdd({ value: Buffer.from(value), timestampMs });
  const framing = { producerId: requestId, producerEpoch: REQUEST_PRODUCER_EPOCH, firstSequence } as const;
  return builder.build({ codec: CODEC_NONE, ...framing });
}

function errorOf(result: AppendResult | undefined): Readonly<Record<string, string>> | undefined {
  if (result?.outcome?.$case !== 'error') return undefined;
  const { reason, metadata } = fromRpcStatus(result.outcome.error);
  return { reason, ...metadata };
}

function placeOf({ baseOffset, leaderEpoch, appendTimeMs }: AppendAck) {
  return { baseOffset, leaderEpoch, appendTimeMs };
}

describe('a broker, to requests with an id', () => {
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

  it('answers a repeat with the place of the first copy, although another gateway built it', async () => {
    const original = await broker.appendOk(entryFor('flights', requestBatch(id, ['a', 'b'])));
    expect(original).toMatchObject({ baseOffset: 1n, duplicate: false, recordCount: 2 });
    const again = await broker.appendOk(entryFor('flights', requestBatch(id, ['a', 'b'], 2000n)));
    expect(again).toEqual({ ...original, duplicate: true });
    expect(await endOffset()).toBe(3n);
  });

  it('stores one of several copies that come at once', async () => {
    const entries = [1000n, 2000n, 3000n].map((timestampMs) =>
      entryFor('flights', requestBatch(id, ['a'], timestampMs)),
    );
    const results = await Promise.all(entries.map((entry) => broker.append(entry)));
    const acks = results.flat().map(({ outcome }) => outcome?.$case === 'ack' && outcome.ack.baseOffset);
    expect(acks).toEqual([1n, 1n, 1n]);
    expect(await endOffset()).toBe(2n);
  });

  it('acknowledges a repeat of a conditional append that succeeded', async () => {
    const copy = (timestampMs: bigint) =>
      entryFor('flights', requestBatch(id, ['a'], timestampMs), { expectedNextOffset: 1n });
    const original = await broker.appendOk(copy(1000n));
    expect(await broker.appendOk(copy(2000n))).toEqual({ ...original, duplicate: true });
    const other = entryFor('flights', requestBatch(freshId(), ['b']), { expectedNextOffset: 1n });
    expect((await broker.append(other)).map(reasonOf)).toEqual(['EXPECTED_OFFSET_MISMATCH']);
  });

  it('names each refusal, and stores nothing', async () => {
    const producer_id = id.toString('hex');
    await broker.appendOk(entryFor('flights', requestBatch(id, ['a'])));
    expect(await send(requestBatch(id, ['a', 'b']))).toEqual({ reason: 'UNKNOWN_PRODUCER', producer_id });
    expect(await send(requestBatch(freshId(), ['a'], 1000n, 1n))).toMatchObject({
      ...{ reason: 'INVALID_BATCH', field: 'first_sequence', value: '1' },
    });
    const old = freshId(Date.now() - REQUEST_EXPIRY_MS);
    const expired = await send(requestBatch(old, ['a']));
    expect(expired).toMatchObject({ reason: 'PRODUCER_EXPIRED', producer_id: old.toString('hex') });
    expect(Math.abs(Number(expired?.['leader_time_ms']) - Date.now())).toBeLessThan(60_000);
    const random = Buffer.from(id).fill(0x4f, 6, 7);
    expect(await send(requestBatch(random, ['a']))).toMatchObject({ reason: 'INVALID_BATCH', field: 'producer_id' });
    expect(await endOffset()).toBe(2n);
  });

  it('counts them beside the sessions that it lists', async () => {
    for (let number = 0; number < 3; number += 1) {
      await broker.appendOk(entryFor('flights', requestBatch(freshId(), ['a'])));
    }
    const list = { topic: 'flights', partition: 0, pageSize: 0, pageToken: '' };
    expect(await callUnary(broker.client, BrokerServiceService.describeProducers, list)).toEqual({
      ...{ producers: [], nextPageToken: '', requestCount: 3 },
    });
  });
});

describe('a repeated request', () => {
  it('is known when the broker has stopped in order or was killed, and was led again', async () => {
    const id = freshId();
    const first = await TestBroker.start();
    const topic = await first.createTopic('flights');
    await first.elect(topic, 1);
    const original = await first.appendOk(entryFor('flights', requestBatch(id, ['a'])));
    const killed = await first.copyOfDirectory();
    await first.stop();
    let epoch = 1;
    for (const dir of [first.dir, killed]) {
      const again = await TestBroker.start(dir);
      epoch += 1;
      await again.elect(topic, epoch);
      const repeat = entryFor('flights', requestBatch(id, ['a'], BigInt(epoch)));
      expect(await again.appendOk(repeat)).toEqual({ ...original, duplicate: true });
      await again.stop();
      await again.remove();
    }
  });

  it('is known to the next leader, and one that was cut off is stored anew', async () => {
    const set = await ReplicaSet.start(3, 2);
    try {
      await set.elect([1, 2, 3]);
      const [keptId, lostId] = [freshId(), freshId()];
      const kept = (timestampMs: bigint) => entryFor(set.topic, requestBatch(keptId, ['kept'], timestampMs));
      const original = await set.broker(1).appendOk(kept(1n));
      await set.untilInSync(1, 2, 3);
      // The others promise a higher epoch: what the old leader still takes is lost when it follows.
      await set.promise([2, 3], 2, Buffer.alloc(16, 7));
      const lost = entryFor(set.topic, requestBatch(lostId, ['lost']));
      await set.broker(1).append({ ...lost, acks: Acks.ACKS_LEADER });
      set.epoch = 2;
      await set.elect([3, 2]);
      expect(await set.broker(3).appendOk(kept(2n))).toMatchObject({ ...placeOf(original), duplicate: true });
      const anew = await set.broker(3).appendOk(lost);
      expect(anew.duplicate).toBe(false);
      await set.untilInSync(1, 2, 3);
      await set.elect([1, 2]);
      expect(await set.broker(1).appendOk(lost)).toMatchObject({ ...placeOf(anew), duplicate: true });
    } finally {
      await set.stop();
    }
  });
});
