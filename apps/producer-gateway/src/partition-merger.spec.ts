import { decodeBatch } from '@partita/batch';
import { PartitaError } from '@partita/domain';
import type { AppendJob, AppendOutcome } from '@partita/client';
import { Acks, AppendAck, CompressionCodec } from '@partita/protocol';
import { describe, expect, it } from 'vitest';
import { PartitionMerger } from './partition-merger.ts';
import type { WaitingPart } from './partition-merger.ts';
import { routeOf } from './testing/route.ts';

/** Keeps what is appended until the test answers. */
class HeldAppends {
  readonly jobs: AppendJob[] = [];
  append(job: AppendJob): void {
    this.jobs.push(job);
  }
  answer(index: number, outcome: AppendOutcome): void {
    this.jobs[index]?.done(outcome);
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
    next: 0,
    bytes: records.reduce((sum, record) => sum + record.value.length, 0),
    acks: Acks.ACKS_ALL,
    codec: CompressionCodec.COMPRESSION_CODEC_NONE,
    mergeable: true,
    expectedNextOffset: undefined,
    traceparent: '',
    deadlineAtMs: 1000,
    done: (from, to, outcome, indexInBatch) => seen.push({ from, to, outcome, indexInBatch }),
    ...changes,
  };
  return { part: waiting, seen };
}

const ack = (baseOffset: bigint): AppendAck => AppendAck.fromPartial({ baseOffset });

function setUp(): { merger: PartitionMerger; held: HeldAppends } {
  const held = new HeldAppends();
  return { merger: new PartitionMerger(routeOf('t', 1), 0, held, () => undefined), held };
}

describe('PartitionMerger', () => {
  it('sends at once when idle, and lets the next batch grow while one is under way', () => {
    const { merger, held } = setUp();
    for (const value of ['a', 'b', 'c']) merger.add(part([value]).part);
    expect(held.jobs).toHaveLength(1);
    held.answer(0, ack(0n));
    expect(held.values(1)).toEqual(['b', 'c']);
    expect(held.jobs).toHaveLength(2);
  });

  it('tells each part its place in the shared batch', () => {
    const { merger, held } = setUp();
    merger.add(part(['first']).part);
    const one = part(['a', 'b']);
    const two = part(['c']);
    merger.add(one.part);
    merger.add(two.part);
    held.answer(0, ack(0n));
    held.answer(1, ack(10n));
    expect(one.seen).toMatchObject([{ from: 0, to: 2, indexInBatch: 0 }]);
    expect(two.seen).toMatchObject([{ from: 0, to: 1, indexInBatch: 2 }]);
  });

  it('does not mix what differs in acks or codec, nor what asks for a batch of its own', () => {
    const { merger, held } = setUp();
    merger.add(part(['first']).part);
    merger.add(part(['all']).part);
    merger.add(part(['leader'], { acks: Acks.ACKS_LEADER }).part);
    merger.add(part(['own'], { mergeable: false, expectedNextOffset: 7n }).part);
    for (let index = 0; index < 4; index += 1) held.answer(index, ack(BigInt(index)));
    expect(held.jobs.map((_, index) => held.values(index))).toEqual([['first'], ['all'], ['leader'], ['own']]);
    expect(held.jobs[3]?.expectedNextOffset).toBe(7n);
  });

  it('splits a part that is larger than a batch, in order', () => {
    const { merger, held } = setUp();
    const megabyte = new Uint8Array(900_000);
    const large = part([megabyte, megabyte, megabyte]);
    merger.add(large.part);
    held.answer(0, ack(0n));
    held.answer(1, ack(2n));
    expect(large.seen).toMatchObject([
      { from: 0, to: 2 },
      { from: 2, to: 3 },
    ]);
    expect(merger.idle).toBe(true);
  });

  it('refuses an atomic part that no batch can hold, and goes on with the next', () => {
    const { merger, held } = setUp();
    const megabyte = new Uint8Array(900_000);
    const large = part([megabyte, megabyte, megabyte], { mergeable: false });
    merger.add(large.part);
    merger.add(part(['next']).part);
    const outcome = large.seen[0]?.outcome;
    expect(outcome instanceof PartitaError && outcome.reason).toBe('BATCH_TOO_LARGE');
    expect(held.values(0)).toEqual(['next']);
  });

  it('hands a failure to every part of the batch', () => {
    const { merger, held } = setUp();
    const one = part(['a']);
    merger.add(one.part);
    const failure = new PartitaError('OUTCOME_UNKNOWN', 'broke');
    held.answer(0, failure);
    expect(one.seen).toMatchObject([{ from: 0, to: 1, outcome: failure }]);
  });

  it('is full when more bytes wait than a partition may hold', () => {
    const { merger } = setUp();
    merger.add(part(['first']).part);
    expect(merger.full).toBeUndefined();
    merger.add(part(['x'], { bytes: 40 * 1024 * 1024 }).part);
    expect(merger.full?.reason).toBe('QUEUE_FULL');
  });
});
