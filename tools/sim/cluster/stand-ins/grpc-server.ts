/** The answering half of the stand-in for grpc-js. */
import { status as code } from '@grpc/grpc-js';
import type { Listener } from '../network.ts';
import type { SimulatedProcess } from '../processes.ts';
import { callStatus, here } from './grpc-wire.ts';
import type { MethodDefinition, ServerCall } from './grpc-server-call.ts';

type Handler = (call: ServerCall, callback: unknown) => void;
type Interceptor = (definition: MethodDefinition, call: ServerCall) => ServerCall;

export class Server implements Listener {
  readonly process: SimulatedProcess = here();
  readonly #interceptors: readonly Interceptor[];
  readonly #methods = new Map<string, { readonly definition: MethodDefinition; readonly handle: Handler }>();
  readonly #calls = new Set<ServerCall>();
  #address = '';
  #whenQuiet: (() => void) | undefined;

  constructor({ interceptors = [] }: { readonly interceptors?: readonly Interceptor[] } = {}) {
    this.#interceptors = interceptors;
  }

  addService(
    service: Readonly<Record<string, MethodDefinition>>,
    handlers: Readonly<Record<string, Handler | undefined>>,
  ): void {
    for (const [name, definition] of Object.entries(service)) {
      const handle = handlers[name];
      if (handle !== undefined) this.#methods.set(definition.path, { definition, handle });
    }
  }

  bindAsync(address: string, _credentials: unknown, done: (error: Error | null, port: number) => void): void {
    const port = Number(address.slice(address.lastIndexOf(':') + 1));
    const isFree = this.process.machine.network.listen(address, this);
    this.#address = address;
    queueMicrotask(() => done(isFree ? null : new Error('EADDRINUSE'), port));
  }

  accept(call: ServerCall): void {
    const method = this.#methods.get(call.path);
    if (method === undefined) {
      call.sendStatus(callStatus(code.UNIMPLEMENTED, `${call.path} is not implemented`));
      return;
    }
    this.#calls.add(call);
    call.once('cancelled', () => {
      this.#calls.delete(call);
      if (this.#calls.size === 0) this.#whenQuiet?.();
    });
    const intercepted = this.#interceptors.reduce((inner, wrap) => wrap(method.definition, inner), call);
    intercepted.open(method.definition, method.handle);
  }

  /** No new connections; calls under way end by themselves. */
  tryShutdown(done: () => void): void {
    this.#unlisten();
    if (this.#calls.size === 0) queueMicrotask(done);
    else this.#whenQuiet = done;
  }

  forceShutdown(): void {
    this.#unlisten();
    for (const call of [...this.#calls]) call.cut();
  }

  #unlisten(): void {
    this.process.machine.network.unlisten(this.#address, this);
  }
}
