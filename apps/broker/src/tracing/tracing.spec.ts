/** Spans of brokers that replicate to each other over real streams and disks. They share a process, and so the recorder. */
import { BatchBuilder, CODEC_NONE } from '@partita/batch';
import { Acks, FlushMode } from '@partita/protocol';
import { uuidV7 } from '@partita/runtime';
import { SpanRecorder } from '@partita/testkit';
import type { RecordedSpan } from '@partita/testkit';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { batchOf, entryFor, reasonOf } from '../testing/broker.fixture.ts';
import { ReplicaSet } from '../testing/replica-set.fixture.ts';

const recorder = new SpanRecorder();
const { spans } = recorder;
let set: ReplicaSet;
let isStopped = false;
beforeAll(() => recorder.register());
beforeEach(() => {
  recorder.clear();
  isStopped = false;
});
afterEach(() => (isStopped ? undefined : set.stop()));
afterAll(() => recorder.unregister());

const PARENT_ID = 'b'.repeat(16);
const traceparent = (number: number): string => `00-${String(number).padStart(32, 'a')}-${PARENT_ID}-01`;

async function start(flush: FlushMode = FlushMode.FLUSH_MODE_FSYNC): Promise<void> {
  set = await ReplicaSet.start(3, 2, {}, { tracing: 'follow', flush });
  await set.elect([1, 2, 3]);
  await set.broker(1).appendOk(entryFor(set.topic, batchOf('first')));
  await set.untilInSync(1, 2, 3);
}

const until = (condition: () => boolean) => vi.waitUntil(condition, { timeout: 8000, interval: 10 });
const childrenOf = (span: RecordedSpan | undefined): RecordedSpan[] =>
  spans.filter(({ parent }) => parent?.spanId === span?.spanContext().spanId);

function traced(label: string, more: Parameters<typeof entryFor>[2] = {}, number = 1) {
  return entryFor(set.topic, batchOf(label), { traceparent: traceparent(number), ...more });
}

describe('a traced batch', () => {
  it.each(['fsync', 'os'] as const)('has spans at its leader and its followers, with flush=%s', async (flush) => {
    await start(flush === 'fsync' ? FlushMode.FLUSH_MODE_FSYNC : FlushMode.FLUSH_MODE_OS);
    await set.broker(1).appendOk(traced('a'));
    await until(() => recorder.named('replicate flights').length === 2);
    const [append] = recorder.named('append flights');
    expect(append?.parent?.spanId).toBe(PARENT_ID);
    const write = flush === 'fsync' ? 'fsync' : 'write';
    expect(
      childrenOf(append)
        .map(({ name }) => name)
        .sort(),
    ).toEqual([
      'commit flights',
      ...(flush === 'fsync' ? ['fsync', 'queue'] : ['queue']),
      'replicate flights',
      'replicate flights',
      ...(flush === 'fsync' ? [] : ['write']),
    ]);
    const replicas = recorder.named('replicate flights').map(({ attributes }) => attributes['partita.broker.id']);
    expect(replicas.sort()).toEqual([2, 3]);
    const [written] = recorder.named(write);
    expect(written?.attributes).toMatchObject({ 'partita.batches': 1, 'partita.bytes': expect.any(Number) as number });
    expect(recorder.named('commit flights')[0]?.attributes['partita.replicas_acked']).toBeGreaterThanOrEqual(2);
    // Nothing was queued longer than the write took to begin, and so on: each follows the one before.
    const [queue] = recorder.named('queue');
    expect(Number(queue?.endTime)).toBeCloseTo(Number(written?.startTime), -1);
    expect(Number(recorder.named('commit flights')[0]?.startTime)).toBeCloseTo(Number(written?.endTime), -1);
    expect(recorder.open).toEqual([]);
  });

  it('that was sent twice is appended once, and says so', async () => {
    await start();
    const producerId = Buffer.from(uuidV7(Date.now()).replaceAll('-', ''), 'hex');
    const builder = new BatchBuilder();
    builder.tryAdd({ value: Buffer.from('once'), timestampMs: 1000n });
    const batch = builder.build({ codec: CODEC_NONE, producerId, producerEpoch: 0, firstSequence: 0n });
    for (const number of [1, 2])
      await set.broker(1).appendOk(entryFor(set.topic, Buffer.from(batch), { traceparent: traceparent(number) }));
    await until(() => recorder.named('replicate flights').length === 2);
    const [, second] = recorder.named('append flights');
    expect(second?.attributes['partita.duplicate']).toBe(true);
    expect(childrenOf(second)).toEqual([]);
    expect(recorder.open).toEqual([]);
  });

  it('with acks of the leader is committed after its answer', async () => {
    await start();
    await set.broker(1).appendOk(traced('a', { acks: Acks.ACKS_LEADER }));
    await until(() => recorder.named('commit flights').length === 1);
    const [append] = recorder.named('append flights');
    const [commit] = recorder.named('commit flights');
    expect(commit?.parent?.spanId).toBe(append?.spanContext().spanId);
    expect(commit?.attributes['error.type']).toBeUndefined();
    expect(recorder.open).toEqual([]);
  });
});

describe('nothing is begun', () => {
  it.each([
    ['without a context', ''],
    ['with one that is not sampled', traceparent(1).replace(/1$/, '0')],
    ['with one that cannot be read', 'garbage'],
  ])('for a batch %s', async (_what, given) => {
    await start();
    await set.broker(1).appendOk(entryFor(set.topic, batchOf('a'), { traceparent: given }));
    await set.untilEqual([1, 2, 3], 3n);
    // The start of a broker is a trace of its own.
    expect(spans.filter(({ attributes }) => attributes['partita.operation'] === undefined)).toEqual([]);
  });

  it('by a broker that does not trace, whatever it is sent', async () => {
    set = await ReplicaSet.start(3, 2);
    await set.elect([1, 2, 3]);
    await set.broker(1).appendOk(traced('a'));
    await set.untilEqual([1, 2, 3], 2n);
    expect(spans).toEqual([]);
  });
});

describe('no span stays open', () => {
  it('when a leader steps down, and what it could not commit is cut off', async () => {
    await start();
    // The others promise a higher epoch: what the old leader still writes is its own.
    await set.promise([2, 3], 2, Buffer.alloc(16, 7));
    const lonely = [1, 2, 3].map((number) => traced(`lonely ${number}`, { acks: Acks.ACKS_LEADER }, number));
    await Promise.all(lonely.map((entry) => set.broker(1).append(entry)));
    const doubtful = set.broker(1).append(traced('doubtful', {}, 4));
    set.epoch = 2;
    await set.elect([3, 2]);
    const [result] = await doubtful;
    expect(['OUTCOME_UNKNOWN', 'NOT_LEADER', 'NOT_ENOUGH_REPLICAS']).toContain(reasonOf(result));
    await set.broker(3).appendOk(traced('new', {}, 5));
    await set.untilInSync(1, 2, 3);
    await until(() => recorder.open.length === 0);
    for (const { attributes, status } of spans) expect(status?.code === 2).toBe(attributes['error.type'] !== undefined);
  });

  it('when appends are refused, too late, or under way as brokers stop', async () => {
    await start();
    await set.broker(2).stop();
    await set.broker(3).stop();
    const refused = await Promise.all(
      [1, 2, 3].map((number) => set.broker(1).append(traced(`r${number}`, {}, number))),
    );
    expect(refused.flat().map(reasonOf)).toEqual(refused.flat().map(() => expect.any(String) as string));
    const [wrongEpoch] = await set.broker(1).append(traced('future', { leaderEpoch: 9 }, 4));
    expect(reasonOf(wrongEpoch)).toBe('NOT_LEADER');
    const underWay = set.broker(1).append(traced('under way', { acks: Acks.ACKS_LEADER }, 5));
    const settled = Promise.allSettled([underWay]);
    await set.broker(1).stop();
    await settled;
    isStopped = true;
    for (const broker of set.brokers) await broker.remove();
    set.coordinator.server.close();
    expect(recorder.open).toEqual([]);
  });
});
