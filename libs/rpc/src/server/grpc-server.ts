/**
 * One listener of a service: a grpc-js server with limits, health, reflection, sealed statuses and a written shutdown.
 * Services are added as handlers (methods.ts), then `start`, then `drain` or `close`.
 */
import { Server, ServerCredentials } from '@grpc/grpc-js';
import type { ServiceDefinition } from '@grpc/grpc-js';
import { PartitaError } from '@partita/domain';
import { NO_METRICS } from '@partita/telemetry';
import type { Metrics } from '@partita/telemetry';
import { bindService } from './bind.ts';
import { ConnectionGuard } from './connection-guard.ts';
import { cut, drainServer } from './drain.ts';
import { Health } from './health.ts';
import { LISTENER_LIMITS, serverOptions } from './limits.ts';
import type { ListenerKind } from './limits.ts';
import type { Implementation } from './methods.ts';
import { addReflection } from './reflection.ts';
import { ServerCore } from './server-core.ts';
import type { RpcLogger } from './server-core.ts';
import type { TracingMode } from '../tracing-mode.ts';
import { statusSeal } from './status-seal.ts';

export interface RpcServerOptions {
  /** Name in logs: `broker-public`. */
  readonly name: string;
  /** Address to listen on, `host:port` or `[::1]:port`; port 0 takes a free one. */
  readonly listen: string;
  readonly limits: ListenerKind;
  readonly logger: RpcLogger;
  /** Which calls have spans. */
  readonly tracing: TracingMode;
  /** Where calls are counted and measured; default nowhere. */
  readonly metrics?: Metrics;
  /** TLS; default plaintext. */
  readonly credentials?: ServerCredentials;
  /** Plaintext beyond loopback is refused unless this is true. */
  readonly insecureOk?: boolean;
}

export interface RpcServer {
  /** Adds a service, before `start`. Methods without a handler answer NOT_IMPLEMENTED. */
  addService<const D extends ServiceDefinition>(definition: D, implementation: Implementation<D>): void;
  /** Listens and says SERVING. Returns the address with the port in use. Throws INVALID_SETTING when it cannot listen. */
  start(): Promise<{ readonly address: string }>;
  /** Health of the server and all its services, for one that is up but not ready. */
  setServing(serving: boolean): void;
  /** Bytes of messages that wait to be sent, in all streams. */
  readonly pendingBytes: number;
  /** The shutdown sequence (drain.ts); resolves when no call is left, after `graceMs` at the latest. */
  drain(graceMs: number): Promise<void>;
  /** Cuts everything at once. */
  close(): void;
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\]):\d+$/;

export function createRpcServer(options: RpcServerOptions): RpcServer {
  return new GrpcServer(options);
}

class GrpcServer implements RpcServer {
  readonly #options: RpcServerOptions;
  readonly #core: ServerCore;
  readonly #server: Server;
  readonly #guard: ConnectionGuard;
  readonly #health = new Health();
  readonly #names: string[] = [];
  readonly #appendPaths = new Set<string>();
  #drained: Promise<void> | undefined;

  constructor(options: RpcServerOptions) {
    const limits = LISTENER_LIMITS[options.limits];
    this.#options = options;
    this.#core = new ServerCore(options.name, options.logger, limits.serverBufferBytesMax);
    this.#guard = new ConnectionGuard(limits, options.logger);
    const seal = statusSeal((path) => this.#appendPaths.has(path));
    this.#server = new Server({ ...serverOptions(limits), interceptors: [seal] });
    this.#health.addTo(this.#server);
    addReflection(this.#server, this.#core, this.#names);
  }

  addService<const D extends ServiceDefinition>(definition: D, implementation: Implementation<D>): void {
    const { tracing, metrics = NO_METRICS } = this.#options;
    const service = bindService(this.#core, definition, implementation, { tracing, metrics });
    this.#server.addService(service.definition, service.implementation);
    for (const path of service.appendPaths) this.#appendPaths.add(path);
    this.#names.push(service.name);
    this.#health.addService(service.name);
  }

  async start(): Promise<{ readonly address: string }> {
    const { listen, credentials } = this.#options;
    if (credentials === undefined && this.#options.insecureOk !== true && !LOOPBACK.test(listen)) {
      throw new PartitaError(
        'INVALID_SETTING',
        `${listen} is reachable from other machines without TLS: listen on 127.0.0.1, or add --insecure`,
        { setting: 'listen', value: listen },
      );
    }
    const port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync(listen, credentials ?? ServerCredentials.createInsecure(), (error, bound) => {
        if (error === null) resolve(bound);
        else reject(cannotListen(listen, error));
      });
    });
    this.#guard.open(port);
    this.#health.setServing(true);
    return { address: `${listen.slice(0, listen.lastIndexOf(':'))}:${port}` };
  }

  setServing(serving: boolean): void {
    this.#health.setServing(serving && !this.#core.draining.aborted);
  }

  get pendingBytes(): number {
    return this.#core.budget.pendingBytes;
  }

  drain(graceMs: number): Promise<void> {
    this.#drained ??= drainServer(this.#parts(), graceMs);
    return this.#drained;
  }

  close(): void {
    cut(this.#parts());
  }

  #parts(): { server: Server; core: ServerCore; health: Health; guard: ConnectionGuard } {
    return { server: this.#server, core: this.#core, health: this.#health, guard: this.#guard };
  }
}

function cannotListen(listen: string, cause: Error): PartitaError {
  const message = `cannot listen on ${listen} (${cause.message}): is the port in use, or the address not this machine's?`;
  return new PartitaError('INVALID_SETTING', message, { setting: 'listen', value: listen }, { cause });
}
