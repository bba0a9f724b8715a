/**
 * What replication does by the clock and by the directory: tells replicas whom to follow, looks at the progress of
 * followers and leaders, keeps the streams alive.
 */
import { REPLICA_TICK_MS, REPLICATION_HEARTBEAT_MS } from '@partita/domain';
import type { Clock, TimerHandle, Timers } from '@partita/domain';
import type { DirectoryView } from '@partita/rpc/server';
import type { PartitionActor } from '../partition-actor.ts';
import type { PartitionRegistry } from '../partition-registry.ts';
import type { FollowerStream } from './follower-stream.ts';
import type { LeaderLinks } from './leader-links.ts';

export interface FollowingTaskOptions {
  readonly registry: PartitionRegistry;
  readonly directory: DirectoryView;
  readonly links: LeaderLinks;
  readonly clock: Clock;
  readonly timers: Timers;
}

export class FollowingTask {
  readonly #options: FollowingTaskOptions;
  readonly #streams = new Set<FollowerStream>();
  #timer: TimerHandle | undefined;
  #beatAtMs = 0;

  constructor(options: FollowingTaskOptions) {
    this.#options = options;
    options.directory.onChange(({ changed }) => {
      for (const { topicId, partitions } of changed) {
        for (const { partition } of partitions) this.#follow(options.registry.actor(topicId, partition));
      }
    });
  }

  start(): void {
    this.#timer = this.#options.timers.after(REPLICA_TICK_MS, () => {
      this.#tick();
      this.start();
    });
  }

  stop(): void {
    this.#timer?.cancel();
  }

  add(stream: FollowerStream): void {
    this.#streams.add(stream);
  }

  remove(stream: FollowerStream): void {
    this.#streams.delete(stream);
  }

  /** Serves no follower and follows nobody any more. */
  endStreams(): void {
    this.#options.links.close();
    for (const stream of [...this.#streams]) stream.end();
  }

  #tick(): void {
    const { registry, links, clock } = this.#options;
    const nowMs = clock.monotonicMs();
    for (const actor of registry.actors()) {
      if (actor.leader === undefined) this.#follow(actor);
      else actor.feed({ kind: 'expire', nowMs });
    }
    const beat = nowMs - this.#beatAtMs >= REPLICATION_HEARTBEAT_MS;
    if (beat) this.#beatAtMs = nowMs;
    links.tick(beat);
    for (const stream of [...this.#streams]) stream.tick(beat);
  }

  /** Says again whom the directory knows to lead; a replica that follows already, or knows better, does nothing. */
  #follow(actor: PartitionActor | undefined): void {
    if (actor === undefined || actor.isClosed) return;
    const { topicId, partition, state } = actor;
    const known = this.#options.directory.routeOfId(topicId)?.partitions[partition];
    if (known === undefined || known.leaderId === 0 || known.leaderEpoch < state.meta.promisedEpoch) return;
    const { following } = state;
    if (following?.epoch === known.leaderEpoch && following.phase !== 'seeking') return;
    actor.feed({ kind: 'follow', epoch: known.leaderEpoch, leaderId: known.leaderId });
  }
}
