/**
 * Appends batches to whoever leads: one lane per partition, in order, one batch under way. A definite refusal that a new
 * route or a pause can mend is tried again until the deadline; doubt is handed back at once, since only whoever owns the
 * batch knows whether a second copy would hurt.
 */
import { DEADLINE_MS_MAX, PARTITION_QUEUE_BYTES_MAX, PARTITION_QUEUE_COUNT_MAX, PartitaError } from '@partita/domain';
import type { ErrorReason } from '@partita/domain';
import { Acks } from '@partita/protocol';
import type { AppendEntry } from '@partita/protocol';
import { outcomeOf } from '@partita/rpc';
import { backoffDelayMs } from '@partita/rpc/client';
import type { ChannelPool } from '@partita/rpc/client';
import { AppendLink } from './append-link.ts';
import type { AppendOutcome } from './append-link.ts';
import { JITTER } from './jitter.ts';
import type { RouteCache } from './route-cache.ts';

/** A batch to append. */
export interface AppendJob {
  readonly topicId: string;
  readonly topic: string;
  readonly partition: number;
  /** A serialised RecordBatches with one batch. Not changed, not kept after `done`. */
  readonly recordBatches: Uint8Array;
  readonly acks?: Acks;
  readonly expectedNextOffset?: bigint;
  readonly claimEpoch?: number;
  readonly traceparent?: string;
  /** Monotonic milliseconds (performance.now) after which the job fails. Default: 30 s from now. */
  readonly deadlineAtMs?: number;
  readonly done: (outcome: AppendOutcome) => void;
}

interface Lane {
  readonly queue: AppendJob[];
  queuedBytes: number;
  underWay: boolean;
  attempt: number;
}

const LANE_IDLE_COUNT_MAX = 10_000;

export class LeaderAppender {
  readonly #routes: RouteCache;
  readonly #pool: ChannelPool;
  /** Links that take batches, by address. */
  readonly #links = new Map<string, AppendLink>();
  /** Those, and those that drain. */
  readonly #openLinks = new Set<AppendLink>();
  readonly #lanes = new Map<string, Lane>();
  /** Ends the wait of each job that is tried again later; `true` = now, `false` = never. */
  readonly #retries = new Set<(again: boolean) => void>();
  #closed = false;

  constructor(routes: RouteCache, pool: ChannelPool) {
    this.#routes = routes;
    this.#pool = pool;
  }

  /**
   * Queues a batch behind the earlier ones of its partition. `done` is called once, with QUEUE_FULL when there is no room,
   * and never before this returns: a refusal that called back at once would make a long queue refuse itself recursively.
   */
  append(job: AppendJob): void {
    const key = `${job.topicId}/${job.partition}`;
    const lane = this.#lane(key);
    const bytes = job.recordBatches.byteLength;
    const refusal = this.#closed ? new PartitaError('SHUTTING_DOWN', 'the appender is closed') : noRoom(lane, bytes);
    if (refusal !== undefined) return queueMicrotask(() => job.done(refusal));
    lane.queue.push(
      job.deadlineAtMs === undefined ? { ...job, deadlineAtMs: performance.now() + DEADLINE_MS_MAX } : job,
    );
    lane.queuedBytes += bytes;
    this.#pump(lane);
  }

  /** Bytes that wait or are under way for a partition. */
  queuedBytes(topicId: string, partition: number): number {
    return this.#lanes.get(`${topicId}/${partition}`)?.queuedBytes ?? 0;
  }

  close(): void {
    this.#closed = true;
    for (const end of [...this.#retries]) end(false);
    for (const link of [...this.#openLinks]) link.close();
    for (const lane of this.#lanes.values()) {
      for (const job of lane.queue.splice(lane.underWay ? 1 : 0))
        job.done(new PartitaError('SHUTTING_DOWN', 'closed before it was sent'));
    }
  }

  #lane(key: string): Lane {
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      if (this.#lanes.size >= LANE_IDLE_COUNT_MAX) this.#dropIdleLanes();
      lane = { queue: [], queuedBytes: 0, underWay: false, attempt: 0 };
      this.#lanes.set(key, lane);
    }
    return lane;
  }

  #dropIdleLanes(): void {
    for (const [key, lane] of this.#lanes) if (lane.queue.length === 0) this.#lanes.delete(key);
  }

  #pump(lane: Lane): void {
    const job = lane.queue[0];
    if (lane.underWay || job === undefined) return;
    lane.underWay = true;
    this.#attempt(lane, job);
  }

  #attempt(lane: Lane, job: AppendJob): void {
    const leftMs = (job.deadlineAtMs ?? 0) - performance.now();
    const route = this.#routes.leader(job.topicId, job.partition);
    if (leftMs <= 0 || route === undefined) {
      const failure = route === undefined ? noLeader(job) : tooLate(job);
      return queueMicrotask(() => this.#finish(lane, job, failure, leftMs));
    }
    const entry: AppendEntry = {
      topicId: job.topicId,
      topic: job.topic,
      partition: job.partition,
      leaderEpoch: route.leaderEpoch,
      recordBatches: job.recordBatches,
      acks: job.acks ?? Acks.ACKS_ALL,
      expectedNextOffset: job.expectedNextOffset,
      claimEpoch: job.claimEpoch ?? 0,
      traceparent: job.traceparent ?? '',
      tracestate: '',
    };
    this.#link(route.address).append(entry, Math.min(leftMs, DEADLINE_MS_MAX), (outcome) => {
      this.#finish(lane, job, outcome, (job.deadlineAtMs ?? 0) - performance.now());
    });
  }

  #finish(lane: Lane, job: AppendJob, outcome: AppendOutcome, leftMs: number): void {
    if (outcome instanceof PartitaError) {
      if (outcome.reason === 'NOT_LEADER') this.#routes.applyHint(outcome);
      else if (LOST_LEADER_REASONS.has(outcome.reason)) this.#routes.suspectLeader(job.topic);
      if (this.#mayRetry(outcome, leftMs)) return this.#retryLater(lane, job, outcome, leftMs);
    }
    lane.queue.shift();
    lane.queuedBytes -= job.recordBatches.byteLength;
    lane.underWay = false;
    lane.attempt = 0;
    job.done(outcome);
    this.#pump(lane);
  }

  #mayRetry(error: PartitaError, leftMs: number): boolean {
    if (this.#closed || leftMs <= 0 || outcomeOf(error) === 'unknown') return false;
    return RETRIED_REASONS.has(error.reason);
  }

  #retryLater(lane: Lane, job: AppendJob, error: PartitaError, leftMs: number): void {
    const delayMs = Math.min(leftMs, error.retryAfterMs ?? backoffDelayMs(lane.attempt, JITTER));
    lane.attempt += 1;
    const end = (again: boolean): void => {
      this.#retries.delete(end);
      clearTimeout(timer);
      stopListening();
      if (again) this.#attempt(lane, job);
      else this.#finish(lane, job, error, 0);
    };
    const timer = setTimeout(end, delayMs, true);
    this.#retries.add(end);
    // A new leader is news worth trying at once.
    const before = this.#routes.leader(job.topicId, job.partition);
    const stopListening = this.#routes.onChange(() => {
      const now = this.#routes.leader(job.topicId, job.partition);
      if (now !== undefined && (now.leaderEpoch !== before?.leaderEpoch || now.address !== before.address)) end(true);
    });
  }

  #link(address: string): AppendLink {
    let link = this.#links.get(address);
    if (link === undefined) {
      const made = new AppendLink(this.#pool, address, {
        onRetired: () => this.#links.delete(address),
        onClosed: () => this.#openLinks.delete(made),
      });
      link = made;
      this.#links.set(address, link);
      this.#openLinks.add(link);
    }
    return link;
  }
}

/** Refusals that a pause or a new route can mend; whatever else is refused stays refused. */
const RETRIED_REASONS: ReadonlySet<ErrorReason> = new Set<ErrorReason>([
  'NOT_LEADER',
  'LEADER_NOT_AVAILABLE',
  'REPLICA_NOT_FOUND',
  'SERVICE_UNREACHABLE',
  'SHUTTING_DOWN',
  'NOT_ENOUGH_REPLICAS',
  'QUEUE_FULL',
  'STORAGE_FAILED',
]);

/** What is heard instead of a leader that is gone, or was never told of. */
const LOST_LEADER_REASONS: ReadonlySet<ErrorReason> = new Set<ErrorReason>([
  'LEADER_NOT_AVAILABLE',
  'SERVICE_UNREACHABLE',
  'OUTCOME_UNKNOWN',
]);

function noRoom(lane: Lane, bytes: number): PartitaError | undefined {
  const hasBytes = lane.queue.length === 0 || lane.queuedBytes + bytes <= PARTITION_QUEUE_BYTES_MAX;
  if (hasBytes && lane.queue.length < PARTITION_QUEUE_COUNT_MAX) return undefined;
  const limit = String(hasBytes ? PARTITION_QUEUE_COUNT_MAX : PARTITION_QUEUE_BYTES_MAX);
  const text = 'too much waits for this partition; slow down';
  return new PartitaError('QUEUE_FULL', text, { queue: 'partition', limit }, { retryAfterMs: 100 });
}

function noLeader(job: AppendJob): PartitaError {
  const metadata = { topic: job.topic, partition: String(job.partition) };
  return new PartitaError(
    'LEADER_NOT_AVAILABLE',
    `partition ${job.partition} of "${job.topic}" has no leader at the moment`,
    metadata,
  );
}

function tooLate(job: AppendJob): PartitaError {
  return new PartitaError('TIMED_OUT', `the deadline passed before the batch for "${job.topic}" was sent`);
}
