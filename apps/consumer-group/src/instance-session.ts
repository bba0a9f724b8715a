/**
 * The session with the coordinators: this instance is known as long as it lasts, and hears which group shards it shall
 * own. That is a hint; without any coordinator the last one stays in force. The active coordinator is looked for among
 * all; a standby keeps the session too, so that the change to it costs nothing.
 */
import { asPartitaError, HEARTBEAT_MS, STREAM_SILENCE_MS_MAX } from '@partita/domain';
import { pause } from '@partita/client';
import { InstanceSessionServiceService, ServiceKind } from '@partita/protocol';
import type { InstanceSessionRequest, InstanceSessionResponse, ShardAssignment, ShardOwnership } from '@partita/protocol';
import { backoffDelayMs, openBidi } from '@partita/rpc/client';
import type { BidiStream, ChannelPool } from '@partita/rpc/client';
import { createRepeatedLog, systemClock, systemRandom } from '@partita/runtime';
import type { Logger } from '@partita/runtime';

const PROTOCOL_VERSION = 1;

export interface InstanceSessionOptions {
  /** Peer addresses, at least one. */
  readonly coordinators: readonly string[];
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
  onRefused(error: Error): void;
}

const REFUSALS: ReadonlySet<string> = new Set(['WRONG_CLUSTER', 'VERSION_NOT_SUPPORTED']);

export class InstanceSession {
  readonly #options: InstanceSessionOptions;
  readonly #closing = new AbortController();
  #draining = false;
  #stream: BidiStream<InstanceSessionRequest> | undefined;
  #clusterId: string;
  #heardMs = 0;
  /** True = the session's coordinator holds the lease. */
  #active = false;

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
    const repeated = createRepeatedLog(this.#options.logger, systemClock);
    const { coordinators } = this.#options;
    for (let attempt = 0; !this.#closing.signal.aborted; attempt++) {
      const address = coordinators[attempt % coordinators.length];
      if (address === undefined) return;
      const acceptedBefore = this.#heardMs;
      const error = await this.#runOne(address);
      if (this.#closing.signal.aborted) return;
      if (error !== undefined) {
        const fault = asPartitaError(error);
        if (REFUSALS.has(fault.reason)) return this.#options.onRefused(fault);
        repeated.warn('session', { coordinator: address, reason: fault.reason }, `no session with the coordinator: ${fault.message}`);
      }
      // One that had answered gets tried again soon; a list of dead ones slowly.
      const failures = this.#heardMs > acceptedBefore ? 0 : Math.floor(attempt / coordinators.length);
      await pause(Math.max(50, backoffDelayMs(failures, systemRandom)), this.#closing.signal);
    }
  }

  async #runOne(address: string): Promise<Error | undefined> {
    const { instanceId, version, pool } = this.#options;
    this.#active = false;
    const stream = openBidi(pool.client(address), InstanceSessionServiceService.instanceSession, {
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
        this.#active = message.accepted.active;
        return this.#options.onAccepted(message.accepted.clusterId);
      case 'heartbeat':
        this.#active = message.heartbeat.active;
        return;
      case 'shards':
        return this.#options.onShards(message.shards);
      default:
    }
  }
}
