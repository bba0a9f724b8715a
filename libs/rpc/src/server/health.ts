/** grpc.health.v1: "" for the whole server and each service by name, NOT_SERVING before `start` and while draining. */
import type { Server, ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';

interface WatchCall {
  end(): void;
  once(event: 'cancelled', listener: () => void): void;
}

export class Health {
  readonly #health = new HealthImplementation({ '': 'NOT_SERVING' });
  readonly #names = new Set(['']);
  readonly #watches = new Set<WatchCall>();

  addService(name: string): void {
    this.#names.add(name);
    this.#health.setStatus(name, 'NOT_SERVING');
  }

  setServing(serving: boolean): void {
    for (const name of this.#names) this.#health.setStatus(name, serving ? 'SERVING' : 'NOT_SERVING');
  }

  /** Ends the watches, which otherwise would hold a shutdown up until its grace is over. */
  endWatches(): void {
    for (const call of this.#watches) call.end();
  }

  addTo(server: Server): void {
    this.#health.addToServer({
      addService: (definition: ServiceDefinition, implementation: UntypedServiceImplementation) => {
        const watch = implementation['watch'] as (call: WatchCall) => void;
        server.addService(definition, {
          ...implementation,
          watch: (call: WatchCall) => {
            this.#watches.add(call);
            call.once('cancelled', () => this.#watches.delete(call));
            watch(call);
          },
        });
      },
    });
  }
}
