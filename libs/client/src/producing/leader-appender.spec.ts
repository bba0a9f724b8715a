import {
  PARTITION_QUEUE_BYTES_MAX,
  PARTITION_QUEUE_COUNT_MAX,
  PartitaError,
  RETRIES_PER_SECOND_MIN,
} from '@partita/domain';
import { BrokerServiceService, BrokerState } from '@partita/protocol';
import type {
  AppendAck,
  AppendEntry,
  AppendResult,
  AppendStreamRequest,
  AppendStreamResponse,
} from '@partita/protocol';
import { toRpcStatus } from '@partita/rpc';
import { bidi } from '@partita/rpc/server';
import type { ServerBidiStream } from '@partita/rpc/server';
import { afterEach, describe, expect, test } from 'vitest';
import type { AppendOutcome } from './append-job.ts';
import { LeaderAppender } from './leader-appender.ts';
import type { LeaderAppenderOptions } from './leader-appender.ts';
import { closeAll, closeLater, listen, newPool, part, until } from '../testing/loopback.ts';
import { leaderUpdate, routesTo, TOPIC_ID } from '../testing/leaders.ts';

afterEach(closeAll);

type Answer = AppendAck | PartitaError | undefined;

/** A broker that appends, refuses or stays silent, as the spec says. */
async function broker(answer: (entry: AppendEntry) => Answer) {
  const entries: AppendEntry[] = [];
  const streams: ServerBidiStream<AppendStreamResponse>[] = [];
  const { address, server } = await listen([
    part(BrokerServiceService, {
      appendStream: bidi<AppendStreamRequest, AppendStreamResponse>((stream) => {
        streams.push(stream);
        return {
          onMessage({ message }) {
            if (message?.$case === 'initial') {
              const ready = { heartbeatMs: 1000, framesInFlightMax: 100, bytesInFlightMax: 1_000_000n };
              stream.send({ message: { $case: 'ready', ready } });
            }
            if (message?.$case !== 'append') return;
            const results = message.append.entries.flatMap((entry): AppendResult[] => {
              entries.push(entry);
              const given = answer(entry);
              if (given === undefined) return [];
              return given instanceof PartitaError
                ? [{ outcome: { $case: 'error', error: toRpcStatus(given) } }]
                : [{ outcome: { $case: 'ack', ack: given } }];
            });
            if (results.length > 0)
              stream.send({ message: { $case: 'result', result: { frameId: message.append.frameId, results } } });
          },
        };
      }),
    }),
  ]);
  return { entries, streams, address, server };
}

function ack(baseOffset: bigint): AppendAck {
  return {
    partition: 0,
    baseOffset,
    leaderEpoch: 1,
    replicasAcked: 1,
    fsynced: true,
    appendTimeMs: 1n,
    duplicate: false,
    recordCount: 1,
  };
}

function appender(routes: ReturnType<typeof routesTo>, options: LeaderAppenderOptions = {}): LeaderAppender {
  const made = new LeaderAppender(routes, newPool(), options);
  closeLater(() => made.close());
  return made;
}

function append(to: LeaderAppender, bytes: Uint8Array, waitMs = 5000, session = ''): Promise<AppendOutcome> {
  return new Promise((done) => {
    to.append({
      session,
      topicId: TOPIC_ID,
      topic: 't',
      partition: 0,
      recordBatches: bytes,
      deadlineAtMs: performance.now() + waitMs,
      done,
    });
  });
}

const hint = (epoch: string) => ({ topic_id: TOPIC_ID, partition: '0', leader: '2', leader_epoch: epoch });

describe('a leader appender', () => {
  test('appends the batches of a partition in order, one under way', async () => {
    let next = 0n;
    const { address, entries } = await broker(() => ack(next++));
    const to = appender(routesTo(1, address));
    const outcomes = await Promise.all([1, 2, 3].map((byte) => append(to, Uint8Array.of(byte))));
    expect(outcomes.map((outcome) => outcome instanceof PartitaError || outcome.baseOffset)).toEqual([0n, 1n, 2n]);
    expect(entries.map((entry) => entry.recordBatches[0])).toEqual([1, 2, 3]);
    expect(entries[0]).toMatchObject({ topicId: TOPIC_ID, leaderEpoch: 1 });
  });

  test('follows the hint of a broker that does not lead any more', async () => {
    const two = await broker(() => ack(7n));
    const one = await broker(
      () =>
        new PartitaError('NOT_LEADER', 'moved', { topic_id: TOPIC_ID, partition: '0', leader: '2', leader_epoch: '2' }),
    );
    const routes = routesTo(1, one.address);
    routes.table.apply({
      ...leaderUpdate(2, two.address, 1),
      routes: [],
      brokers: [...routes.table.brokers, ...leaderUpdate(2, two.address, 1).brokers],
    });
    expect(await append(appender(routes), Uint8Array.of(1))).toMatchObject({ baseOffset: 7n });
    expect(two.entries[0]?.leaderEpoch).toBe(2);
  });

  test('tries a definite refusal again without letting a later batch overtake', async () => {
    let refusals = 3;
    const { address, entries } = await broker(() =>
      refusals-- > 0 ? new PartitaError('NOT_ENOUGH_REPLICAS', 'too few', {}, { retryAfterMs: 2 }) : ack(0n),
    );
    const to = appender(routesTo(1, address));
    await Promise.all([append(to, Uint8Array.of(1)), append(to, Uint8Array.of(2))]);
    expect(entries.map((entry) => entry.recordBatches[0])).toEqual([1, 1, 1, 1, 2]);
  });

  test('hands back doubt at once when the stream breaks under an append', async () => {
    const { address, streams, entries } = await broker(() => undefined);
    const to = appender(routesTo(1, address));
    const appending = append(to, Uint8Array.of(1));
    await until(() => entries.length === 1);
    streams[0]?.end(new PartitaError('SHUTTING_DOWN', 'bye'));
    expect(await appending).toMatchObject({ reason: 'OUTCOME_UNKNOWN' });
    expect(entries.length).toBe(1);
  });

  test('has several batches of a session under way, and sends them again in order when they are in doubt', async () => {
    let answers = false;
    let next = 0n;
    const { address, streams, entries } = await broker(() => (answers ? ack(next++) : undefined));
    const to = appender(routesTo(1, address));
    const appending = [1, 2, 3].map((byte) => append(to, Uint8Array.of(byte), 5000, 's'));
    await until(() => entries.length === 3);
    answers = true;
    streams[0]?.end(new PartitaError('SHUTTING_DOWN', 'bye'));
    const outcomes = await Promise.all(appending);
    expect(outcomes.map((outcome) => outcome instanceof PartitaError || outcome.baseOffset)).toEqual([0n, 1n, 2n]);
    expect(entries.slice(3).map((entry) => entry.recordBatches[0])).toEqual([1, 2, 3]);
  });

  test('gives a batch of a session to the new leader at once, though the old one holds it', async () => {
    const old = await broker(() => undefined);
    const { address, entries } = await broker(() => ack(0n));
    const routes = routesTo(1, old.address);
    const appending = append(appender(routes), Uint8Array.of(1), 5000, 's');
    await until(() => old.entries.length === 1);
    routes.table.apply(leaderUpdate(2, address, 2));
    routes.applyHint(new PartitaError('NOT_LEADER', 'moved', hint('3')));
    expect(await appending).toMatchObject({ baseOffset: 0n });
    expect(entries).toHaveLength(1);
  });

  test('says OUTCOME_UNKNOWN of a batch that was in doubt once, whatever it was refused with later', async () => {
    let answer: Answer = undefined;
    const { address, streams, entries } = await broker(() => answer);
    const to = appender(routesTo(1, address));
    const appending = append(to, Uint8Array.of(1), 5000, 's');
    await until(() => entries.length === 1);
    answer = new PartitaError('FENCED_PRODUCER', 'the session goes on elsewhere');
    streams[0]?.end(new PartitaError('SHUTTING_DOWN', 'bye'));
    expect(await appending).toMatchObject({
      reason: 'OUTCOME_UNKNOWN',
      metadata: { last_reason: 'FENCED_PRODUCER' },
    });
  });

  test('waits for a broker that is not there yet, up to its deadline', async () => {
    const to = appender(routesTo(1, '127.0.0.1:1'));
    const outcome = await append(to, Uint8Array.of(1), 200);
    expect(['TIMED_OUT', 'SERVICE_UNREACHABLE']).toContain(outcome instanceof PartitaError && outcome.reason);
  });

  test('goes on as soon as a new leader is known', async () => {
    const { address } = await broker(() => ack(0n));
    const routes = routesTo(1, '127.0.0.1:1');
    const appending = append(appender(routes), Uint8Array.of(1));
    routes.table.apply(leaderUpdate(2, address, 2));
    expect(await appending).toMatchObject({ baseOffset: 0n });
  });

  test('refuses more bytes than a partition may have waiting', async () => {
    const { address } = await broker(() => undefined);
    const to = appender(routesTo(1, address));
    const large = new Uint8Array(PARTITION_QUEUE_BYTES_MAX / 2 + 1);
    void append(to, large);
    expect(await append(to, large)).toMatchObject({ reason: 'QUEUE_FULL' });
  });

  test('fails a long queue that has waited too long, however long it is', async () => {
    const to = appender(routesTo(1, '127.0.0.1:1'));
    const reasons: string[] = [];
    let asked = 0;
    const job = (deadlineAtMs: number) => {
      asked += 1;
      const done = (outcome: AppendOutcome) =>
        void reasons.push(outcome instanceof PartitaError ? outcome.reason : 'stored');
      to.append({ topicId: TOPIC_ID, topic: 't', partition: 0, recordBatches: new Uint8Array(1), deadlineAtMs, done });
    };
    // The first keeps the lane busy until all others are past their time.
    job(performance.now() + 300);
    for (let index = 1; index < PARTITION_QUEUE_COUNT_MAX; index += 1) job(performance.now());
    job(performance.now());
    expect(reasons).toEqual([]);
    await until(() => reasons.length === asked);
    expect(reasons.filter((reason) => reason === 'QUEUE_FULL')).toHaveLength(1);
  });

  test('hands back a refusal for good', async () => {
    const { address } = await broker(() => new PartitaError('INVALID_BATCH', 'no batch'));
    expect(await append(appender(routesTo(1, address)), Uint8Array.of(1))).toMatchObject({ reason: 'INVALID_BATCH' });
  });

  test('fails what waits when it is closed', async () => {
    const { address } = await broker(() => undefined);
    const to = appender(routesTo(1, address));
    const [sent, waiting] = [append(to, Uint8Array.of(1)), append(to, Uint8Array.of(2))];
    await new Promise((resolve) => setTimeout(resolve, 100));
    to.close();
    expect(await waiting).toMatchObject({ reason: 'SHUTTING_DOWN' });
    expect(await sent).toMatchObject({ reason: 'OUTCOME_UNKNOWN' });
  });
});

describe('the retry budget of a leader appender', () => {
  const isFull = () => new PartitaError('QUEUE_FULL', 'full', { queue: 'partition' }, { retryAfterMs: 1 });

  test('ends the repeats of a gateway with what the broker said last', async () => {
    const { address, entries } = await broker(isFull);
    const to = appender(routesTo(1, address), { whenSpent: 'fail' });
    const startMs = performance.now();
    const outcome = await append(to, Uint8Array.of(1), 20_000);
    expect(outcome).toMatchObject({ reason: 'QUEUE_FULL', retryAfterMs: 1 });
    expect(entries.length).toBeGreaterThan(RETRIES_PER_SECOND_MIN);
    expect(performance.now() - startMs).toBeLessThan(10_000);
    // Another batch is tried, and not repeated for long.
    const before = entries.length;
    expect(await append(to, Uint8Array.of(2), 20_000)).toMatchObject({ reason: 'QUEUE_FULL' });
    expect(entries.length - before).toBeLessThan(RETRIES_PER_SECOND_MIN);
  });

  test('slows the repeats of a session down, and gives none of its batches up before the deadline', async () => {
    let isOver = false;
    const { address, entries } = await broker(() => (isOver ? ack(0n) : isFull()));
    const to = appender(routesTo(1, address));
    const appended = append(to, Uint8Array.of(1), 30_000, 'session');
    await until(() => entries.length > RETRIES_PER_SECOND_MIN);
    const [before, fromMs] = [entries.length, performance.now()];
    await new Promise((resolve) => setTimeout(resolve, 1000));
    // Without a budget it would be some hundreds.
    const perSecond = (entries.length - before) / ((performance.now() - fromMs) / 1000);
    expect(perSecond).toBeLessThan(2 * RETRIES_PER_SECOND_MIN);
    isOver = true;
    expect(await appended).toMatchObject({ baseOffset: 0n });
  });

  test('is not asked where a broker names the leader, however little is left', async () => {
    const two = await broker(() => ack(7n));
    let answer = isFull();
    const one = await broker(() => answer);
    const routes = routesTo(1, one.address);
    routes.table.apply({
      ...leaderUpdate(2, two.address, 1),
      routes: [],
      brokers: brokersOf(one.address, two.address),
    });
    const to = appender(routes, { whenSpent: 'fail' });
    while (!((await append(to, Uint8Array.of(1))) instanceof PartitaError)) continue;
    answer = new PartitaError('NOT_LEADER', 'moved', hint('2'));
    expect(await append(to, Uint8Array.of(2))).toMatchObject({ baseOffset: 7n });
  });

  test('does not end what is in doubt', async () => {
    let answer: Answer;
    const { address, entries, streams } = await broker(() => answer);
    const to = appender(routesTo(1, address), { whenSpent: 'fail' });
    const appended = append(to, Uint8Array.of(1), 20_000, 'session');
    await until(() => entries.length === 1);
    answer = isFull();
    for (const stream of streams) stream.end(new PartitaError('INTERNAL', 'broken'));
    await until(() => entries.length > 3 * RETRIES_PER_SECOND_MIN);
    answer = ack(3n);
    expect(await appended).toMatchObject({ baseOffset: 3n });
  });
});

function brokersOf(one: string, two: string) {
  const broker = { rack: '', state: BrokerState.BROKER_STATE_UP, version: '' };
  return [
    { ...broker, brokerId: 1, address: one },
    { ...broker, brokerId: 2, address: two },
  ];
}
