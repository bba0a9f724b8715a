/** What is measured of leading: how often it began and ended here, and how long its writes wait for followers. */
import type { Clock } from '@partita/domain';
import type { ReplicaChange } from '@partita/replication';
import type { CounterSeries, HistogramSeries, Metrics } from '@partita/telemetry';
import type { PartitionActor } from '../partition-actor.ts';
import { CommitWatch } from './commit-watch.ts';

interface Leading {
  readonly commits: CommitWatch;
  readonly stop: () => void;
}

export class LeaderMetrics {
  readonly #isOn: boolean;
  readonly #clock: Clock;
  readonly #began: CounterSeries;
  readonly #ended: CounterSeries;
  readonly #commits: HistogramSeries;
  /** Replicas that lead. */
  readonly #leading = new Map<PartitionActor, Leading>();

  constructor(metrics: Metrics, clock: Clock) {
    this.#isOn = metrics.isOn;
    this.#clock = clock;
    const changes = metrics.counter('partita.broker.leader.changes');
    this.#began = changes.of({ change: 'began' });
    this.#ended = changes.of({ change: 'ended' });
    this.#commits = metrics.histogram('partita.broker.commit.duration').of();
  }

  /** Everything below the offset is durable here. Call before the replica is told, which may commit it. */
  durable(actor: PartitionActor, end: bigint): void {
    this.#leading.get(actor)?.commits.durable(end);
  }

  changed(actor: PartitionActor, what: ReplicaChange): void {
    if (!this.#isOn) return;
    if (what === 'high-watermark') this.#leading.get(actor)?.commits.committed(actor.state.highWatermark);
    else if (what === 'role') this.#onRole(actor);
  }

  #onRole(actor: PartitionActor): void {
    if (actor.leader === undefined) this.#end(actor);
    else if (!this.#leading.has(actor)) this.#begin(actor);
  }

  #begin(actor: PartitionActor): void {
    this.#began.add(1);
    const commits = new CommitWatch(this.#clock, this.#commits);
    // Deleting a replica, and stopping the broker, ends its leading too.
    const stop = actor.onChange(() => {
      if (actor.isClosed) this.#end(actor);
    });
    this.#leading.set(actor, { commits, stop });
  }

  #end(actor: PartitionActor): void {
    const leading = this.#leading.get(actor);
    if (leading === undefined) return;
    this.#leading.delete(actor);
    leading.stop();
    this.#ended.add(1);
  }
}
