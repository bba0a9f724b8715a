import { Acks, AppendAck, CompressionCodec } from '@partita/protocol';
import { PartitaError } from '@partita/domain';
import { SpanRecorder } from '@partita/testkit';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AppendJob, AppendOutcome } from './append-job.ts';
import { BatchTrace } from './batch-trace.ts';
import { OrderedLane } from './ordered-lane.ts';
import { PartitionBatcher } from './partition-batcher.ts';
import { ProducerIds } from './producer-ids.ts';

const recorder = new SpanRecorder();
const { spans } = recorder;
beforeAll(() => recorder.register());
beforeEach(() => recorder.clear());
afterAll(() => recorder.unregister());

const traceparent = (number: number): string =>
  `00-${String(number).padStart(32, 'a')}-${String(number).padStart(16, 'b')}-01`;
const spanIdOf = (text: string): string => text.slice(36, 52);
const ack = AppendAck.fromPartial({ baseOffset: 1n });

/** A lane whose attempts go to broker after broker and wait for the test to answer them. */
function laneToBrokers(hasSession: boolean) {
  const told: { readonly traceparent: string; readonly done: (outcome: AppendOutcome) => void }[] = [];
  const owner = {
    attempt: (job: AppendJob, _timeoutMs: number, done: (outcome: AppendOutcome) => void) => {
      told.push({ traceparent: job.trace?.beginAttempt(job, told.length + 1) ?? '', done });
    },
    mayPass: () => true,
    onFailure: () => {},
    onIdle: () => {},
  };
  return { lane: new OrderedLane(owner, hasSession), told };
}

function job(trace: BatchTrace | undefined, done: (outcome: AppendOutcome) => void = () => {}): AppendJob {
  const place = { topicId: 'id', topic: 't', partition: 3 };
  const recordBatches = new Uint8Array(10);
  return { ...place, recordBatches, session: 's', done, ...(trace === undefined ? {} : { trace }) };
}

describe('the attempts to append a batch', () => {
  it('are siblings in the trace of its sender, each with its number, and a failed one tells why', () => {
    let leftCount = 0;
    const trace = new BatchTrace({ traceparent: traceparent(1), onLeaving: () => (leftCount += 1) });
    const { lane, told } = laneToBrokers(true);
    lane.push(job(trace));
    expect({ leftCount, open: recorder.open }).toEqual({ leftCount: 1, open: ['append t to broker 1'] });
    told[0]?.done(new PartitaError('NOT_LEADER', 'moved'));
    lane.wake();
    told[1]?.done(ack);

    expect(spans).toMatchObject([
      {
        name: 'append t to broker 1',
        parent: { spanId: spanIdOf(traceparent(1)) },
        attributes: { 'partita.attempt': 1, 'partita.broker.id': 1, 'error.type': 'NOT_LEADER' },
        status: { code: 2, message: 'moved' },
        ended: true,
      },
      { name: 'append t to broker 2', parent: { spanId: spanIdOf(traceparent(1)) }, ended: true, status: undefined },
    ]);
    expect(spans[1]?.attributes).toEqual({
      'messaging.system': 'partita',
      'messaging.operation.name': 'append',
      'messaging.destination.name': 't',
      'messaging.destination.partition.id': '3',
      'partita.attempt': 2,
      'partita.broker.id': 2,
    });
    // Each broker is told of its own attempt.
    expect(told.map((attempt) => spanIdOf(attempt.traceparent))).toEqual(
      spans.map((span) => span.spanContext().spanId),
    );
    expect(leftCount).toBe(1);
  });

  it('begin with the batch leaving, however often and by whatever way it is sent', () => {
    let leftCount = 0;
    const trace = new BatchTrace({ traceparent: traceparent(1), onLeaving: () => (leftCount += 1) });
    trace.leave();
    trace.leave();
    trace.beginAttempt(job(undefined), 1);
    trace.endAttempt(ack);
    expect(leftCount).toBe(1);
  });

  it('make no span when nobody traces the batch', () => {
    const { lane, told } = laneToBrokers(true);
    lane.push(job(undefined));
    told[0]?.done(ack);
    expect({ told: told.map((attempt) => attempt.traceparent), spans }).toEqual({ told: [''], spans: [] });
  });

  it('leave no span open, whatever becomes of them', () => {
    const step = fc.constantFrom('ack', 'refuse', 'doubt', 'late', 'abandon', 'wake', 'push', 'close');
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), fc.boolean(), (steps, hasSession) => {
        recorder.clear();
        const { lane, told } = laneToBrokers(hasSession);
        let outcomeCount = 0;
        let pushCount = 0;
        const answer = (outcome: AppendOutcome, at = 0): void => {
          const [attempt] = told.splice(at, 1);
          attempt?.done(outcome);
        };
        const acts: Record<string, () => void> = {
          ack: () => answer(ack),
          refuse: () => answer(new PartitaError('NOT_LEADER', 'moved')),
          doubt: () => answer(new PartitaError('OUTCOME_UNKNOWN', 'broken')),
          late: () => answer(ack, told.length - 1),
          abandon: () => lane.abandon(new PartitaError('OUTCOME_UNKNOWN', 'replaced')),
          wake: () => lane.wake(),
          push: () => {
            pushCount += 1;
            lane.push(job(new BatchTrace({ traceparent: traceparent(pushCount) }), () => (outcomeCount += 1)));
          },
          close: () => lane.close(new PartitaError('SHUTTING_DOWN', 'closed')),
        };
        for (const name of ['push', ...steps, 'close']) acts[name]?.();
        // What is under way still gets its outcome, as from a stream that was closed.
        while (told.length > 0) answer(new PartitaError('OUTCOME_UNKNOWN', 'closed'));
        return recorder.open.length === 0 && outcomeCount <= pushCount;
      }),
      { numRuns: 300 },
    );
  });
});

describe('a batch with records of several traces', () => {
  it('belongs to the first of them, links to the others, and these link back', async () => {
    const jobs: AppendJob[] = [];
    const sink = { append: (given: AppendJob) => void jobs.push(given) };
    const place = { topicId: 'id', topic: 't', partition: 0 };
    const batcher = new PartitionBatcher({ ...place, sink, ids: new ProducerIds(), deadline: 'last' });
    const shared: string[] = [];
    const left: number[] = [];
    for (const number of [0, 1, 2, 3]) {
      const value = Buffer.from(`v${number}`);
      batcher.add({
        records: [{ value, timestampMs: 1n }],
        keyHashes: [],
        ...{ next: 0, bytes: 10, acks: Acks.ACKS_ALL, codec: CompressionCodec.COMPRESSION_CODEC_NONE },
        ...{ mergeable: true, expectedNextOffset: undefined, requestId: undefined, partitionChosen: true },
        // The first is not traced.
        traceparent: number === 0 ? '' : traceparent(number),
        onLeaving: (toIndex) => void left.push(number * 10 + toIndex),
        onShared: (other) => void shared.push(`${number}: ${other}`),
        ...{ queuedAtMs: 0, deadlineAtMs: performance.now() + 10_000, isOver: false, done: () => {} },
      });
    }
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect(jobs).toHaveLength(1);
    expect(jobs[0]?.trace).toMatchObject({ traceparent: traceparent(1), linked: [traceparent(2), traceparent(3)] });
    expect(shared).toEqual([`2: ${traceparent(1)}`, `3: ${traceparent(1)}`]);
    if (jobs[0] !== undefined) jobs[0].trace?.beginAttempt(jobs[0], 7);
    expect(left).toEqual([11, 21, 31]);
    expect(spans[0]?.parent?.spanId).toBe(spanIdOf(traceparent(1)));
    expect(spans[0]?.links.map(({ spanId }) => spanId)).toEqual([2, 3].map((number) => spanIdOf(traceparent(number))));
    jobs[0]?.trace?.endAttempt(ack);
  });

  it('links to 32 of them at most, and to none that is not sampled or cannot be read', () => {
    const linked = [
      'garbage',
      traceparent(1).replace(/1$/, '0'),
      ...Array.from({ length: 50 }, (_, n) => traceparent(n + 1)),
    ];
    const trace = new BatchTrace({ traceparent: traceparent(99), linked });
    trace.beginAttempt(job(undefined), 1);
    trace.endAttempt(ack);
    expect(spans[0]?.links).toHaveLength(30);
  });
});
