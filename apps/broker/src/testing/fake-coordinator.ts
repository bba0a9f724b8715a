/** The listening half of a coordinator: takes registrations and heartbeats as they come, and tells what a test says. */
import { BrokerSessionServiceService } from '@partita/protocol';
import type { BrokerSessionRequest, BrokerSessionResponse, DirectoryUpdate } from '@partita/protocol';
import type { PartitaError } from '@partita/domain';
import { bidi, createRpcServer } from '@partita/rpc/server';
import type { RpcServer, ServerBidiStream } from '@partita/rpc/server';
import { createLogger } from '@partita/runtime';

export class FakeCoordinator {
  readonly received: BrokerSessionRequest['message'][] = [];
  readonly server: RpcServer;
  readonly #streams = new Set<ServerBidiStream<BrokerSessionResponse>>();
  refusal: PartitaError | undefined;

  constructor(listen: string) {
    const logger = createLogger({ service: 'test', instance: '1', level: 'silent' });
    this.server = createRpcServer({ name: 'coordinator', listen, limits: 'peer', logger, tracing: 'off' });
    this.server.addService(BrokerSessionServiceService, {
      brokerSession: bidi((stream) => ({
        onMessage: ({ message }: BrokerSessionRequest) => {
          this.received.push(message);
          if (message?.$case !== 'register') return;
          if (this.refusal !== undefined) throw this.refusal;
          this.#streams.add(stream);
          stream.onClose(() => this.#streams.delete(stream));
          const accepted = { coordinatorRunId: '', heartbeatMs: 500, active: true };
          stream.send({ message: { $case: 'accepted', accepted } });
        },
      })),
    });
  }

  /** Tells every broker with a session what the directory is. */
  tell(directory: DirectoryUpdate): void {
    for (const stream of this.#streams) stream.send({ message: { $case: 'directory', directory } });
  }

  endSessions(): void {
    for (const stream of this.#streams) stream.end();
  }

  async until(look: (messages: BrokerSessionRequest['message'][]) => boolean): Promise<void> {
    const endMs = performance.now() + 8000;
    while (!look(this.received)) {
      if (performance.now() > endMs) throw new Error(`not seen among ${this.received.length} messages`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
