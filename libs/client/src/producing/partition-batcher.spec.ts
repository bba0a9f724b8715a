import { decodeBatch, keyHash, readBatchHeader } from '@partita/batch';
import { PartitaError, PRODUCER_WINDOW_COUNT, REQUEST_PRODUCER_EPOCH } from '@partita/domain';
import { Acks, AppendAck, CompressionCodec } from '@partita/protocol';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { AppendJob, AppendOutcome } from './append-job.ts';
import { PartitionBatcher } from './partition-batcher.ts';
import type { BatcherOptions, WaitingPart } from './partition-batcher.ts';
import { ProducerIds } from './producer-ids.ts';

/** Keeps what is appended until the test answers. */
class HeldAppends {
  readonly jobs: AppendJob[] = [];
  append(job: AppendJob): void {
    this.jobs.push(job);
  }
  /** Answers, and lets the batcher do what it does then. */
  async answer(index: number, outcome: AppendOutcome): Promise<void> {
    this.jobs[index]?.done(outcome);
    await settled();
  }
  values(index: number): string[] {
    const records = decodeBatch(this.jobs[index]?.recordBatches ?? new Uint8Array(0)).records;
    return records.map((record) => Buffer.from(record.value ?? []).toString());
  }
}

interface Seen {
  readonly from: number;
  readonly to: number;
  readonly outcome: AppendOutcome;
  readonly indexInBatch: number;
}

function part(
  values: readonly (string | Uint8Array)[],
  changes: Partial<WaitingPart> = {},
): { part: WaitingPart; seen: Seen[] } {
  const seen: Seen[] = [];
  const records = values.map((value) => ({ value: Buffer.from(value), timestampMs: 1n }));
  const waiting: WaitingPart = {
    records,
    keyHashes: [],
    next: 0,
    bytes: records.reduce((sum, record) => sum + record.value.length, 0),
    acks: Acks.ACKS_ALL,
    codec: CompressionCodec.COMPRESSION_CODEC_NONE,
    mergeable: true,
    expectedNextOffset: undefined,
    requestId: undefined,
    partitionChosen: true,
    traceparent: '',
    queuedAtMs: performance.now(),
    deadlineAtMs: performance.now() + 10_000,
    isOver: false,
    done: (from, to, outcome, indexInBatch) => seen.push({ from, to, outcome, indexInBatch }),
    ...changes,
  };
  return { part: waiting, seen };
}

const ack = (baseOffset: bigint): AppendAck => AppendAck.fromPartial({ baseOffset });

/** What is queued is sent after the caller's synchronous code. */
const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

function setUp(changes: Partial<BatcherOptions> = {}): { batcher: PartitionBatcher; held: HeldAppends } {
  const held = new HeldAppends();
  const place = { topicId: 'id', topic: 't', partition: 0 };
  return {
    batcher: new PartitionBatcher({ ...place, sink: held, ids: new ProducerIds(), deadline: 'last', ...changes }),
    held,
  };
}

describe('a partition batcher', () => {
  it('sends at once when idle, and lets the next batch grow while one is under way', async () => {
    const { batcher, held } = setUp();
    batcher.add(part(['a']).part);
    await settled();
    for (const value of ['b', 'c']) batcher.add(part([value]).part);
    await settled();
    expect(held.jobs).toHaveLength(1);
    await held.answer(0, ack(0n));
    expect(held.values(1)).toEqual(['b', 'c']);
    expect(held.jobs).toHaveLength(2);
  });

  it('gives each caller a batch of its own when it does not merge, as many under way as a session allows', async () => {
    const { batcher, held } = setUp({ isMerging: false });
    for (const value of ['a', 'b', 'c', 'd', 'e', 'f']) batcher.add(part([value, `${value}2`]).part);
    await settled();
    expect(held.jobs.map((_, index) => held.values(index))).toEqual(
      ['a', 'b', 'c', 'd', 'e'].map((value) => [value, `${value}2`]),
    );
    expect(held.jobs).toHaveLength(PRODUCER_WINDOW_COUNT);
    await held.answer(0, ack(0n));
    expect(held.values(5)).toEqual(['f', 'f2']);
  });

  it('says in each batch of a call that needs several between which hashes its keys lie', async () => {
    const { batcher, held } = setUp({ batchBytesMax: 400 });
    const records = ['a', 'b', 'c', 'd', 'e', 'f'].map((key) => {
      return { key: Buffer.from(key), value: Buffer.alloc(100), timestampMs: 1n };
    });
    batcher.add({ ...part([]).part, records, keyHashes: records.map(({ key }) => keyHash(key)), bytes: 600 });
    await settled();
    expect(held.jobs).toHaveLength(3);
    for (const [index, { recordBatches }] of held.jobs.entries()) {
      const hashes = records.slice(2 * index, 2 * index + 2).map(({ key }) => keyHash(key));
      const { minKeyHash, maxKeyHash } = readBatchHeader(recordBatches);
      expect([minKeyHash, maxKeyHash]).toEqual([Math.min(...hashes), Math.max(...hashes)]);
    }
  });

  it('puts what one turn queues into one batch', async () => {
    const { batcher, held } = setUp();
    for (const value of ['a', 'b', 'c']) batcher.add(part([value]).part);
    await settled();
    expect(held.values(0)).toEqual(['a', 'b', 'c']);
  });

  it('numbers its batches as one producer session, one number for each record', async () => {
    const { batcher, held } = setUp();
    batcher.add(part(['a', 'b']).part);
    await settled();
    batcher.add(part(['c']).part);
    await held.answer(0, ack(0n));
    const headers = held.jobs.map(({ recordBatches }) => readBatchHeader(recordBatches));
    expect(headers.map(({ firstSequence, producerEpoch }) => [firstSequence, producerEpoch])).toEqual([
      [0n, 0],
      [2n, 0],
    ]);
    expect(new Set(headers.map(({ producerId }) => Buffer.from(producerId).toString('hex'))).size).toBe(1);
    expect(held.jobs[0]?.session).toBe(Buffer.from(headers[0]?.producerId ?? []).toString('hex'));
  });

  it('goes on without a session where the leader takes no more of them, when it may', async () => {
    const { batcher, held } = setUp({ isSessionOptional: true });
    const one = part(['a']);
    batcher.add(one.part);
    await settled();
    await held.answer(0, new PartitaError('PRODUCER_TABLE_FULL', 'ten thousand sessions'));
    expect(held.jobs[1]?.session).toBe('');
    expect(readBatchHeader(held.jobs[1]!.recordBatches)).toMatchObject({ producerEpoch: -1, firstSequence: -1n });
    await held.answer(1, ack(7n));
    expect(one.seen).toMatchObject([{ outcome: { baseOffset: 7n } }]);
    batcher.add(part(['b']).part);
    await settled();
    expect(held.jobs[2]?.session).toBe('');
  });

  it('sends full batches though others are under way, as many as the leader remembers', async () => {
    const { batcher, held } = setUp({ batchBytesMax: 10_000 });
    for (let count = 0; count < 8; count += 1) batcher.add(part([new Uint8Array(9000)]).part);
    await settled();
    expect(held.jobs).toHaveLength(PRODUCER_WINDOW_COUNT);
    await held.answer(0, ack(0n));
    expect(held.jobs).toHaveLength(PRODUCER_WINDOW_COUNT + 1);
  });

  it('waits for more records when it is told to linger, but not when it flushes', async () => {
    const { batcher, held } = setUp({ lingerMs: 50 });
    batcher.add(part(['a']).part);
    await settled();
    expect(held.jobs).toHaveLength(0);
    batcher.add(part(['b']).part);
    await expect.poll(() => held.jobs.length).toBe(1);
    expect(held.values(0)).toEqual(['a', 'b']);
    await held.answer(0, ack(0n));
    batcher.add(part(['c']).part);
    batcher.flush(true);
    await settled();
    expect(held.jobs).toHaveLength(2);
  });

  it('leaves no timer behind, which would keep a process alive, once what lingered is sent', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const { batcher, held } = setUp({ lingerMs: 10_000 });
    batcher.add(part(['a']).part);
    await Promise.resolve();
    expect([held.jobs.length, vi.getTimerCount()]).toEqual([0, 1]);
    batcher.flush(true);
    await Promise.resolve();
    expect([held.jobs.length, vi.getTimerCount()]).toEqual([1, 0]);
  });

  it('tells each part its place in the shared batch', async () => {
    const { batcher, held } = setUp();
    const one = part(['a', 'b']);
    const two = part(['c']);
    batcher.add(one.part);
    batcher.add(two.part);
    await settled();
    await held.answer(0, ack(10n));
    expect(one.seen).toMatchObject([{ from: 0, to: 2, indexInBatch: 0 }]);
    expect(two.seen).toMatchObject([{ from: 0, to: 1, indexInBatch: 2 }]);
  });

  it('does not mix what differs in acks or codec, nor what asks for a batch of its own', async () => {
    const { batcher, held } = setUp();
    batcher.add(part(['all']).part);
    batcher.add(part(['leader'], { acks: Acks.ACKS_LEADER }).part);
    batcher.add(part(['own'], { mergeable: false, expectedNextOffset: 7n }).part);
    await settled();
    for (let index = 0; index < 3; index += 1) await held.answer(index, ack(BigInt(index)));
    expect(held.jobs.map((_, index) => held.values(index))).toEqual([['all'], ['leader'], ['own']]);
    expect(held.jobs[2]?.expectedNextOffset).toBe(7n);
  });

  it('frames a request as a session of its own, which takes no number of the batcher', async () => {
    const { batcher, held } = setUp();
    const requestId = new ProducerIds().make();
    batcher.add(part(['once', 'only'], { mergeable: false, requestId }).part);
    batcher.add(part(['next']).part);
    await settled();
    const [request, next] = held.jobs.map(({ recordBatches }) => readBatchHeader(recordBatches));
    expect(request).toMatchObject({ producerEpoch: REQUEST_PRODUCER_EPOCH, firstSequence: 0n, recordCount: 2 });
    expect(Buffer.from(request?.producerId ?? [])).toEqual(Buffer.from(requestId));
    expect(next).toMatchObject({ producerEpoch: 0, firstSequence: 0n });
    expect(batcher.idle).toBe(false);
    await held.answer(0, ack(0n));
    await held.answer(1, ack(2n));
    expect(batcher.idle).toBe(true);
  });

  it('splits a part that is larger than a batch, in order', async () => {
    const { batcher, held } = setUp();
    const megabyte = new Uint8Array(900_000);
    const large = part([megabyte, megabyte, megabyte]);
    batcher.add(large.part);
    await settled();
    await held.answer(0, ack(0n));
    await held.answer(1, ack(2n));
    expect(large.seen).toMatchObject([
      { from: 0, to: 2 },
      { from: 2, to: 3 },
    ]);
    expect(batcher.idle).toBe(true);
  });

  it('refuses an atomic part that no batch can hold, and goes on with the next', async () => {
    const { batcher, held } = setUp();
    const megabyte = new Uint8Array(900_000);
    const large = part([megabyte, megabyte, megabyte], { mergeable: false });
    batcher.add(large.part);
    batcher.add(part(['next']).part);
    await settled();
    expect(large.seen[0]?.outcome).toMatchObject({ reason: 'BATCH_TOO_LARGE' });
    expect(held.values(0)).toEqual(['next']);
  });

  it('leaves out what nobody waits for any more, and fails what is past its deadline', async () => {
    const { batcher, held } = setUp();
    batcher.add(part(['under way']).part);
    await settled();
    const over = part(['over']);
    const late = part(['late'], { deadlineAtMs: performance.now() - 1 });
    batcher.add(over.part);
    batcher.add(late.part);
    over.part.isOver = true;
    batcher.expire(performance.now());
    expect(over.seen).toMatchObject([{ from: 0, to: 1, outcome: { reason: 'CANCELLED' } }]);
    expect(late.seen[0]?.outcome).toMatchObject({ reason: 'TIMED_OUT' });
    await held.answer(0, ack(0n));
    expect(held.jobs).toHaveLength(1);
  });

  it('sends nothing whose deadline has passed while it waited, whatever waits around it', async () => {
    const { batcher, held } = setUp();
    batcher.add(part(['under way']).part);
    await settled();
    const soon = part(['late'], { deadlineAtMs: performance.now() + 20 });
    for (const each of [part(['before']), soon, part(['after'])]) batcher.add(each.part);
    await new Promise((resolve) => setTimeout(resolve, 25));
    await held.answer(0, ack(0n));
    expect(held.values(1)).toEqual(['before', 'after']);
    expect(soon.seen).toMatchObject([{ from: 0, to: 1, outcome: { reason: 'TIMED_OUT' } }]);
  });

  it('fails what is past its deadline in time, though earlier ones wait longer', async () => {
    const { batcher } = setUp();
    batcher.add(part(['under way']).part);
    await settled();
    const patient = part(['patient']);
    const hasty = part(['hasty'], { deadlineAtMs: performance.now() + 20 });
    batcher.add(patient.part);
    batcher.add(hasty.part);
    batcher.expire(performance.now());
    expect(hasty.seen).toEqual([]);
    batcher.expire(performance.now() + 20);
    expect(hasty.seen).toMatchObject([{ outcome: { reason: 'TIMED_OUT' } }]);
    expect(patient.seen).toEqual([]);
    expect(batcher.hasWaiting).toBe(true);
  });

  it('hands a failure to every part of the batch', async () => {
    const { batcher, held } = setUp();
    const one = part(['a']);
    batcher.add(one.part);
    await settled();
    const failure = new PartitaError('OUTCOME_UNKNOWN', 'broke');
    await held.answer(0, failure);
    expect(one.seen).toMatchObject([{ from: 0, to: 1, outcome: failure }]);
  });

  it('is full when more bytes wait than a partition may hold', async () => {
    const { batcher } = setUp();
    batcher.add(part(['first']).part);
    await settled();
    expect(batcher.full).toBeUndefined();
    batcher.add(part(['x'], { bytes: 40 * 1024 * 1024 }).part);
    expect(batcher.full?.reason).toBe('QUEUE_FULL');
  });
});
