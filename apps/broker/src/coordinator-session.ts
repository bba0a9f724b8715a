/**
 * The session with one coordinator: registers the broker with all that it holds, tells twice a second what has changed,
 * takes in the directory, and opens itself again with a growing pause. A broker keeps one with every coordinator.
 */
import { BROKER_HEARTBEAT_MS, PartitaError, PEER_CALL_ENTRY_COUNT_MAX, STREAM_SILENCE_MS_MAX } from '@partita/domain';
import type { Clock, Random, TimerHandle, Timers } from '@partita/domain';
import { BrokerSessionServiceService } from '@partita/protocol';
import type {
  BrokerHeartbeat,
  BrokerPeer,
  BrokerRegister,
  BrokerSessionRequest,
  BrokerSessionResponse,
  TopicConfig,
  TopicTombstone,
} from '@partita/protocol';
import { backoffDelayMs, openBidi } from '@partita/rpc/client';
import type { BidiStream, ChannelPool } from '@partita/rpc/client';
import type { Logger } from '@partita/runtime';
import type { OtherClocks } from './log-care/clock-guard.ts';
import type { DirectoryFeed } from './directory-feed.ts';
import type { PartitionActor } from './partition-actor.ts';

/** How long refusals that may pass by themselves are borne before the process gives up. */
const REFUSAL_MS_MAX = 15_000;
/** In-sync sets are reported at most this often; safety does not rest on the reports. */
const IN_SYNC_REPORT_MS = 200;

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
  /** What goes with all that has changed. */
  heartbeat(): Omit<BrokerHeartbeat, 'changed' | 'topics' | 'tombstones'>;
  /** Partitions that are led here: a new session is told of their in-sync sets. */
  leaders(): Iterable<PartitionActor>;
  /** Where brokers listen for their peers. */
  onPeers(peers: readonly BrokerPeer[]): void;
  /** The coordinator has taken the broker in, again after each loss of the session. */
  onRegistered(): void;
  /** The wall clocks of the others. */
  onClocks(clocks: OtherClocks): void;
  /** The cluster does not want this broker. */
  onRefused(error: PartitaError): void;
}

export class CoordinatorSession {
  readonly #options: CoordinatorSessionOptions;
  readonly #changed = new Set<PartitionActor>();
  readonly #topics = new Map<string, TopicConfig>();
  readonly #tombstones = new Map<string, TopicTombstone>();
  readonly #inSync = new Set<PartitionActor>();
  #inSyncTimer: TimerHandle | undefined;
  #beatIsDue = false;
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

  /** True while the coordinator has this broker registered. */
  get isUp(): boolean {
    return this.#isAccepted;
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
    this.#topics.clear();
    this.#tombstones.clear();
    this.#stream.send({ message: { $case: 'register', register: this.#options.register() } });
    logger.debug({ coordinator: address }, 'registering with a coordinator');
    this.#beatLater();
  }

  /** The replica's next report differs. `urgent`: others wait for it, it goes out at once. */
  noteChange(actor: PartitionActor, urgent: boolean): void {
    this.#changed.add(actor);
    if (urgent) this.#beatSoon();
  }

  /** The config of a topic is stored: a coordinator that did not order it has to know of it, too. */
  noteTopic(config: TopicConfig): void {
    this.#topics.set(config.topicId, config);
    this.#beatSoon();
  }

  /** The deletion of a topic is stored. */
  noteTombstone(tombstone: TopicTombstone): void {
    this.#tombstones.set(tombstone.topicId, tombstone);
    this.#beatSoon();
  }

  #beatSoon(): void {
    if (this.#beatIsDue) return;
    this.#beatIsDue = true;
    // A broker that is lost or found changes many replicas in one turn.
    setImmediate(() => {
      this.#beatIsDue = false;
      this.beat();
    });
  }

  /** The in-sync set of a partition that is led here has changed. */
  noteInSync(actor: PartitionActor): void {
    this.#inSync.add(actor);
    this.#inSyncTimer ??= this.#options.timers.after(IN_SYNC_REPORT_MS, () => this.#reportInSync());
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#inSyncTimer?.cancel();
    this.#stream?.cancel();
  }

  /** Tells at once what has changed, for instance that the broker drains. */
  beat(): void {
    if (!this.#isAccepted || this.#stream?.writable !== true) return;
    const changed = [...this.#changed].filter((actor) => !actor.isClosed).map((actor) => actor.inventory());
    this.#changed.clear();
    const topics = take(this.#topics, PEER_CALL_ENTRY_COUNT_MAX);
    const tombstones = take(this.#tombstones, PEER_CALL_ENTRY_COUNT_MAX);
    const heartbeat = { ...this.#options.heartbeat(), changed, topics, tombstones };
    this.#stream.send({ message: { $case: 'heartbeat', heartbeat } });
  }

  /** What finds no room waits for the next time; of a set that changes on and on the last state is told. */
  #reportInSync(): void {
    this.#inSyncTimer = undefined;
    if (!this.#isAccepted || this.#stream?.writable !== true) {
      if (this.#inSync.size > 0)
        this.#inSyncTimer = this.#options.timers.after(IN_SYNC_REPORT_MS, () => this.#reportInSync());
      return;
    }
    const entries = [...this.#inSync].flatMap((actor) => actor.inSyncReport() ?? []);
    this.#inSync.clear();
    for (let at = 0; at < entries.length; at += PEER_CALL_ENTRY_COUNT_MAX) {
      const reportIsr = { entries: entries.slice(at, at + PEER_CALL_ENTRY_COUNT_MAX) };
      this.#stream.send({ message: { $case: 'reportIsr', reportIsr } });
    }
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
        this.#options.onRegistered();
        this.#wasAccepted = true;
        this.#refusedSinceMs = undefined;
        this.#attempt = 0;
        for (const actor of this.#options.leaders()) this.noteInSync(actor);
        this.#options.logger.info(
          { coordinator: this.#options.address, active: message.accepted.active },
          'registered with a coordinator',
        );
        return;
      case 'directory':
        if (message.directory.peers.length > 0) this.#options.onPeers(message.directory.peers);
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
    this.#options.feed.close();
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

/** Takes so many of the values out. */
function take<Value>(from: Map<string, Value>, countMax: number): Value[] {
  const taken = [...from].slice(0, countMax);
  for (const [key] of taken) from.delete(key);
  return taken.map(([, value]) => value);
}
