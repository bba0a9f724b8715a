/** From a service and its handlers to what grpc-js registers: every method has a handler, every deserialiser is safe. */
import type {
  MethodDefinition,
  ServiceDefinition,
  UntypedHandleCall,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { PartitaError } from '@partita/domain';
import type { Metrics } from '@partita/telemetry';
import { bindBidi } from './bidi-stream.ts';
import { bidi, serverStreaming, unary } from './methods.ts';
import type { Implementation, Method } from './methods.ts';
import { measureStream, measureUnary } from './measuring.ts';
import { keepBytes } from './relay.ts';
import type { TracingMode } from '../tracing-mode.ts';
import { bindServerStream } from './server-stream.ts';
import type { ServerCore } from './server-core.ts';
import { traceStream, traceUnary } from './tracing.ts';
import { bindUnary } from './unary.ts';
import { readable } from './unreadable.ts';

/** A service, ready for grpc-js. */
export interface BoundService {
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
  /** Paths of methods whose effect is in doubt when their deadline passes. */
  readonly appendPaths: readonly string[];
  /** Full name: `partita.v1.TopicService`. */
  readonly name: string;
}

/** How much of its calls a server tells. */
interface Watching {
  readonly tracing: TracingMode;
  readonly metrics: Metrics;
}

type AnyDefinition = MethodDefinition<unknown, unknown>;

export function bindService<D extends ServiceDefinition>(
  core: ServerCore,
  service: D,
  methods: Implementation<D>,
  { tracing, metrics }: Watching,
): BoundService {
  const definition: Record<string, AnyDefinition> = {};
  const implementation: Record<string, UntypedHandleCall> = {};
  const appendPaths: string[] = [];
  let name = '';
  for (const [key, declared] of Object.entries(service as Record<string, AnyDefinition>)) {
    // Implementation<D> has checked that each method fits its definition; here both lose their message types.
    const given = (methods as Readonly<Record<string, Method<unknown, unknown> | undefined>>)[key];
    const method = given ?? missing(declared);
    const relayed = method.kind === 'unary' ? method.relay !== undefined : method.kind === 'bidi' && method.relayed;
    const effective = relayed ? keepBytes(declared) : declared;
    if (method.kind === 'unary' && method.append) appendPaths.push(declared.path);
    definition[key] = {
      ...effective,
      requestDeserialize: readable(effective),
      responseSerialize: loud(core, effective),
    };
    implementation[key] = bindMethod(core, effective, method, { tracing, metrics });
    name = declared.path.slice(1, declared.path.lastIndexOf('/'));
  }
  return { definition, implementation, appendPaths, name };
}

function bindMethod(
  core: ServerCore,
  definition: AnyDefinition,
  method: Method<unknown, unknown>,
  { tracing, metrics }: Watching,
): UntypedHandleCall {
  const { path } = definition;
  const traced = traceStream(tracing, method);
  switch (traced.kind) {
    case 'unary':
      return measureUnary(metrics, path, traceUnary(tracing, path, bindUnary(core, definition, traced)));
    case 'serverStream':
      return measureStream(metrics, path, bindServerStream(core, definition, traced));
    case 'bidi':
      return measureStream(metrics, path, bindBidi(core, definition, traced));
  }
}

/** The serialiser of responses. A handler's message that does not fit its type is a bug; grpc-js would hide it. */
function loud(core: ServerCore, { path, responseSerialize }: AnyDefinition): (response: unknown) => Buffer {
  return (response) => {
    try {
      return responseSerialize(response);
    } catch (error) {
      core.logger.error({ err: error, rpc: path }, 'a response cannot be encoded: its handler has a bug');
      throw error;
    }
  };
}

/** A method of the contract that nobody handles yet. */
function missing({ path, requestStream, responseStream }: AnyDefinition): Method<unknown, unknown> {
  const refuse = (): never => {
    throw new PartitaError('NOT_IMPLEMENTED', `${path} is part of the contract and not yet built`, { rpc: path });
  };
  if (requestStream && responseStream) return bidi(refuse);
  if (responseStream) return serverStreaming(refuse);
  return unary(refuse);
}
