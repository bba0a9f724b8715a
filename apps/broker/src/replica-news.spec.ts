/** What brokers tell of their replicas and of their starts, in the log and in traces. */
import { StateLines, systemTimers } from '@partita/runtime';
import { SpanRecorder } from '@partita/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { ReplicaNews } from './replica-news.ts';
import type { NewsActor } from './replica-news.ts';
import { batchOf, entryFor } from './testing/broker.fixture.ts';
import { ReplicaSet } from './testing/replica-set.fixture.ts';

const recorder = new SpanRecorder();
beforeAll(() => recorder.register());
afterAll(() => recorder.unregister());
afterEach(() => {
  vi.useRealTimers();
  expect(recorder.open).toEqual([]);
  recorder.clear();
});

describe('brokers', () => {
  it('tell in one line each who leads and who follows, and show their starts as traces', async () => {
    const logged: Readonly<Record<string, unknown>>[] = [];
    const onLog = (line: string) => void logged.push(JSON.parse(line) as never);
    const set = await ReplicaSet.start(3, 2, {}, { onLog, tracing: 'follow' });
    const lines = (msg: string) => logged.filter((line) => line['msg'] === msg);
    await set.elect([1, 2, 3]);
    await set.broker(1).appendOk(entryFor(set.topic, batchOf('a')));
    await set.untilInSync(1, 2, 3);
    expect(lines('replica leads')).toMatchObject([{ level: 'info', topic: set.topic, partition: 0, epoch: 1 }]);
    expect(lines('replica follows')).toHaveLength(2);
    expect(lines('replica follows')[0]).toMatchObject({ topic: set.topic, partition: 0, epoch: 1, leader: 1 });
    await set.elect([2, 3]);
    await set.untilInSync(1, 2, 3);
    expect(lines('replica leads').map(({ epoch }) => epoch)).toEqual([1, 2]);
    expect(lines('replica follows').filter(({ epoch }) => epoch === 2)).toHaveLength(2);
    expect(lines('replica is suspect')).toEqual([]);

    const starts = recorder.named('recover broker');
    expect(starts.map(({ attributes }) => attributes['partita.broker.id'])).toEqual([1, 2, 3]);
    for (const start of starts) {
      expect(start).toMatchObject({ parent: undefined, ended: true, status: undefined });
      const below = recorder.spans.filter(({ parent }) => parent?.spanId === start.spanContext().spanId);
      expect(below.map(({ name }) => name)).toEqual(['journal', 'logs', 'coordinator session']);
    }
    await set.stop();
  });
});

/** A replica as far as news look at it. */
function replica() {
  const state = {
    role: { kind: 'follower' },
    following: { epoch: 3, leaderId: 2, phase: 'live', leaderHighWatermark: 0n },
    meta: { promisedEpoch: 3, suspect: false },
    durableEnd: 10n,
    highWatermark: 10n,
  };
  const actor = { topicId: 'id', partition: 4, topic: { config: { topic: 'flights' } }, state };
  return { state, actor: actor as unknown as NewsActor };
}

function news(tracing: 'follow' | 'off' = 'follow') {
  const written: string[] = [];
  const write = (_fields: unknown, message?: string) => void written.push(message ?? '');
  return { written, made: new ReplicaNews(new StateLines({ info: write, warn: write }, systemTimers), tracing, 1) };
}

describe('a replica that follows', () => {
  it('and was behind shows its catching up as a trace, from the joining to the last record', () => {
    vi.useFakeTimers();
    const { made } = news();
    const { state, actor } = replica();
    made.changed(actor, 'followed');
    vi.advanceTimersByTime(200);
    Object.assign(state, { durableEnd: 500n, highWatermark: 500n });
    state.following.leaderHighWatermark = 1000n;
    made.changed(actor, 'high-watermark');
    expect(recorder.spans).toEqual([]);
    vi.advanceTimersByTime(300);
    Object.assign(state, { durableEnd: 1000n, highWatermark: 1000n });
    made.changed(actor, 'high-watermark');
    const [span] = recorder.named('catch up flights');
    expect(span).toMatchObject({
      parent: undefined,
      ended: true,
      status: undefined,
      attributes: { 'messaging.destination.partition.id': '4', 'partita.leader.id': 2, 'partita.record_count': 990 },
    });
    expect(Number(span?.endTime) - Number(span?.startTime)).toBeCloseTo(500, 0);
    made.changed(actor, 'high-watermark');
    expect(recorder.spans).toHaveLength(1);
    made.stop();
  });

  it('and loses its leader on the way shows that as an error', () => {
    vi.useFakeTimers();
    const { made } = news();
    const { state, actor } = replica();
    made.changed(actor, 'followed');
    vi.advanceTimersByTime(200);
    state.following.leaderHighWatermark = 1000n;
    made.changed(actor, 'high-watermark');
    state.following.phase = 'seeking';
    made.changed(actor, 'followed');
    expect(recorder.named('catch up flights')[0]?.status).toMatchObject({ code: 2 });
    made.stop();
  });

  it('and has everything, or almost, makes no trace; nor does any with tracing off', () => {
    vi.useFakeTimers();
    for (const [tracing, leaderHighWatermark, waitMs] of [
      ['follow', 10n, 500],
      ['follow', 11n, 50],
      ['off', 1000n, 500],
    ] as const) {
      const { made } = news(tracing);
      const { state, actor } = replica();
      made.changed(actor, 'followed');
      state.following.leaderHighWatermark = leaderHighWatermark;
      made.changed(actor, 'high-watermark');
      vi.advanceTimersByTime(waitMs);
      state.highWatermark = leaderHighWatermark;
      made.changed(actor, 'high-watermark');
      made.stop();
    }
    expect(recorder.spans).toEqual([]);
  });

  it('is told when it is suspect and when it is not any more, once each', () => {
    const { made, written } = news();
    const { state, actor } = replica();
    for (const suspect of [false, true, true, false]) {
      state.meta.suspect = suspect;
      made.changed(actor, 'role');
    }
    expect(written).toEqual(['replica follows', 'replica is suspect', 'replica is whole again']);
    made.stop();
  });
});
