import { PartitaError } from '@partita/domain';
import { BrokerServiceService, FetchedPartition } from '@partita/protocol';
import type { FetchPartition, FetchStreamRequest, FetchStreamResponse } from '@partita/protocol';
import { bidi } from '@partita/rpc/server';
import type { ServerBidiStream } from '@partita/rpc/server';
import { afterEach, expect, test } from 'vitest';
import { LeaderReader } from './leader-reader.ts';
import { routesTo, TOPIC_ID } from './testing/leaders.ts';
import { closeAll, closeLater, listen, newPool, part, until } from './testing/loopback.ts';

afterEach(closeAll);

interface Stream {
  readonly stream: ServerBidiStream<FetchStreamResponse>;
  readonly starts: { readonly startId: bigint; readonly partition: FetchPartition | undefined }[];
  ended: boolean;
}

async function reading() {
  const streams: Stream[] = [];
  const { address } = await listen([
    part(BrokerServiceService, {
      fetchStream: bidi<FetchStreamRequest, FetchStreamResponse>((stream) => {
        const seen: Stream = { stream, starts: [], ended: false };
        streams.push(seen);
        return {
          onMessage({ message }) {
            if (message?.$case !== 'start') return;
            seen.starts.push({ startId: message.start.startId, partition: message.start.partitions[0] });
          },
          onEnd() {
            seen.ended = true;
            stream.end();
          },
        };
      }),
    }),
  ]);
  const reader = new LeaderReader(routesTo(1, address), newPool());
  closeLater(() => reader.close());
  const received: bigint[] = [];
  const one = reader.read({
    topicId: TOPIC_ID,
    topic: 't',
    partition: 0,
    offset: 5n,
    onBatches: (data) => void received.push(data.nextOffset),
    onWatermark: () => {},
    onError: () => {},
  });
  closeLater(() => one.close());
  await until(() => streams[0]?.starts.length === 1);
  return { streams, received };
}

/** Data up to an offset, for the stream's only reading. */
function push({ stream, starts }: Stream, nextOffset: bigint): void {
  const partition = FetchedPartition.fromPartial({ topicId: TOPIC_ID, partition: 0, nextOffset });
  stream.send({ message: { $case: 'data', data: { startId: starts[0]?.startId ?? 0n, partition } } });
}

test.each([
  ['drains', ({ stream }: Stream) => stream.send({ message: { $case: 'draining', draining: { graceMs: 1000 } } })],
  ['ends it with SHUTTING_DOWN', ({ stream }: Stream) => stream.end(new PartitaError('SHUTTING_DOWN', 'stopping'))],
  ['ends it', ({ stream }: Stream) => stream.end()],
])('a reading goes on where it was on a new stream when the broker %s', async (_what, stop) => {
  const { streams, received } = await reading();
  push(streams[0]!, 9n);
  await until(() => received.length === 1);
  stop(streams[0]!);
  // Nobody takes it any more: it is read again.
  push(streams[0]!, 12n);
  await until(() => streams[1]?.starts.length === 1);
  expect(streams[1]?.starts[0]?.partition?.offset).toBe(9n);
  push(streams[1]!, 12n);
  await until(() => received.length === 2);
  expect(received).toEqual([9n, 12n]);
});

test('the stream of a draining broker is ended by the client, so that the broker need not wait', async () => {
  const { streams } = await reading();
  streams[0]!.stream.send({ message: { $case: 'draining', draining: { graceMs: 1000 } } });
  await until(() => streams[0]?.ended === true);
});
