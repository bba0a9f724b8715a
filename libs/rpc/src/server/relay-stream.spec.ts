import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { PartitaError } from '@partita/domain';
import { ConsumeRequest, ConsumeResponse, GroupServiceService } from '@partita/protocol';
import { afterEach, expect, test, vi } from 'vitest';
import { openBidi } from '../client/client-stream.ts';
import { closeAll, pool, serve } from '../loopback.fixture.ts';
import { bidi } from './methods.ts';
import type { BidiMethod, ServerBidiStream } from './methods.ts';
import { isRelayed } from './relay.ts';
import { relayBidi } from './relay-stream.ts';

afterEach(closeAll);

const { consume } = GroupServiceService;
const FRAME_BYTES = 256 * 1024;
type Open = BidiMethod<ConsumeRequest, ConsumeResponse>['open'];

/** An owner, and an instance that passes every stream on to it; answers the latter's address. */
async function relayed(open: Open): Promise<string> {
  const owner = await serve({ consume }, { consume: bidi(open) });
  const peers = pool();
  const between = bidi<ConsumeRequest, ConsumeResponse>(
    (stream, context) =>
      relayBidi(peers.client(owner.address), consume, stream, context, {
        onFirst: ({ message }) => {
          const joined = message?.$case === 'joined' ? message.joined : undefined;
          return ConsumeResponse.fromPartial({
            message: { $case: 'joined', joined: { ...joined, ownerAddress: 'owner:1' } },
          });
        },
      }),
    { relayed: true },
  );
  return (await serve({ consume }, { consume: between })).address;
}

const heartbeat = ConsumeRequest.fromPartial({ message: { $case: 'heartbeat', heartbeat: {} } });
const joined = ConsumeResponse.fromPartial({ message: { $case: 'joined', joined: { memberId: 'm' } } });

test('a stream passed on keeps bytes that this version does not know, both ways, and changes only the first answer', async () => {
  const unknown = Buffer.from([0xf8, 0x3f, 7]);
  const arrived: Buffer[] = [];
  const raw = { ...consume, requestDeserialize: (bytes: Buffer) => bytes, responseSerialize: (bytes: Buffer) => bytes };
  const owner = await serve(
    { consume: raw },
    {
      consume: bidi<unknown, unknown>((stream, context) => ({
        onMessage: (bytes) => {
          arrived.push(bytes as Buffer);
          expect(isRelayed(context)).toBe(true);
          expect(context.metadata.get('traceparent')).toEqual([
            '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
          ]);
          stream.send(Buffer.from(ConsumeResponse.encode(joined).finish()));
          stream.send(unknown);
        },
      })) as never,
    },
  );
  const peers = pool();
  const between = await serve(
    { consume },
    {
      consume: bidi<ConsumeRequest, ConsumeResponse>(
        (stream, context) =>
          relayBidi(peers.client(owner.address), consume, stream, context, { onFirst: () => joined }),
        { relayed: true },
      ),
    },
  );
  const client = new Client(between.address, credentials.createInsecure());
  const pass = (bytes: Buffer): Buffer => bytes;
  const metadata = new Metadata();
  metadata.set('traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01');
  const call = client.makeBidiStreamRequest(consume.path, pass, pass, metadata);
  const heard: Buffer[] = [];
  call.on('data', (bytes: Buffer) => void heard.push(bytes));
  call.on('error', () => {});
  call.write(unknown);
  await vi.waitFor(() => expect(heard).toHaveLength(2));
  expect(arrived).toEqual([unknown]);
  expect(heard[1]).toEqual(unknown);
  call.cancel();
  client.close();
});

test('the end of the other side is the end of the stream, error included, and so the other way round', async () => {
  let left = false;
  const streams: ServerBidiStream<ConsumeResponse>[] = [];
  const address = await relayed((stream) => {
    streams.push(stream);
    stream.onClose(() => (left = true));
    return { onMessage: () => stream.send(joined) };
  });
  const heard: ConsumeResponse[] = [];
  const call = openBidi(pool().client(address), consume, { onMessage: (message) => void heard.push(message) });
  call.send(heartbeat);
  await vi.waitFor(() =>
    expect(heard).toMatchObject([{ message: { joined: { memberId: 'm', ownerAddress: 'owner:1' } } }]),
  );
  streams[0]?.end(new PartitaError('OFFSET_LOST', 'gone', { group: 'g' }));
  expect(await call.closed).toMatchObject({ reason: 'OFFSET_LOST', message: 'gone', metadata: { group: 'g' } });

  left = false;
  const second = openBidi(pool().client(address), consume, { onMessage: () => {} });
  second.send(heartbeat);
  await vi.waitFor(() => expect(streams).toHaveLength(2));
  second.cancel();
  await vi.waitFor(() => expect(left).toBe(true));
});

test('a caller that does not read pushes the other side back', async () => {
  const frame = ConsumeResponse.fromPartial({
    message: { $case: 'batches', batches: { recordBatches: new Uint8Array(FRAME_BYTES) } },
  });
  const frameCount = 400;
  let sent = 0;
  const address = await relayed((stream) => {
    const more = (): void => {
      while (sent < frameCount && stream.writable) {
        sent += 1;
        stream.send(frame, FRAME_BYTES);
      }
    };
    stream.onDrain(more);
    return {
      onMessage: () => {
        stream.send(joined);
        more();
      },
    };
  });
  let heard = 0;
  const call = openBidi(pool().client(address), consume, { onMessage: () => void (heard += 1) });
  call.send(heartbeat);
  await vi.waitFor(() => expect(heard).toBeGreaterThan(0));
  call.pause();
  let before = -1;
  await vi.waitFor(
    () => {
      const now = before;
      before = sent;
      expect(sent).toBe(now);
    },
    { interval: 300, timeout: 8000 },
  );
  expect(sent).toBeLessThan(frameCount / 2);
  call.resume();
  await vi.waitFor(() => expect(heard).toBe(frameCount + 1), { timeout: 8000 });
  call.cancel();
}, 20_000);
