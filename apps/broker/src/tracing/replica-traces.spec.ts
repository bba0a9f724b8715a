import { PartitaError } from '@partita/domain';
import type { AppendInput, AppendOutcome, PartitionState, PlannedAppend } from '@partita/replication';
import { SpanRecorder } from '@partita/testkit';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AppendTrace } from './append-trace.ts';
import { ReplicaTraces } from './replica-traces.ts';

const recorder = new SpanRecorder();
const { spans } = recorder;
beforeAll(() => recorder.register());
beforeEach(() => recorder.clear());
afterAll(() => recorder.unregister());

const PLACE = { topic: 't', partition: 0 };
const PARENT = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), traceFlags: 1 };
const TIMING = { beganAtMs: 2, endedAtMs: 5, bytes: 100, batchCount: 2, isSynced: true };
const traceparent = (number: number): string => `00-${'a'.repeat(32)}-${String(number).padStart(16, 'c')}-01`;

/** A leader of one partition: its batches have one record each. */
class Leader {
  readonly traces = new ReplicaTraces(1, () => PLACE);
  readonly appended: { readonly batch: Uint8Array; answer(outcome: AppendOutcome): void; isAnswered: boolean }[] = [];

  append(acks: 'all' | 'leader'): void {
    const trace = new AppendTrace(PARENT, PLACE, 1);
    const input = { acks } as AppendInput;
    const batch = new Uint8Array(1);
    const baseOffset = BigInt(this.appended.length);
    const planned = { request: input, recordCount: 1, stamp: { baseOffset, leaderEpoch: 1, appendTimeMs: 0n } };
    this.traces.expect(input, trace);
    this.traces.onAppended(batch, planned as PlannedAppend);
    const appended = {
      batch,
      isAnswered: false,
      answer: (outcome: AppendOutcome) => {
        if (appended.isAnswered) return;
        appended.isAnswered = true;
        this.traces.forget(input);
        trace.answered(outcome, acks);
      },
    };
    this.appended.push(appended);
  }

  written(count: number): void {
    this.traces.watch.written(
      this.appended.slice(0, count).map(({ batch }) => batch),
      TIMING,
    );
  }

  ok(index: number): void {
    const stamp = { baseOffset: BigInt(index), leaderEpoch: 1, appendTimeMs: 0n };
    this.appended[index]?.answer({
      ok: true,
      stamp,
      recordCount: 1,
      replicasAcked: 2,
      fsynced: true,
      duplicate: false,
    });
  }

  state(highWatermark: bigint, kind: 'leader' | 'follower' = 'leader'): PartitionState {
    const follower = { inSync: true, durableEnd: highWatermark };
    return { highWatermark, role: { kind, followers: new Map([[2, follower]]) } } as unknown as PartitionState;
  }
}

const names = (): string[] => spans.map(({ name }) => name);

describe('a batch that is led', () => {
  it('ends its commit with an error when the leader steps down', () => {
    const leader = new Leader();
    leader.append('leader');
    leader.written(1);
    leader.ok(0);
    leader.traces.onChanged(leader.state(0n, 'follower'), 'role');
    leader.traces.onChanged(leader.state(1n), 'high-watermark');
    expect(names()).toEqual(['append t', 'queue', 'fsync', 'commit t']);
    expect(spans[3]).toMatchObject({ attributes: { 'error.type': 'NOT_LEADER' }, status: { code: 2 }, ended: true });
    expect(recorder.open).toEqual([]);
  });

  it('ends with the error of its answer, its commit, too', () => {
    const leader = new Leader();
    leader.append('all');
    leader.written(1);
    leader.appended[0]?.answer({ ok: false, error: new PartitaError('OUTCOME_UNKNOWN', 'too late') });
    expect(names()).toEqual(['append t', 'queue', 'fsync', 'commit t']);
    for (const span of [spans[0], spans[3]]) expect(span?.attributes['error.type']).toBe('OUTCOME_UNKNOWN');
    expect(recorder.open).toEqual([]);
  });

  it('tells each follower its context until all have been sent it, at most 32 in a message', () => {
    const leader = new Leader();
    for (let index = 0; index < 40; index += 1) leader.append('all');
    const told = (from: bigint, end: bigint) => leader.traces.between(from, end)?.batches;
    expect(told(0n, 40n)?.map(({ endOffset }) => endOffset)).toEqual(
      Array.from({ length: 32 }, (_, index) => BigInt(index + 1)),
    );
    expect(told(10n, 12n)?.map(({ endOffset }) => endOffset)).toEqual([11n, 12n]);
    leader.traces.onSent(11n);
    expect(told(10n, 12n)?.map(({ endOffset }) => endOffset)).toEqual([12n]);
    leader.traces.close();
    expect(told(0n, 40n)).toBeUndefined();
  });
});

describe('a batch that is followed', () => {
  const follow = (...ends: number[]): ReplicaTraces => {
    const traces = new ReplicaTraces(2, () => PLACE);
    const traced = ends.map((end) => ({ endOffset: BigInt(end), traceparent: traceparent(end) }));
    traces.onReceived(traced, 0, { durableBefore: 1n, logEnd: 4n });
    return traces;
  };

  it('has a span once it is durable, and none when it was there before', () => {
    const traces = follow(1, 2, 3);
    traces.onSynced(2n);
    expect(spans).toMatchObject([{ name: 'replicate t', attributes: { 'partita.broker.id': 2 }, ended: true }]);
    traces.onSynced(3n);
    expect(spans).toHaveLength(2);
  });

  it('has one with an error when it is cut off, not taken, or left behind by the end', () => {
    const traces = follow(2, 3, 4, 5);
    expect(spans.map(({ attributes }) => attributes['error.type'])).toEqual(['NOT_STORED']);
    traces.onCut(3n, { type: 'TRUNCATED', message: 'cut' });
    traces.close(new PartitaError('STORAGE_FAILED', 'the disk is broken'));
    expect(spans.map(({ attributes }) => attributes['error.type'])).toEqual([
      'NOT_STORED',
      'TRUNCATED',
      'STORAGE_FAILED',
      'STORAGE_FAILED',
    ]);
    expect(recorder.open).toEqual([]);
  });
});

it('leaves no span open, and ends none twice, whatever comes in whatever order', () => {
  const index = fc.nat(5);
  const step = fc.oneof(
    fc.record({ do: fc.constantFrom('append-all', 'append-leader', 'role', 'close'), n: index }),
    fc.record({ do: fc.constantFrom('written', 'committed', 'ok', 'fail', 'sent'), n: index }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      recorder.clear();
      const leader = new Leader();
      const error = new PartitaError('OUTCOME_UNKNOWN', 'in doubt');
      const acts: Record<string, (n: number) => void> = {
        'append-all': () => leader.append('all'),
        'append-leader': () => leader.append('leader'),
        role: () => leader.traces.onChanged(leader.state(0n, 'follower'), 'role'),
        close: () => leader.traces.close(),
        written: (n) => leader.written(n),
        committed: (n) => leader.traces.onChanged(leader.state(BigInt(n)), 'high-watermark'),
        ok: (n) => leader.ok(n),
        fail: (n) => leader.appended[n]?.answer({ ok: false, error }),
        sent: (n) => leader.traces.onSent(BigInt(n)),
      };
      for (const { do: what, n } of steps) acts[what]?.(n);
      // The core answers each append exactly once, whatever happens.
      for (const { answer } of leader.appended) answer({ ok: false, error });
      const commits = recorder.named('commit t').map(({ parent }) => parent?.spanId);
      return recorder.open.length === 0 && new Set(commits).size === commits.length;
    }),
    { numRuns: 300 },
  );
});
