import { PartitaError } from '@partita/domain';
import { AppendAck, BrokerServiceService } from '@partita/protocol';
import type { AppendStreamRequest, AppendStreamResponse } from '@partita/protocol';
import { bidi } from '@partita/rpc/server';
import type { ServerBidiStream } from '@partita/rpc/server';
import { afterEach, describe, expect, test } from 'vitest';
import type { AppendOutcome } from './append-job.ts';
import { LeaderAppender } from './leader-appender.ts';
import { leaderUpdate, routesTo, TOPIC_ID } from '../testing/leaders.ts';
import { closeAll, closeLater, listen, newPool, part, until } from '../testing/loopback.ts';

afterEach(closeAll);

interface Stream {
  readonly stream: ServerBidiStream<AppendStreamResponse>;
  /** Frames that came and are not answered. */
  readonly frameIds: bigint[];
  ended: boolean;
}

/** A broker that takes batches and answers when the spec says so. */
async function broker({ ready = true } = {}) {
  const streams: Stream[] = [];
  const { address } = await listen([
    part(BrokerServiceService, {
      appendStream: bidi<AppendStreamRequest, AppendStreamResponse>((stream) => {
        const seen: Stream = { stream, frameIds: [], ended: false };
        streams.push(seen);
        return {
          onMessage({ message }) {
            if (message?.$case === 'append') seen.frameIds.push(message.append.frameId);
            if (message?.$case !== 'initial' || (!ready && streams.length === 1)) return;
            const limits = { heartbeatMs: 1000, framesInFlightMax: 100, bytesInFlightMax: 1_000_000n };
            stream.send({ message: { $case: 'ready', ready: limits } });
          },
          onEnd() {
            seen.ended = true;
            stream.end();
          },
        };
      }),
    }),
  ]);
  return { streams, address };
}

function answer({ stream, frameIds }: Stream): void {
  for (const frameId of frameIds.splice(0)) {
    const ack = AppendAck.fromPartial({ baseOffset: 7n });
    stream.send({ message: { $case: 'result', result: { frameId, results: [{ outcome: { $case: 'ack', ack } }] } } });
  }
}

function drain({ stream }: Stream): void {
  stream.send({ message: { $case: 'draining', draining: { graceMs: 1000 } } });
}

function appenderTo(address: string) {
  const routes = routesTo(1, address);
  const appender = new LeaderAppender(routes, newPool());
  closeLater(() => appender.close());
  const append = (partition: number, waitMs = 30_000): Promise<AppendOutcome> =>
    new Promise((done) => {
      const recordBatches = Uint8Array.of(1);
      const deadlineAtMs = performance.now() + waitMs;
      appender.append({ topicId: TOPIC_ID, topic: 't', partition, recordBatches, deadlineAtMs, done });
    });
  return { append, routes, appender };
}

describe('a stream of appends whose broker drains', () => {
  test('gets the results of what was sent, and is ended by the client then', async () => {
    const { streams, address } = await broker();
    const { append } = appenderTo(address);
    const appending = append(0);
    await until(() => streams[0]?.frameIds.length === 1);
    drain(streams[0]!);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(streams[0]?.ended).toBe(false);
    answer(streams[0]!);
    expect(await appending).toMatchObject({ baseOffset: 7n });
    await until(() => streams[0]?.ended === true);
  });

  test('takes no batch any more: the next one goes to the leader that is known then', async () => {
    const [one, two] = [await broker(), await broker()];
    const { append, routes } = appenderTo(one.address);
    const first = append(0);
    await until(() => one.streams[0]?.frameIds.length === 1);
    const second = append(0);
    drain(one.streams[0]!);
    routes.table.apply(leaderUpdate(2, two.address, 2));
    await new Promise((resolve) => setTimeout(resolve, 50));
    answer(one.streams[0]!);
    expect(await first).toMatchObject({ baseOffset: 7n });
    await until(() => two.streams[0]?.frameIds.length === 1);
    answer(two.streams[0]!);
    expect(await second).toMatchObject({ baseOffset: 7n });
    expect(one.streams).toHaveLength(1);
  });

  test('gives back what it had not sent, to be sent on another stream', async () => {
    const { streams, address } = await broker({ ready: false });
    const { append } = appenderTo(address);
    const appending = append(0);
    await until(() => streams.length === 1);
    drain(streams[0]!);
    await until(() => streams[1]?.frameIds.length === 1);
    answer(streams[1]!);
    expect(await appending).toMatchObject({ baseOffset: 7n });
    expect(streams[0]?.ended).toBe(true);
  });

  test('is in doubt about what was sent when the appender is closed meanwhile', async () => {
    const { streams, address } = await broker();
    const { append, appender } = appenderTo(address);
    const appending = append(0);
    await until(() => streams[0]?.frameIds.length === 1);
    drain(streams[0]!);
    await new Promise((resolve) => setTimeout(resolve, 50));
    appender.close();
    expect(await appending).toMatchObject({ reason: 'OUTCOME_UNKNOWN' });
  });
});

test('a batch whose time is over before the broker takes anything is not sent, and certainly not stored', async () => {
  const { streams, address } = await broker({ ready: false });
  const { append } = appenderTo(address);
  const late = append(0, 50);
  const patient = append(0);
  await until(() => streams.length === 1);
  await new Promise((resolve) => setTimeout(resolve, 60));
  const ready = { heartbeatMs: 1000, framesInFlightMax: 100, bytesInFlightMax: 1_000_000n };
  streams[0]!.stream.send({ message: { $case: 'ready', ready } });
  expect(await late).toMatchObject({ reason: 'TIMED_OUT' });
  await until(() => streams[0]!.frameIds.length === 1);
  answer(streams[0]!);
  expect(await patient).toMatchObject({ baseOffset: 7n });
});

test('a stream that the broker ends with SHUTTING_DOWN is opened again for the next batch', async () => {
  const { streams, address } = await broker();
  const { append } = appenderTo(address);
  const first = append(0);
  await until(() => streams[0]?.frameIds.length === 1);
  answer(streams[0]!);
  await first;
  streams[0]!.stream.end(new PartitaError('SHUTTING_DOWN', 'this broker is stopping'));
  await new Promise((resolve) => setTimeout(resolve, 50));
  const second = append(0);
  await until(() => streams[1]?.frameIds.length === 1);
  answer(streams[1]!);
  expect(await second).toMatchObject({ baseOffset: 7n });
});
