/**
 * The session with one coordinator: this instance is known as long as it lasts, and hears which group shards it shall own
 * (from the active one; a standby is told of us too, so that its taking over costs nothing). That is a hint; without any
 * coordinator the last one stays in force.
 */
import { HEARTBEAT_MS, STREAM_SILENCE_MS_MAX } from '@partita/domain';
import type { PartitaError } from '@partita/domain';
import { pause } from '@partita/client';
import { InstanceSessionServiceService, ServiceKind } from '@partita/protocol';
import type {
  InstanceSessionRequest,
  InstanceSessionResponse,
  ShardAssignment,
  ShardOwnership,
} from '@partita/protocol';
import { backoffDelayMs, openBidi } from '@partita/rpc/client';
import type { BidiStream, ChannelPool } from '@partita/rpc/client';
import { createRepeatedLog, systemClock, systemRandom } from '@partita/runtime';
import type { Logger } from '@partita/runtime';

const PROTOCOL_VERSION = 1;
const RETRY_MS_MIN = 50;

export interface InstanceSessionOptions {
  /** Peer address of the coordinator. */
  readonly coordinator: string;
  readonly pool: ChannelPool;
  readonly instanceId: string;
  /** Empty = learnt from the coordinator. */
  readonly clusterId: string;
  /** Public address of this instance. */
  readonly address: string;
  readonly version: string;
  readonly logger: Logger;
  ownedShards(): ShardOwnership[];
  onAccepted(clusterId: string): void;
  onShards(assignment: ShardAssignment): void;
  /** The cluster will not have this instance. */
  onRefused(error: PartitaError): void;
}

const REFUSALS: ReadonlySet<string> = new Set(['WRONG_CLUSTER', 'VERSION_NOT_SUPPORTED']);

export class InstanceSession {
  readonly #options: InstanceSessionOptions;
  readonly #closing = new AbortController();
  #draining = false;
  #stream: BidiStream<InstanceSessionRequest> | undefined;
  #clusterId: string;
  #heardMs = 0;

  constructor(options: InstanceSessionOptions) {
    this.#options = options;
    this.#clusterId = options.clusterId;
  }

  start(): void {
    void this.#run();
  }

  /** Tells that this instance is about to stop. */
  drain(): void {
    this.#draining = true;
    this.#beat();
  }

  close(): void {
    this.#closing.abort();
    this.#stream?.cancel();
  }

  async #run(): Promise<void> {
    const { coordinator } = this.#options;
    const repeated = createRepeatedLog(this.#options.logger, systemClock);
    const { signal } = this.#closing;
    for (let failures = 0; !signal.aborted; failures++) {
      const heardBeforeMs = this.#heardMs;
      const error = await this.#runOne();
      if (error !== undefined) {
        if (REFUSALS.has(error.reason)) {
          this.#options.onRefused(error);
          return;
        }
        const fields = { coordinator, reason: error.reason };
        repeated.warn('session', fields, `no session with the coordinator: ${error.message}`);
      }
      if (this.#heardMs > heardBeforeMs) failures = 0;
      await pause(Math.max(RETRY_MS_MIN, backoffDelayMs(failures, systemRandom)), signal);
    }
  }

  /** Resolves when the session is over. */
  async #runOne(): Promise<PartitaError | undefined> {
    const { instanceId, version, pool, coordinator } = this.#options;
    const stream = openBidi(pool.client(coordinator), InstanceSessionServiceService.instanceSession, {
      onMessage: (message) => this.#onMessage(message),
    });
    this.#stream = stream;
    const openedMs = performance.now();
    const register = {
      clusterId: this.#clusterId,
      protocolVersion: PROTOCOL_VERSION,
      service: ServiceKind.SERVICE_KIND_CONSUMER_GROUP,
      instanceId,
      address: this.#options.address,
      version,
      peerAddress: '',
    };
    stream.send({ message: { $case: 'register', register } });
    const timer = setInterval(() => {
      if (performance.now() - Math.max(this.#heardMs, openedMs) > STREAM_SILENCE_MS_MAX) stream.cancel();
      else this.#beat();
    }, HEARTBEAT_MS);
    const error = await stream.closed;
    clearInterval(timer);
    this.#stream = undefined;
    return error;
  }

  #beat(): void {
    const heartbeat = { draining: this.#draining, ownedShards: this.#options.ownedShards() };
    this.#stream?.send({ message: { $case: 'heartbeat', heartbeat } });
  }

  #onMessage({ message }: InstanceSessionResponse): void {
    this.#heardMs = performance.now();
    switch (message?.$case) {
      case 'accepted':
        this.#clusterId = message.accepted.clusterId;
        return this.#options.onAccepted(message.accepted.clusterId);
      case 'shards':
        return this.#options.onShards(message.shards);
      default:
    }
  }
}
