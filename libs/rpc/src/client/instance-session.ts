/**
 * Keeps a session with every coordinator, so that the cluster knows where this instance answers. Used by the services
 * without data of their own: gateways and consumer-group instances. Standbys are told too, so that a take-over costs
 * nothing. All of it is a hint: without any coordinator an instance goes on with what it was told last.
 */
import { HEARTBEAT_MS, PEER_PROTOCOL_VERSION, STREAM_SILENCE_MS_MAX } from '@partita/domain';
import type { ErrorReason, PartitaError, Random } from '@partita/domain';
import { InstanceSessionServiceService } from '@partita/protocol';
import type {
  InstanceAccepted,
  InstanceQuotas,
  InstanceSessionRequest,
  InstanceSessionResponse,
  ServiceKind,
  ShardAssignment,
  ShardOwnership,
} from '@partita/protocol';
import type { ChannelPool } from './channel-pool.ts';
import { openBidi } from './client-stream.ts';
import type { BidiStream } from './client-stream.ts';
import { backoffDelayMs } from './retry.ts';

export interface InstanceSessionsOptions {
  readonly pool: ChannelPool;
  readonly random: Random;
  /** Peer addresses of the coordinators. */
  readonly coordinators: readonly string[];
  /** Empty = not known yet: learnt from the first coordinator that accepts, told to all from then on. */
  readonly clusterId: string;
  readonly instance: InstanceIdentity;
  /** Group shards that this instance owns; default none. */
  ownedShards?(): ShardOwnership[];
  onAccepted(accepted: InstanceAccepted): void;
  /** Which shards are whose. Only an active coordinator tells. */
  onShards?(assignment: ShardAssignment): void;
  /** The quotas of the cluster, newer than all that were told before. */
  onQuotas?(quotas: InstanceQuotas): void;
  /** The cluster will not have this instance, and asking again changes nothing. Called once. */
  onRefused(error: PartitaError): void;
  /** There is no session with this coordinator; it is tried again by itself. Undefined = ended without an error. */
  onBroken(coordinator: string, error: PartitaError | undefined): void;
}

/** Who registers. */
export interface InstanceIdentity {
  readonly service: ServiceKind;
  /** Id of the process run, a lower-case UUID. */
  readonly instanceId: string;
  /** Public address. */
  readonly address: string;
  /** Version of the product. */
  readonly version: string;
}

export interface InstanceSessions {
  /** Tells every coordinator at once that this instance is about to stop. */
  drain(): void;
  close(): void;
}

/** Pause before a session is opened again, whatever the backoff draws: a coordinator may accept and break at once. */
const RETRY_MS_MIN = 50;
const REFUSALS: ReadonlySet<ErrorReason> = new Set<ErrorReason>(['WRONG_CLUSTER', 'VERSION_NOT_SUPPORTED']);

/** Opens the sessions and opens them again until `close`. */
export function keepInstanceSessions(options: InstanceSessionsOptions): InstanceSessions {
  const shared = { clusterId: options.clusterId, draining: false, refused: false, quotasVersion: 0n };
  const links = options.coordinators.map((address) => new Link(address, options, shared));
  return {
    drain: () => {
      shared.draining = true;
      for (const link of links) link.beat();
    },
    close: () => {
      for (const link of links) link.close();
    },
  };
}

/** What the links of one instance have in common. */
interface Shared {
  clusterId: string;
  draining: boolean;
  refused: boolean;
  /** Of the settings whose quotas were passed on last: coordinators may tell in any order. */
  quotasVersion: bigint;
}

class Link {
  readonly #address: string;
  readonly #options: InstanceSessionsOptions;
  readonly #shared: Shared;
  #stream: BidiStream<InstanceSessionRequest> | undefined;
  #heartbeat: ReturnType<typeof setInterval> | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #heardMs = 0;
  /** Failures since the coordinator was last heard. */
  #failureCount = 0;
  #closed = false;

  constructor(address: string, options: InstanceSessionsOptions, shared: Shared) {
    this.#address = address;
    this.#options = options;
    this.#shared = shared;
    this.#open();
  }

  beat(): void {
    const heartbeat = { draining: this.#shared.draining, ownedShards: this.#options.ownedShards?.() ?? [] };
    this.#stream?.send({ message: { $case: 'heartbeat', heartbeat } });
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    clearInterval(this.#heartbeat);
    this.#stream?.cancel();
  }

  #open(): void {
    const { pool, instance } = this.#options;
    this.#heardMs = performance.now();
    this.#stream = openBidi(pool.client(this.#address), InstanceSessionServiceService.instanceSession, {
      onMessage: (message) => this.#onMessage(message),
      onClose: (error) => this.#onClose(error),
    });
    const { clusterId } = this.#shared;
    const register = { ...instance, clusterId, protocolVersion: PEER_PROTOCOL_VERSION, peerAddress: '' };
    this.#stream.send({ message: { $case: 'register', register } });
    // A coordinator that knows nothing of before hears at once what this instance owns, before it gives that away.
    this.beat();
    this.#heartbeat = setInterval(() => {
      if (performance.now() - this.#heardMs > STREAM_SILENCE_MS_MAX) this.#stream?.cancel();
      else this.beat();
    }, HEARTBEAT_MS);
  }

  #onMessage({ message }: InstanceSessionResponse): void {
    this.#heardMs = performance.now();
    this.#failureCount = 0;
    if (this.#closed) return;
    if (message?.$case === 'accepted') {
      this.#shared.clusterId = message.accepted.clusterId;
      this.#options.onAccepted(message.accepted);
    } else if (message?.$case === 'shards') this.#options.onShards?.(message.shards);
    else if (message?.$case === 'quotas') this.#onQuotas(message.quotas);
  }

  #onQuotas(quotas: InstanceQuotas): void {
    if (quotas.version <= this.#shared.quotasVersion) return;
    this.#shared.quotasVersion = quotas.version;
    this.#options.onQuotas?.(quotas);
  }

  #onClose(error: PartitaError | undefined): void {
    clearInterval(this.#heartbeat);
    this.#stream = undefined;
    if (this.#closed) return;
    if (error !== undefined && REFUSALS.has(error.reason)) return this.#refused(error);
    this.#options.onBroken(this.#address, error);
    const delayMs = Math.max(RETRY_MS_MIN, backoffDelayMs(this.#failureCount, this.#options.random));
    this.#retry = setTimeout(() => this.#open(), delayMs);
    this.#failureCount += 1;
  }

  #refused(error: PartitaError): void {
    this.#closed = true;
    if (this.#shared.refused) return;
    this.#shared.refused = true;
    this.#options.onRefused(error);
  }
}
