import { connect } from 'node:http2';
import { Client, Metadata, credentials } from '@grpc/grpc-js';
import type { ServiceError } from '@grpc/grpc-js';
import { PartitaError } from '@partita/domain';
import {
  ClusterServiceService,
  GetClusterResponse,
  GetTopicRequest,
  TopicServiceService,
  WatchRoutesResponse,
} from '@partita/protocol';
import { afterEach, describe, expect, test } from 'vitest';
import { callUnary, serverStream } from '../client/call.ts';
import { openServerStream } from '../client/client-stream.ts';
import { closeAll, pool, serve } from '../loopback.fixture.ts';
import { fromServiceError } from '../status.ts';
import { createRpcServer } from './grpc-server.ts';
import { serverStreaming, unary } from './methods.ts';
import type { CallContext } from './call-context.ts';

afterEach(closeAll);

const getTopic = TopicServiceService.getTopic;
const request = GetTopicRequest.fromPartial({ topic: 'flights' });

/** Any bytes as a request, with the trailers of the answer. */
function callRaw(address: string, bytes: Buffer, metadata = new Metadata(), deadline?: number) {
  return new Promise<{ error: PartitaError | undefined; code: number; trailers: Metadata }>((resolve) => {
    const client = new Client(address, credentials.createInsecure());
    const pass = (value: Buffer): Buffer => value;
    let error: ServiceError | null = null;
    const options = deadline === undefined ? {} : { deadline };
    const call = client.makeUnaryRequest(getTopic.path, pass, pass, bytes, metadata, options, (failed) => {
      error = failed;
    });
    call.on('status', (status) => {
      client.close();
      const named = error === null ? undefined : fromServiceError(error, { append: false });
      resolve({ error: named, code: status.code, trailers: status.metadata });
    });
  });
}

describe('a unary call', () => {
  test('is answered, and its handler knows who calls', async () => {
    let seen: CallContext | undefined;
    let left = 0;
    let peer = '';
    const { address } = await serve(TopicServiceService, {
      getTopic: unary((_request, context) => {
        seen = context;
        peer = context.peer;
        left = context.deadlineMs;
        return { topic: undefined };
      }),
    });
    const client = pool({ clientId: 'loader' }).client(address);
    await callUnary(client, getTopic, request, { deadlineMs: 5000 });
    expect(seen?.clientId).toBe('loader');
    expect(seen?.requestId).toMatch(/^[0-9a-f-]{36}$/);
    expect(peer).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(left).toBeGreaterThan(4000);
    expect(left).toBeLessThanOrEqual(5000);
    expect(seen?.signal.aborted).toBe(true);
  });

  test('fails with the error that the handler threw', async () => {
    const { address, lines } = await serve(TopicServiceService, {
      getTopic: unary(() => {
        throw new PartitaError('QUOTA_EXCEEDED', 'slow down', { quota: 'client:loader' }, { retryAfterMs: 250 });
      }),
    });
    await expect(callUnary(pool().client(address), getTopic, request)).rejects.toMatchObject({
      reason: 'QUOTA_EXCEEDED',
      message: 'slow down',
      metadata: { quota: 'client:loader' },
      retryAfterMs: 250,
    });
    expect(lines).toEqual([]);
  });

  test('tells nothing of a bug but the request id, and logs it', async () => {
    const { address, lines } = await serve(TopicServiceService, {
      getTopic: unary(async () => {
        throw new TypeError('secret');
      }),
    });
    const error = await callUnary(pool().client(address), getTopic, request).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ reason: 'INTERNAL' });
    expect(JSON.stringify(error)).not.toContain('secret');
    expect(lines[0]).toMatchObject({
      level: 'error',
      fields: { request_id: (error as PartitaError).metadata['request_id'], err: { message: 'secret' } },
    });
  });

  test('with bytes that are no protobuf fails with MALFORMED_MESSAGE', async () => {
    const { address } = await serve(TopicServiceService, { getTopic: unary(() => ({ topic: undefined })) });
    const { error, code } = await callRaw(address, Buffer.from([0x0a, 0x7f, 0x01]));
    expect(error).toMatchObject({ reason: 'MALFORMED_MESSAGE', metadata: { message: getTopic.path } });
    expect(code).toBe(3);
  });

  test('gets the request id back in the trailers, also when it fails', async () => {
    const { address } = await serve(TopicServiceService, { getTopic: unary(() => ({ topic: undefined })) });
    const metadata = new Metadata();
    metadata.set('partita-request-id', 'mine-1');
    const good = await callRaw(address, Buffer.alloc(0), metadata);
    expect(good.trailers.get('partita-request-id')).toEqual(['mine-1']);
    const bad = await callRaw(address, Buffer.from([0xff]), metadata);
    expect(bad.trailers.get('partita-request-id')).toEqual(['mine-1']);
  });

  test('whose response does not fit its type fails as a bug, and the cause is logged', async () => {
    const { address, lines } = await serve(ClusterServiceService, { getRoutes: unary(() => ({}) as never) });
    const call = callUnary(pool().client(address), ClusterServiceService.getRoutes, { topics: [] });
    await expect(call).rejects.toMatchObject({ reason: 'INTERNAL' });
    expect(lines[0]?.message).toContain('cannot be encoded');
  });

  test('beyond the limits of messages and metadata is refused by name', async () => {
    const { address } = await serve(TopicServiceService, { getTopic: unary(() => ({ topic: undefined })) });
    expect((await callRaw(address, Buffer.alloc(5 * 1024 * 1024))).error).toMatchObject({
      reason: 'LIMIT_EXCEEDED',
      metadata: { limit: 'message_bytes', value: String(4 * 1024 * 1024) },
    });
    const large = new Metadata();
    large.set('x-large', 'x'.repeat(9000));
    expect((await callRaw(address, Buffer.alloc(0), large)).error?.reason).toBe('LIMIT_EXCEEDED');
    const many = new Metadata();
    for (let i = 0; i < 70; i++) many.set(`x-${i}`, '1');
    expect((await callRaw(address, Buffer.alloc(0), many)).error?.reason).toBe('LIMIT_EXCEEDED');
    const anonymous = new Metadata();
    anonymous.set('partita-client-id', 'c'.repeat(256));
    expect((await callRaw(address, Buffer.alloc(0), anonymous)).error?.reason).toBe('INVALID_REQUEST');
  });

  test('that takes too long fails, and its handler is told', async () => {
    let aborted: Promise<unknown> | undefined;
    const { address } = await serve(TopicServiceService, {
      getTopic: unary((_request, context) => {
        aborted = new Promise((resolve) => context.signal.addEventListener('abort', resolve));
        return new Promise(() => {});
      }),
    });
    const slow = callUnary(pool().client(address), getTopic, request, { deadlineMs: 100 });
    await expect(slow).rejects.toMatchObject({ reason: 'TIMED_OUT' });
    await aborted;
    // Either side may be the first to see that the time is up: both know that this one may have had its effect.
    const appending = await serve(TopicServiceService, {
      getTopic: unary(() => new Promise(() => {}), { append: true }),
    });
    const doubtful = callUnary(pool().client(appending.address), getTopic, request, { deadlineMs: 100, append: true });
    await expect(doubtful).rejects.toMatchObject({ reason: 'OUTCOME_UNKNOWN' });
  });

  test('with a deadline in years is not over at once', async () => {
    let left = 0;
    const { address } = await serve(TopicServiceService, {
      getTopic: unary((_request, context) => {
        left = context.deadlineMs;
        return { topic: undefined };
      }),
    });
    const session = connect(`http://${address}`);
    const stream = session.request({
      ':method': 'POST',
      ':path': getTopic.path,
      'content-type': 'application/grpc',
      te: 'trailers',
      'grpc-timeout': '99999999H',
    });
    const trailers = new Promise<Record<string, unknown>>((resolve) => stream.on('trailers', resolve));
    stream.resume();
    stream.end(Buffer.alloc(5));
    expect((await trailers)['grpc-status']).toBe('0');
    session.close();
    expect(left).toBeGreaterThan(29_000);
    expect(left).toBeLessThanOrEqual(30_000);
  });

  test('is cancelled by the signal, before and after it left', async () => {
    let arrived: () => void = () => {};
    const started = new Promise<void>((resolve) => (arrived = resolve));
    const { address } = await serve(TopicServiceService, {
      getTopic: unary(() => {
        arrived();
        return new Promise(() => {});
      }),
    });
    const client = pool().client(address);
    await expect(
      callUnary(client, getTopic, request, { signal: AbortSignal.abort(), append: true }),
    ).rejects.toMatchObject({ reason: 'CANCELLED' });
    const controller = new AbortController();
    const call = callUnary(client, getTopic, request, { signal: controller.signal });
    await started;
    controller.abort();
    await expect(call).rejects.toMatchObject({ reason: 'CANCELLED' });
  });

  test('to nobody says that nobody is there', async () => {
    const { server, address } = await serve(TopicServiceService, {});
    server.close();
    const call = callUnary(pool().client(address), getTopic, request, { append: true, deadlineMs: 5000 });
    await expect(call).rejects.toMatchObject({ reason: 'SERVICE_UNREACHABLE', metadata: { address } });
  });
});

test('methods without a handler answer NOT_IMPLEMENTED, of every kind', async () => {
  const { address } = await serve(ClusterServiceService, {});
  const client = pool().client(address);
  await expect(callUnary(client, ClusterServiceService.getCluster, {})).rejects.toMatchObject({
    reason: 'NOT_IMPLEMENTED',
    metadata: { rpc: '/partita.v1.ClusterService/GetCluster' },
  });
  const watch = serverStream(client, ClusterServiceService.watchRoutes, { topics: [] });
  await expect(watch.next()).rejects.toMatchObject({ reason: 'NOT_IMPLEMENTED' });
});

test('a service that was not added answers NOT_IMPLEMENTED too', async () => {
  const { address } = await serve(ClusterServiceService, {});
  await expect(callUnary(pool().client(address), getTopic, request)).rejects.toMatchObject({
    reason: 'NOT_IMPLEMENTED',
  });
});

test('plaintext beyond loopback needs to be wanted', async () => {
  const logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
  const server = createRpcServer({ name: 'open', listen: '0.0.0.0:0', limits: 'public', logger, tracing: 'off' });
  await expect(server.start()).rejects.toMatchObject({ reason: 'INVALID_SETTING' });
  server.close();
});

describe('draining', () => {
  test('lets running calls end, refuses new ones, and ends streams that opted in', async () => {
    let finish: () => void = () => {};
    const { server, address } = await serve(ClusterServiceService, {
      getCluster: unary(() => new Promise((resolve) => (finish = () => resolve(GetClusterResponse.fromPartial({}))))),
      getRoutes: unary(() => ({ routes: [], brokers: [] })),
      watchRoutes: serverStreaming((_request, stream, context) => {
        context.draining.addEventListener('abort', () => stream.end(context.draining.reason));
        stream.send(WatchRoutesResponse.fromPartial({ reset: true }));
      }),
    });
    const client = pool().client(address);
    const watch = serverStream(client, ClusterServiceService.watchRoutes, { topics: [] });
    await watch.next();
    await callUnary(client, ClusterServiceService.getRoutes, { topics: [] });
    const running = callUnary(client, ClusterServiceService.getCluster, {});
    await new Promise((resolve) => setTimeout(resolve, 50));
    const drained = server.drain(5000);
    const refused = callUnary(client, ClusterServiceService.getRoutes, { topics: [] });
    await expect(watch.next()).rejects.toMatchObject({ reason: 'SHUTTING_DOWN' });
    await expect(refused).rejects.toMatchObject({ reason: expect.stringMatching(/SHUTTING_DOWN|SERVICE_UNREACHABLE/) });
    finish();
    await running;
    await drained;
  });

  test('tells watchers of the health, and is not held up by them', async () => {
    const { server, address } = await serve(ClusterServiceService, {});
    const pass = (bytes: Buffer): Buffer => bytes;
    const watch = { path: '/grpc.health.v1.Health/Watch', requestStream: false, responseStream: true };
    const codec = {
      requestSerialize: pass,
      requestDeserialize: pass,
      responseSerialize: pass,
      responseDeserialize: pass,
    };
    const states: number[] = [];
    const stream = openServerStream(pool().client(address), { ...watch, ...codec }, Buffer.alloc(0), {
      onMessage: (message) => void states.push(message[1] ?? 0),
    });
    await expect.poll(() => states).toEqual([1]);
    const startedMs = performance.now();
    await server.drain(5000);
    expect(await stream.closed).toBeUndefined();
    expect(states).toEqual([1, 2]);
    expect(performance.now() - startedMs).toBeLessThan(2000);
  });

  test('cuts what is left at the end of the grace', async () => {
    const { server, address, lines } = await serve(ClusterServiceService, {
      getCluster: unary(() => new Promise(() => {})),
    });
    const call = callUnary(pool().client(address), ClusterServiceService.getCluster, {});
    const failed = expect(call).rejects.toMatchObject({ reason: 'SERVICE_UNREACHABLE' });
    await new Promise((resolve) => setTimeout(resolve, 50));
    await server.drain(100);
    await failed;
    expect(lines[0]?.message).toContain('cut');
  });
});
