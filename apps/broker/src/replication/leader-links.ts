/** All replication streams that this broker has opened, one to each broker that leads what it follows. */
import type { Clock, PartitaError, Random } from '@partita/domain';
import type { LeaderLinkPort } from '@partita/replication';
import { backoffDelayMs } from '@partita/rpc/client';
import type { ChannelPool } from '@partita/rpc/client';
import type { Logger } from '@partita/runtime';
import type { PartitionActor } from '../partition-actor.ts';
import { LeaderLink } from './leader-link.ts';
import type { LeaderLinkOptions } from './leader-link.ts';

/** Longest pause before a leader's broker is tried again: partitions wait for their followers. */
const RELINK_MS_MAX = 500;

export interface LeaderLinksOptions {
  readonly pool: ChannelPool;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: LeaderLinkOptions['metrics'];
  readonly open: LeaderLinkOptions['open'];
}

interface Failure {
  readonly count: number;
  readonly notBeforeMs: number;
}

export class LeaderLinks {
  readonly #options: LeaderLinksOptions;
  readonly #links = new Map<number, LeaderLink>();
  readonly #failures = new Map<number, Failure>();
  #addresses: ReadonlyMap<number, string> = new Map();
  #isClosed = false;

  constructor(options: LeaderLinksOptions) {
    this.#options = options;
  }

  /** Peer addresses of all brokers. A stream to a broker that has moved is given up. */
  setAddresses(addresses: ReadonlyMap<number, string>): void {
    this.#addresses = addresses;
    for (const [leaderId, link] of this.#links) {
      const address = addresses.get(leaderId);
      if (address === undefined || address === link.address) continue;
      this.#failures.delete(leaderId);
      link.close();
    }
  }

  /** What one replica uses of the streams. */
  portOf(actor: () => PartitionActor): LeaderLinkPort {
    return {
      seek: ({ leaderId, epoch }) => this.#link(leaderId)?.seek(actor(), epoch),
      join: (message) => this.#links.get(message.leaderId)?.join(actor(), message),
      ack: (message) => this.#links.get(message.leaderId)?.ack(actor(), message),
      // Who is told may not be followed: then there is no stream yet.
      fenced: ({ leaderId, promisedEpoch }) => this.#link(leaderId)?.fenced(actor(), promisedEpoch),
    };
  }

  tick(beat: boolean): void {
    for (const link of [...this.#links.values()]) link.tick(beat);
  }

  close(): void {
    this.#isClosed = true;
    for (const link of [...this.#links.values()]) link.close();
  }

  /** The stream to a broker, opened when there is none; undefined while that has to wait: the replica seeks again. */
  #link(leaderId: number): LeaderLink | undefined {
    const known = this.#links.get(leaderId);
    if (known !== undefined) return known;
    const { clock } = this.#options;
    const address = this.#addresses.get(leaderId);
    const failure = this.#failures.get(leaderId);
    const mustWait = failure !== undefined && clock.monotonicMs() < failure.notBeforeMs;
    if (address === undefined || mustWait || this.#isClosed) return undefined;
    const link = new LeaderLink({
      ...this.#options,
      leaderId,
      address,
      onClosed: (closed, error) => this.#onClosed(closed, error),
    });
    this.#links.set(leaderId, link);
    return link;
  }

  #onClosed(link: LeaderLink, error: PartitaError | undefined): void {
    const { leaderId } = link;
    if (this.#links.get(leaderId) !== link) return;
    this.#links.delete(leaderId);
    if (this.#isClosed) return;
    const { clock, random, logger } = this.#options;
    const count = link.wasOpen ? 0 : (this.#failures.get(leaderId)?.count ?? 0) + 1;
    const delayMs = Math.min(RELINK_MS_MAX, backoffDelayMs(count, random));
    this.#failures.set(leaderId, { count, notBeforeMs: clock.monotonicMs() + delayMs });
    if (count <= 1)
      logger.warn({ leaderId, reason: error?.reason, why: error?.message }, 'lost the stream to a leader');
  }
}
