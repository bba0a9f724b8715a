/**
 * Keeps a session with every coordinator, so that the cluster knows where this instance answers. Used by the services
 * without data of their own: gateways and consumer-group instances.
 */
import { HEARTBEAT_MS, STREAM_SILENCE_MS_MAX } from '@partita/domain';
import type { PartitaError, Random } from '@partita/domain';
import { InstanceSessionServiceService } from '@partita/protocol';
import type {
  InstanceAccepted,
  InstanceHeartbeat,
  InstanceRegister,
  InstanceSessionRequest,
  InstanceSessionResponse,
  ShardAssignment,
} from '@partita/protocol';
import type { ChannelPool } from './channel-pool.ts';
import { openBidi } from './client-stream.ts';
import type { BidiStream } from './client-stream.ts';
import { backoffDelayMs } from './retry.ts';

export interface InstanceSessionOptions {
  readonly pool: ChannelPool;
  readonly random: Random;
  /** Peer addresses of the coordinators. */
  readonly coordinators: readonly string[];
  readonly register: InstanceRegister;
  heartbeat(): InstanceHeartbeat;
  onAccepted(accepted: InstanceAccepted): void;
  /** Only from the active coordinator. */
  onShards?(assignment: ShardAssignment): void;
  /** A session ended; it is opened again by itself. WRONG_CLUSTER and VERSION_NOT_SUPPORTED need an operator. */
  onBroken(address: string, error: PartitaError | undefined): void;
}

/** Opens the sessions; the answer closes them. */
export function keepInstanceSessions(options: InstanceSessionOptions): () => void {
  const links = options.coordinators.map((address) => new Link(address, options));
  return () => {
    for (const link of links) link.close();
  };
}

class Link {
  readonly #address: string;
  readonly #options: InstanceSessionOptions;
  #stream: BidiStream<InstanceSessionRequest> | undefined;
  #heartbeat: ReturnType<typeof setInterval> | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #heardMs = 0;
  #attempt = 0;
  #closed = false;

  constructor(address: string, options: InstanceSessionOptions) {
    this.#address = address;
    this.#options = options;
    this.#open();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    clearInterval(this.#heartbeat);
    this.#stream?.cancel();
  }

  #open(): void {
    const { pool, register } = this.#options;
    this.#heardMs = performance.now();
    this.#stream = openBidi(pool.client(this.#address), InstanceSessionServiceService.instanceSession, {
      onMessage: (message) => this.#onMessage(message),
      onClose: (error) => this.#onClose(error),
    });
    this.#stream.send({ message: { $case: 'register', register } }, 0);
    this.#heartbeat = setInterval(() => this.#beat(), HEARTBEAT_MS);
  }

  #beat(): void {
    if (performance.now() - this.#heardMs > STREAM_SILENCE_MS_MAX) this.#stream?.cancel();
    else this.#stream?.send({ message: { $case: 'heartbeat', heartbeat: this.#options.heartbeat() } }, 0);
  }

  #onMessage({ message }: InstanceSessionResponse): void {
    this.#heardMs = performance.now();
    this.#attempt = 0;
    if (message?.$case === 'accepted') this.#options.onAccepted(message.accepted);
    else if (message?.$case === 'shards') this.#options.onShards?.(message.shards);
  }

  #onClose(error: PartitaError | undefined): void {
    clearInterval(this.#heartbeat);
    this.#stream = undefined;
    if (this.#closed) return;
    this.#options.onBroken(this.#address, error);
    this.#retry = setTimeout(() => this.#open(), backoffDelayMs(this.#attempt, this.#options.random));
    this.#attempt += 1;
  }
}
