import type { MethodDefinition } from '@grpc/grpc-js';
import { PartitaError, STREAM_PENDING_COUNT_MAX } from '@partita/domain';
import { afterEach, describe, expect, test } from 'vitest';
import { closeAll, pool, serve } from '../loopback.fixture.ts';
import { bidi, serverStreaming } from '../server/methods.ts';
import type { BidiHandlers, ServerBidiStream, ServerStream } from '../server/methods.ts';
import { openBidi, openServerStream } from './client-stream.ts';
import { serverStream } from './call.ts';

afterEach(closeAll);

const pass = (bytes: Buffer): Buffer => bytes;
const method = (path: string, requestStream: boolean): MethodDefinition<Buffer, Buffer> => ({
  path: `/spec.Bytes/${path}`,
  requestStream,
  responseStream: true,
  requestSerialize: pass,
  requestDeserialize: (bytes) => {
    if (bytes[0] === 0xff) throw new Error('unreadable');
    return bytes;
  },
  responseSerialize: pass,
  responseDeserialize: pass,
});
const Bytes = { both: method('Both', true), read: method('Read', false) };

type Open = (stream: ServerBidiStream<Buffer>) => BidiHandlers<Buffer>;

const serveBoth = (open: Open) => serve(Bytes, { both: bidi<Buffer, Buffer>(open) as never }, { limits: 'peer' });
const serveRead = (handle: (stream: ServerStream<Buffer>) => void) =>
  serve(Bytes, { read: serverStreaming<Buffer, Buffer>((_request, stream) => handle(stream)) as never });

describe('a stream both ways', () => {
  test('carries messages in order and ends with both sides', async () => {
    const { address } = await serveBoth((stream) => ({ onMessage: (message) => void stream.send(message) }));
    const received: number[] = [];
    const stream = openBidi(pool().client(address), Bytes.both, {
      onMessage: (m) => void received.push(m.readInt32LE()),
    });
    for (let i = 0; i < 100; i++) {
      const message = Buffer.alloc(4);
      message.writeInt32LE(i);
      stream.send(message, 4);
    }
    stream.end();
    expect(await stream.closed).toBeUndefined();
    expect(received).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect(stream.pendingBytes).toBe(0);
    expect(stream.send(Buffer.alloc(1))).toBe(false);
  });

  test('pushes a fast sender back, and tells it when to go on', async () => {
    let serverStream: ServerBidiStream<Buffer> | undefined;
    let bytes = 0;
    const { address } = await serveBoth((stream) => {
      serverStream = stream;
      stream.pause();
      return { onMessage: (message) => void (bytes += message.length) };
    });
    let drained = 0;
    let sent = 0;
    const total = 64;
    const message = Buffer.alloc(1024 * 1024, 1);
    const stream = openBidi(pool().client(address), Bytes.both, {
      onMessage: () => {},
      onDrain: () => {
        drained++;
        fill();
      },
    });
    const fill = (): void => {
      while (sent < total && stream.writable) {
        sent++;
        stream.send(message, message.length);
      }
      if (sent === total) stream.end();
    };
    fill();
    await new Promise((resolve) => setTimeout(resolve, 300));
    // What is in flight is bounded by the queue, the HTTP/2 window and a few messages on either side.
    expect(sent).toBeLessThan(total);
    serverStream?.resume();
    expect(await stream.closed).toBeUndefined();
    expect(bytes).toBe(total * message.length);
    expect(drained).toBeGreaterThan(0);
  });

  test('stops a sender that does not wait', async () => {
    const { address } = await serveBoth((stream) => {
      stream.pause();
      return { onMessage: () => {} };
    });
    const stream = openBidi(pool().client(address), Bytes.both, { onMessage: () => {} });
    for (let i = 0; i < 3 * STREAM_PENDING_COUNT_MAX; i++) stream.send(Buffer.alloc(10), 10);
    expect(await stream.closed).toMatchObject({ reason: 'QUEUE_FULL' });
  });

  test('stops a server that does not wait for its caller', async () => {
    const { address } = await serveBoth((stream) => {
      for (let i = 0; i < 40; i++) stream.send(Buffer.alloc(1024 * 1024), 1024 * 1024);
      return { onMessage: () => {} };
    });
    const stream = openBidi(pool().client(address), Bytes.both, { onMessage: () => {} });
    expect(await stream.closed).toMatchObject({ reason: 'QUEUE_FULL' });
  });

  test('ends with the error that a handler throws', async () => {
    const { address } = await serveBoth(() => ({
      onMessage: () => {
        throw new PartitaError('STREAM_ORDER', 'the first message must be initial', { expected: 'initial' });
      },
    }));
    const stream = openBidi(pool().client(address), Bytes.both, { onMessage: () => {} });
    stream.send(Buffer.alloc(1));
    expect(await stream.closed).toMatchObject({ reason: 'STREAM_ORDER', metadata: { expected: 'initial' } });
  });

  test('ends with MALFORMED_MESSAGE at a message that cannot be read, and the handler is told', async () => {
    let told: PartitaError | undefined;
    const { address } = await serveBoth(() => ({ onMessage: () => {}, onClose: (error) => (told = error) }));
    const stream = openBidi(pool().client(address), Bytes.both, { onMessage: () => {} });
    stream.send(Buffer.from([0xff]));
    expect(await stream.closed).toMatchObject({ reason: 'MALFORMED_MESSAGE' });
    await expect.poll(() => told?.reason).toBe('MALFORMED_MESSAGE');
  });

  test('that is cancelled tells both sides', async () => {
    let told: PartitaError | undefined;
    const { address } = await serveBoth((stream) => ({
      onMessage: (message) => void stream.send(message),
      onClose: (error) => (told = error),
    }));
    const controller = new AbortController();
    const handlers = { onMessage: () => controller.abort() };
    const stream = openBidi(pool().client(address), Bytes.both, handlers, { signal: controller.signal });
    stream.send(Buffer.alloc(1));
    expect(await stream.closed).toMatchObject({ reason: 'CANCELLED' });
    await expect.poll(() => told?.reason).toBe('CANCELLED');
  });

  test('with appends that breaks leaves them in doubt', async () => {
    const { server, address } = await serveBoth((stream) => ({ onMessage: (message) => void stream.send(message) }));
    const handlers = { onMessage: () => server.close() };
    const stream = openBidi(pool().client(address), Bytes.both, handlers, { append: true });
    stream.send(Buffer.alloc(1));
    expect(await stream.closed).toMatchObject({ reason: 'OUTCOME_UNKNOWN' });
  });
});

describe('a stream of responses', () => {
  test('arrives by callback and by loop', async () => {
    const { address } = await serveRead((stream) => {
      for (let i = 0; i < 3; i++) stream.send(Buffer.from([i]));
      stream.end();
    });
    const client = pool().client(address);
    const called: number[] = [];
    const open = openServerStream(client, Bytes.read, Buffer.alloc(0), { onMessage: (m) => void called.push(m[0]!) });
    expect(await open.closed).toBeUndefined();
    const looped: number[] = [];
    for await (const message of serverStream(client, Bytes.read, Buffer.alloc(0))) looped.push(message[0]!);
    expect([called, looped]).toEqual([
      [0, 1, 2],
      [0, 1, 2],
    ]);
  });

  test('is cancelled by leaving the loop', async () => {
    let closed: () => void = () => {};
    const over = new Promise<void>((resolve) => (closed = resolve));
    const { address } = await serveRead((stream) => {
      stream.onClose(closed);
      stream.send(Buffer.alloc(1));
    });
    const messages = serverStream(pool().client(address), Bytes.read, Buffer.alloc(0));
    await messages.next();
    await messages.return();
    await over;
  });

  test('fails with the error of an async handler', async () => {
    const { address } = await serve(Bytes, {
      read: serverStreaming<Buffer, Buffer>(async () => {
        throw new PartitaError('TOPIC_NOT_FOUND', 'no such topic');
      }) as never,
    });
    await expect(serverStream(pool().client(address), Bytes.read, Buffer.alloc(0)).next()).rejects.toMatchObject({
      reason: 'TOPIC_NOT_FOUND',
    });
  });
});
