import { channel } from 'node:diagnostics_channel';
import { connect } from 'node:http2';
import type { ClientHttp2Session, ServerHttp2Stream, Settings } from 'node:http2';
import { createConnection, createServer } from 'node:net';
import { GetTopicRequest, TopicServiceService } from '@partita/protocol';
import { afterEach, expect, test } from 'vitest';
import { callUnary } from '../client/call.ts';
import { closeAll, listLogger, pool, serve } from '../loopback.fixture.ts';
import type { LogLine } from '../loopback.fixture.ts';
import { ConnectionGuard } from './connection-guard.ts';
import { isBeyondTimers } from './grpc-timeout.ts';
import { LISTENER_LIMITS } from './limits.ts';
import { unary } from './methods.ts';

afterEach(closeAll);

const getTopic = TopicServiceService.getTopic;
const headers = { ':method': 'POST', ':path': getTopic.path, 'content-type': 'application/grpc', te: 'trailers' };
const opened = (session: ClientHttp2Session) => new Promise((resolve) => session.once('connect', resolve));

test("a session's windows are raised with its first stream", async () => {
  const { address } = await serve(TopicServiceService, { getTopic: unary(() => ({ topic: undefined })) });
  let window = 0;
  const look = (message: unknown): void => {
    const { stream } = message as { stream: ServerHttp2Stream };
    setImmediate(() => (window = stream.session?.state.effectiveLocalWindowSize ?? 0));
  };
  channel('http2.server.stream.created').subscribe(look);
  const session = connect(`http://${address}`);
  await opened(session);
  const settings = new Promise<number | undefined>((resolve) =>
    session.on('remoteSettings', (remote: Settings) => {
      if (remote.initialWindowSize !== 65_535) resolve(remote.initialWindowSize);
    }),
  );
  const stream = session.request(headers);
  expect(await settings).toBe(LISTENER_LIMITS.public.streamWindowBytes);
  await expect.poll(() => window).toBe(LISTENER_LIMITS.public.connectionWindowBytes);
  channel('http2.server.stream.created').unsubscribe(look);
  stream.close();
  session.destroy();
});

test('a connection that opens and resets streams without end is cut, and others go on', async () => {
  const { address, lines } = await serve(TopicServiceService, { getTopic: unary(() => ({ topic: undefined })) });
  const session = connect(`http://${address}`);
  session.on('error', () => {});
  const closed = new Promise((resolve) => session.once('close', resolve));
  await opened(session);
  for (let round = 0; round < 10 && !session.destroyed; round++) {
    for (let i = 0; i < 60; i++) {
      const stream = session.request(headers);
      stream.on('error', () => {});
      stream.close(8);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await closed;
  expect(lines[0]?.message).toContain('resets too many streams');
  await callUnary(pool().client(address), getTopic, GetTopicRequest.fromPartial({}));
});

test('connections from one address are limited, idle ones too', async () => {
  const lines: LogLine[] = [];
  const guard = new ConnectionGuard({ ...LISTENER_LIMITS.public, connectionsPerAddressMax: 2 }, listLogger(lines));
  const server = createServer();
  const port = await new Promise<number>((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port)),
  );
  guard.open(port);
  const dial = () => {
    const socket = createConnection(port, '127.0.0.1');
    socket.on('error', () => {});
    return { socket, closed: new Promise<void>((resolve) => socket.once('close', () => resolve())) };
  };
  const first = dial();
  dial();
  const third = dial();
  await third.closed;
  expect(lines[0]?.message).toContain('too many from one address');
  first.socket.destroy();
  await first.closed;
  await new Promise((resolve) => setTimeout(resolve, 50));
  const fourth = dial();
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(fourth.socket.destroyed).toBe(false);
  guard.close();
  await fourth.closed;
  server.close();
});

test('time-outs beyond a timer are known', () => {
  expect(['99999999H', '99999999M', '9999999S'].map(isBeyondTimers)).toEqual([true, true, true]);
  expect(['30S', '99999999m', '500H', 'x', undefined].map(isBeyondTimers)).toEqual([false, false, false, false, false]);
});
