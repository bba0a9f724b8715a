import { AsyncLocalStorage } from 'node:async_hooks';
import { ROOT_CONTEXT, SpanKind, context, propagation, trace } from '@opentelemetry/api';
import type { Context, ContextManager, Span, SpanOptions, TextMapPropagator } from '@opentelemetry/api';
import { ClusterServiceService, GetClusterResponse, WatchRoutesResponse } from '@partita/protocol';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { callUnary, serverStream } from './client/call.ts';
import { closeAll, pool, serve } from './loopback.fixture.ts';
import { serverStreaming, unary } from './server/methods.ts';

interface Recorded {
  readonly name: string;
  readonly kind: SpanKind | undefined;
  readonly id: string;
  readonly parent: string | undefined;
  readonly attributes: Record<string, unknown>;
  ended: boolean;
}

const spans: Recorded[] = [];
const storage = new AsyncLocalStorage<Context>();

/** As little of an SDK as shows that our interceptors use the API rightly; @partita/runtime brings the real one. */
function install(): void {
  const manager: ContextManager = {
    active: () => storage.getStore() ?? ROOT_CONTEXT,
    with: (active, work, self, ...args) => storage.run(active, () => work.apply(self, args) as never),
    bind: (_active, target) => target,
    enable: () => manager,
    disable: () => manager,
  };
  const startSpan = (name: string, options: SpanOptions = {}, active = context.active()): Span => {
    const parent = trace.getSpanContext(active)?.spanId;
    const id = (spans.length + 1).toString(16).padStart(16, '0');
    const record: Recorded = {
      name,
      kind: options.kind,
      id,
      parent,
      attributes: { ...options.attributes },
      ended: false,
    };
    spans.push(record);
    return {
      ...trace.wrapSpanContext({ traceId: '1'.repeat(32), spanId: id, traceFlags: 1 }),
      spanContext: () => ({ traceId: '1'.repeat(32), spanId: id, traceFlags: 1 }),
      isRecording: () => true,
      setAttribute: (key: string, value: unknown) => void (record.attributes[key] = value),
      setStatus: () => {},
      end: () => void (record.ended = true),
    } as never;
  };
  const propagator: TextMapPropagator = {
    fields: () => ['traceparent'],
    inject: (active, carrier, setter) => setter.set(carrier, 'traceparent', trace.getSpanContext(active)?.spanId ?? ''),
    extract: (active, carrier, getter) => {
      const spanId = String(getter.get(carrier, 'traceparent'));
      return trace.setSpanContext(active, { traceId: '1'.repeat(32), spanId, traceFlags: 1, isRemote: true });
    },
  };
  context.setGlobalContextManager(manager);
  trace.setGlobalTracerProvider({ getTracer: () => ({ startSpan, startActiveSpan: undefined as never }) });
  propagation.setGlobalPropagator(propagator);
}

beforeAll(install);
afterEach(() => {
  closeAll();
  spans.length = 0;
});
afterAll(() => {
  context.disable();
  trace.disable();
  propagation.disable();
});

test('a call has a client span and a server span below it, in which the handler runs', async () => {
  let active: string | undefined;
  const { address } = await serve(
    ClusterServiceService,
    {
      getCluster: unary(async () => {
        await new Promise((resolve) => setTimeout(resolve, 5));
        active = trace.getActiveSpan()?.spanContext().spanId;
        return GetClusterResponse.fromPartial({});
      }),
    },
    { tracing: true },
  );
  await callUnary(pool({ tracing: true }).client(address), ClusterServiceService.getCluster, {});
  const [client, server] = spans;
  expect(client).toMatchObject({
    name: 'partita.v1.ClusterService/GetCluster',
    kind: SpanKind.CLIENT,
    ended: true,
    attributes: {
      'rpc.system': 'grpc',
      'rpc.service': 'partita.v1.ClusterService',
      'rpc.method': 'GetCluster',
      'rpc.grpc.status_code': 0,
    },
  });
  expect(server).toMatchObject({ kind: SpanKind.SERVER, parent: client?.id, ended: true });
  expect(server?.attributes['rpc.grpc.status_code']).toBe(0);
  expect(active).toBe(server?.id);
});

test('a stream has one span on each side, which end with it, also when it is cancelled', async () => {
  let active: string | undefined;
  const { address } = await serve(
    ClusterServiceService,
    {
      watchRoutes: serverStreaming((_request, stream) => {
        active = trace.getActiveSpan()?.spanContext().spanId;
        stream.send(WatchRoutesResponse.fromPartial({}));
      }),
    },
    { tracing: true },
  );
  const client = pool({ tracing: true }).client(address);
  const messages = serverStream(client, ClusterServiceService.watchRoutes, { topics: [] });
  await messages.next();
  await messages.return();
  await expect.poll(() => spans.map(({ ended }) => ended)).toEqual([true, true]);
  expect(active).toBe(spans[1]?.id);
});
