import { Metadata } from '@grpc/grpc-js';
import type { ClientOptions, ServerOptions } from '@grpc/grpc-js';
import { SpanKind, trace } from '@opentelemetry/api';
import { ClusterServiceService, GetClusterResponse, WatchRoutesResponse } from '@partita/protocol';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { callUnary, serverStream } from './client/call.ts';
import { closeAll, pool, serve } from './loopback.fixture.ts';
import { serverStreaming, unary } from './server/methods.ts';
import { CountingTelemetry, traceparent } from './tracing.fixture.ts';
import type { TracingMode } from './tracing-mode.ts';

/** The options that our code gave to grpc-js. */
const given = vi.hoisted(() => ({ servers: [] as unknown[], clients: [] as unknown[] }));

vi.mock('@grpc/grpc-js', async (importOriginal) => {
  const grpc = await importOriginal<typeof import('@grpc/grpc-js')>();
  return {
    ...grpc,
    Server: class extends grpc.Server {
      constructor(options?: ServerOptions) {
        given.servers.push(options);
        super(options);
      }
    },
    Client: class extends grpc.Client {
      constructor(...args: ConstructorParameters<typeof grpc.Client>) {
        given.clients.push(args[2]);
        super(...args);
      }
    },
  };
});

const telemetry = new CountingTelemetry();
const { spans } = telemetry;
/** Id of the span that was active in the last handler. */
let active: string | undefined;

beforeAll(() => telemetry.install());
afterEach(() => {
  closeAll();
  telemetry.reset();
  active = undefined;
});
afterAll(() => telemetry.uninstall());

async function startServer(tracing: TracingMode): Promise<string> {
  const activeId = (): string | undefined => trace.getActiveSpan()?.spanContext().spanId;
  const { address } = await serve(
    ClusterServiceService,
    {
      getCluster: unary(async () => {
        await new Promise((resolve) => setTimeout(resolve, 5));
        active = activeId();
        return GetClusterResponse.fromPartial({});
      }),
      watchRoutes: serverStreaming((_request, stream) => {
        active = activeId();
        stream.send(WatchRoutesResponse.fromPartial({}));
      }),
    },
    { tracing },
  );
  return address;
}

/** One unary call and one stream, with a caller's trace when one is given. */
async function callBoth(tracing: TracingMode, caller?: string): Promise<void> {
  const address = await startServer(tracing);
  const client = pool({ tracing }).client(address);
  const metadata = (): Metadata => {
    const made = new Metadata();
    if (caller !== undefined) made.set('traceparent', caller);
    return made;
  };
  await callUnary(client, ClusterServiceService.getCluster, {}, { metadata: metadata() });
  const stream = serverStream(client, ClusterServiceService.watchRoutes, { topics: [] }, { metadata: metadata() });
  await stream.next();
  await stream.return();
}

describe('without a trace to follow', () => {
  test.each([
    ['off', undefined],
    ['off', traceparent('abc')],
    ['follow', undefined],
    ['follow', traceparent('abc', false)],
    ['follow', 'garbage'],
  ] as const)('mode %s with the traceparent %s begins no span and touches no context', async (mode, caller) => {
    await callBoth(mode, caller);
    expect(spans).toEqual([]);
    expect({ with: telemetry.withCount, propagated: telemetry.propagationCount }).toEqual({ with: 0, propagated: 0 });
  });
});

test.each(['off', 'follow', 'roots'] as const)('mode %s installs no interceptor', async (mode) => {
  given.servers.length = 0;
  given.clients.length = 0;
  await callBoth(mode);
  // The one of the server is the seal of its statuses, which wraps nothing.
  expect(given.servers).toHaveLength(1);
  expect((given.servers[0] as ServerOptions).interceptors?.map(({ length }) => length)).toEqual([2]);
  expect((given.servers[0] as ServerOptions).interceptors).toHaveLength(1);
  expect(given.clients).toHaveLength(1);
  const options = given.clients[0] as ClientOptions;
  expect(options).not.toHaveProperty('interceptors');
  expect(options).not.toHaveProperty('interceptor_providers');
});

test('a call has a client span and a server span below it, in which the handler runs', async () => {
  const address = await startServer('roots');
  await callUnary(pool({ tracing: 'roots' }).client(address), ClusterServiceService.getCluster, {});
  const [client, server] = spans;
  const attributes = {
    'rpc.system': 'grpc',
    'rpc.service': 'partita.v1.ClusterService',
    'rpc.method': 'GetCluster',
    'rpc.grpc.status_code': 0,
  };
  expect(client).toMatchObject({
    ...{ name: 'partita.v1.ClusterService/GetCluster', kind: SpanKind.CLIENT, ended: true },
    attributes,
  });
  expect(server).toMatchObject({ kind: SpanKind.SERVER, parent: client?.id, ended: true, attributes });
  expect(active).toBe(server?.id);
});

test('a service that follows has a span below that of its caller', async () => {
  const address = await startServer('follow');
  const metadata = new Metadata();
  metadata.set('traceparent', traceparent('abc'));
  await callUnary(pool().client(address), ClusterServiceService.getCluster, {}, { metadata });
  expect(spans).toMatchObject([{ kind: SpanKind.SERVER, parent: '0000000000000abc', ended: true }]);
  expect(active).toBe(spans[0]?.id);
});

test.each(['follow', 'roots'] as const)('with mode %s a stream has no span, and runs in its callers', async (mode) => {
  const address = await startServer(mode);
  const metadata = new Metadata();
  metadata.set('traceparent', traceparent('abc'));
  const client = pool({ tracing: mode }).client(address);
  const messages = serverStream(client, ClusterServiceService.watchRoutes, { topics: [] }, { metadata });
  await messages.next();
  await messages.return();
  expect(spans).toEqual([]);
  expect(active).toBe('0000000000000abc');
});

test('a call that fails, is cancelled or cannot begin leaves no span open', async () => {
  const address = await startServer('roots');
  const clients = pool({ tracing: 'roots' });
  const client = clients.client(address);
  await expect(callUnary(client, ClusterServiceService.getRoutes, { topics: [] })).rejects.toMatchObject({
    reason: 'NOT_IMPLEMENTED',
  });
  const cancel = new AbortController();
  const cancelled = callUnary(client, ClusterServiceService.getCluster, {}, { signal: cancel.signal });
  setTimeout(() => cancel.abort(), 2);
  await expect(cancelled).rejects.toMatchObject({ reason: 'CANCELLED' });
  clients.close();
  await expect(callUnary(client, ClusterServiceService.getCluster, {})).rejects.toMatchObject({ reason: 'CANCELLED' });
  await expect.poll(() => spans.filter(({ ended }) => !ended)).toEqual([]);
  expect(spans.slice(0, 2).map(({ attributes }) => attributes['rpc.grpc.status_code'])).toEqual([12, 12]);
});

describe('a call that is passed on', () => {
  /** A server that answers, and one in front of it that passes everything on. */
  async function startPair(tracing: TracingMode): Promise<string> {
    const owner = await startServer(tracing);
    const peers = pool({ tracing });
    const { address } = await serve(
      ClusterServiceService,
      {
        getCluster: unary(() => GetClusterResponse.fromPartial({}), { relay: { pool: peers, target: () => owner } }),
      },
      { tracing },
    );
    return address;
  }

  const call = async (address: string): Promise<void> => {
    const metadata = new Metadata();
    metadata.set('traceparent', traceparent('abc'));
    await callUnary(pool().client(address), ClusterServiceService.getCluster, {}, { metadata });
  };

  test('keeps its trace, with a span at each instance and one between', async () => {
    await call(await startPair('follow'));
    expect(spans.map(({ kind }) => kind)).toEqual([SpanKind.SERVER, SpanKind.CLIENT, SpanKind.SERVER]);
    expect(spans.map(({ parent }) => parent)).toEqual(['0000000000000abc', spans[0]?.id, spans[1]?.id]);
    expect(spans.every(({ ended }) => ended)).toBe(true);
  });

  test('keeps it through an instance that does not trace', async () => {
    const owner = await startServer('follow');
    const relay = { pool: pool(), target: () => owner };
    const front = await serve(ClusterServiceService, {
      getCluster: unary(() => GetClusterResponse.fromPartial({}), { relay }),
    });
    await call(front.address);
    expect(spans).toMatchObject([{ kind: SpanKind.SERVER, parent: '0000000000000abc', ended: true }]);
  });
});
