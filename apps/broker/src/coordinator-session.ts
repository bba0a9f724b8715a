/**
 * The session with one coordinator: registers the broker with all that it holds, tells twice a second what has changed,
 * takes in the directory, and opens itself again with a growing pause. A broker keeps one with every coordinator.
 */
import { BROKER_HEARTBEAT_MS, PartitaError, STREAM_SILENCE_MS_MAX } from '@partita/domain';
import type { Clock, Random, TimerHandle, Timers } from '@partita/domain';
import { BrokerSessionServiceService } from '@partita/protocol';
import type { BrokerHeartbeat, BrokerRegister, BrokerSessionRequest, BrokerSessionResponse } from '@partita/protocol';
import { backoffDelayMs, openBidi } from '@partita/rpc/client';
import type { BidiStream, ChannelPool } from '@partita/rpc/client';
import type { Logger } from '@partita/runtime';
import type { OtherClocks } from './log-care/clock-guard.ts';
import type { DirectoryFeed } from './directory-feed.ts';
import type { PartitionActor } from './partition-actor.ts';

/** How long refusals that may pass by themselves are borne before the process gives up. */
const REFUSAL_MS_MAX = 15_000;

export interface CoordinatorSessionOptions {
  /** Peer address of the coordinator. */
  readonly address: string;
  readonly pool: ChannelPool;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  readonly feed: DirectoryFeed;
  /** The whole inventory, anew for each session. */
  register(): BrokerRegister;
  /** What goes with the changed replicas. */
  heartbeat(): Omit<BrokerHeartbeat, 'changed'>;
  /** The wall clocks of the others. */
  onClocks(clocks: OtherClocks): void;
  /** The cluster does not want this broker. */
  onRefused(error: PartitaError): void;
}

export class CoordinatorSession {
  readonly #options: CoordinatorSessionOptions;
  readonly #changed = new Set<PartitionActor>();
  #stream: BidiStream<BrokerSessionRequest> | undefined;
  #isAccepted = false;
  #wasAccepted = false;
  #isClosed = false;
  #attempt = 0;
  #heardAtMs = 0;
  #refusedSinceMs: number | undefined;
  #timer: TimerHandle | undefined;

  constructor(options: CoordinatorSessionOptions) {
    this.#options = options;
  }

  open(): void {
    const { address, pool, clock, logger } = this.#options;
    if (this.#isClosed) return;
    this.#isAccepted = false;
    this.#heardAtMs = clock.monotonicMs();
    this.#stream = openBidi(pool.client(address), BrokerSessionServiceService.brokerSession, {
      onMessage: (message) => this.#onMessage(message),
      onClose: (error) => this.#onClose(error),
    });
    // What changes from here on goes into the first heartbeat.
    this.#changed.clear();
    this.#stream.send({ message: { $case: 'register', register: this.#options.register() } });
    logger.debug({ coordinator: address }, 'registering with a coordinator');
    this.#beatLater();
  }

  /** The replica's next report differs. */
  noteChange(actor: PartitionActor): void {
    this.#changed.add(actor);
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#stream?.cancel();
  }

  /** Tells at once what has changed, for instance that the broker drains. */
  beat(): void {
    if (!this.#isAccepted || this.#stream?.writable !== true) return;
    const changed = [...this.#changed].filter((actor) => !actor.isClosed).map((actor) => actor.inventory());
    this.#changed.clear();
    this.#stream.send({ message: { $case: 'heartbeat', heartbeat: { ...this.#options.heartbeat(), changed } } });
  }

  #beatLater(): void {
    this.#timer = this.#options.timers.after(BROKER_HEARTBEAT_MS, () => {
      if (this.#options.clock.monotonicMs() - this.#heardAtMs > STREAM_SILENCE_MS_MAX) {
        this.#stream?.cancel();
        return;
      }
      this.beat();
      this.#beatLater();
    });
  }

  #onMessage({ message }: BrokerSessionResponse): void {
    this.#heardAtMs = this.#options.clock.monotonicMs();
    switch (message?.$case) {
      case 'accepted':
        this.#isAccepted = true;
        this.#wasAccepted = true;
        this.#refusedSinceMs = undefined;
        this.#attempt = 0;
        this.#options.logger.info(
          { coordinator: this.#options.address, active: message.accepted.active },
          'registered with a coordinator',
        );
        return;
      case 'directory':
        this.#options.feed.apply(message.directory);
        return;
      case 'heartbeat':
        if (message.heartbeat.active) this.#options.feed.confirm();
        this.#options.onClocks({
          coordinatorMs: Number(message.heartbeat.wallMs),
          brokersMs: Number(message.heartbeat.brokersWallMs),
        });
        return;
      default:
        return;
    }
  }

  #onClose(error: PartitaError | undefined): void {
    this.#timer?.cancel();
    this.#stream = undefined;
    this.#isAccepted = false;
    if (this.#isClosed) return;
    const { address, clock, timers, random, logger } = this.#options;
    if (error !== undefined && this.#isFatal(error)) {
      this.#options.onRefused(error);
      return;
    }
    if (this.#attempt === 0) {
      logger.warn(
        { coordinator: address, reason: error?.reason, why: error?.message },
        'lost a coordinator; trying again',
      );
    }
    const delayMs = backoffDelayMs(this.#attempt, random);
    this.#attempt += 1;
    this.#heardAtMs = clock.monotonicMs();
    this.#timer = timers.after(delayMs, () => this.open());
  }

  /** A wrong cluster or version stays wrong. An id in use may be that of this broker's own last run, just gone. */
  #isFatal(error: PartitaError): boolean {
    if (error.reason === 'WRONG_CLUSTER' || error.reason === 'VERSION_NOT_SUPPORTED') return true;
    if (error.reason !== 'INVALID_REQUEST' || this.#wasAccepted) return false;
    const nowMs = this.#options.clock.monotonicMs();
    this.#refusedSinceMs ??= nowMs;
    return nowMs - this.#refusedSinceMs > REFUSAL_MS_MAX;
  }
}
