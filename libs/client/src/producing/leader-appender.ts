/**
 * Appends batches to whoever leads: an ordered lane per partition and producer session. It follows hints and routes; a batch
 * of a session whose leader is replaced while it is under way goes to the new one at once.
 */
import { PARTITION_QUEUE_BYTES_MAX, PARTITION_QUEUE_COUNT_MAX, PartitaError } from '@partita/domain';
import type { ErrorReason } from '@partita/domain';
import { Acks } from '@partita/protocol';
import type { AppendEntry } from '@partita/protocol';
import type { ChannelPool } from '@partita/rpc/client';
import type { RouteCache } from '../route-cache.ts';
import type { LeaderRoute } from '../route-table.ts';
import type { AppendJob, AppendOutcome, BatchSink } from './append-job.ts';
import { AppendLink } from './append-link.ts';
import { RetryBudget } from '../retry-budget.ts';
import { OrderedLane } from './ordered-lane.ts';
import { mayPassSoon } from './retried-errors.ts';

/** A lane and whom its batches went to last. */
interface Way {
  readonly lane: OrderedLane;
  readonly topicId: string;
  readonly partition: number;
  route: LeaderRoute | undefined;
}

export interface LeaderAppenderOptions {
  /** Which definite refusals are tried again until the deadline. */
  readonly mayPass?: (error: PartitaError) => boolean;
  /** Told of each attempt after a batch's first, with why the one before it failed. */
  readonly onRetry?: (reason: ErrorReason) => void;
  /** As LaneOwner's: each broker has a budget of its own. */
  readonly whenSpent?: 'slow' | 'fail';
}

export class LeaderAppender implements BatchSink {
  readonly #routes: RouteCache;
  readonly #pool: ChannelPool;
  readonly #options: LeaderAppenderOptions;
  /** Links that take batches, by address. */
  readonly #links = new Map<string, AppendLink>();
  /** Of the brokers that have a link. */
  readonly #budgets = new Map<string, RetryBudget>();
  /** Those, and those that drain. */
  readonly #openLinks = new Set<AppendLink>();
  /** Lanes with something in them. */
  readonly #ways = new Map<string, Way>();
  readonly #stopListening: () => void;
  #closed = false;

  constructor(routes: RouteCache, pool: ChannelPool, options: LeaderAppenderOptions = {}) {
    this.#routes = routes;
    this.#pool = pool;
    this.#options = options;
    this.#stopListening = routes.onChange(() => this.#onRoutes());
  }

  /**
   * Queues a batch behind the earlier ones of its partition and session. `done` is called once, with QUEUE_FULL when there is
   * no room, and never before this returns: a refusal that called back at once would make a long queue refuse itself
   * recursively.
   */
  append(job: AppendJob): void {
    const key = `${job.topicId}/${job.partition}/${job.session ?? ''}`;
    const known = this.#ways.get(key);
    const refusal = this.#closed ? closedError() : noRoom(known?.lane, job.recordBatches.byteLength);
    if (refusal !== undefined) return queueMicrotask(() => job.done(refusal));
    (known ?? this.#open(key, job)).lane.push(job);
  }

  /** Fails what has waited behind others past its deadline. */
  expire(nowMs: number): void {
    for (const { lane } of this.#ways.values()) lane.expire(nowMs);
  }

  close(): void {
    this.#closed = true;
    this.#stopListening();
    for (const { lane } of [...this.#ways.values()]) lane.close(closedError());
    for (const link of [...this.#openLinks]) link.close();
  }

  #open(key: string, { topicId, partition, session = '' }: AppendJob): Way {
    const owner = {
      attempt: (job: AppendJob, timeoutMs: number, done: (outcome: AppendOutcome) => void) =>
        this.#attempt(way, job, timeoutMs, done),
      mayPass: this.#options.mayPass ?? mayPassSoon,
      onRetry: this.#options.onRetry,
      onFailure: (job: AppendJob, error: PartitaError) => this.#onFailure(job, error),
      budget: () => this.#budgets.get(way.route?.address ?? ''),
      whenSpent: this.#options.whenSpent,
      onIdle: () => void this.#ways.delete(key),
    };
    const way: Way = { lane: new OrderedLane(owner, session !== ''), topicId, partition, route: undefined };
    this.#ways.set(key, way);
    return way;
  }

  #attempt(way: Way, job: AppendJob, timeoutMs: number, done: (outcome: AppendOutcome) => void): void {
    const route = this.#routes.leader(job.topicId, job.partition);
    way.route = route;
    const traceparent = job.trace?.beginAttempt(job, route?.brokerId) ?? '';
    if (route === undefined) return queueMicrotask(() => done(noLeader(job)));
    const entry: AppendEntry = {
      topicId: job.topicId,
      topic: job.topic,
      partition: job.partition,
      leaderEpoch: route.leaderEpoch,
      recordBatches: job.recordBatches,
      acks: job.acks ?? Acks.ACKS_ALL,
      expectedNextOffset: job.expectedNextOffset,
      claimEpoch: job.claimEpoch ?? 0,
      traceparent,
      tracestate: '',
    };
    this.#link(route.address).append(entry, timeoutMs, done);
  }

  #onFailure(job: AppendJob, error: PartitaError): void {
    if (error.reason === 'NOT_LEADER') this.#routes.applyHint(error);
    else if (LOST_LEADER_REASONS.has(error.reason)) this.#routes.suspectLeader(job.topic);
  }

  /** A new leader is news worth trying at once. */
  #onRoutes(): void {
    for (const way of [...this.#ways.values()]) {
      const now = this.#routes.leader(way.topicId, way.partition);
      const { route, lane } = way;
      if (now === undefined || (now.leaderEpoch === route?.leaderEpoch && now.address === route.address)) continue;
      if (route !== undefined && route.address !== now.address) lane.abandon(replaced(route));
      lane.wake();
    }
  }

  #link(address: string): AppendLink {
    let link = this.#links.get(address);
    if (link === undefined) {
      const made = new AppendLink(this.#pool, address, {
        onRetired: () => {
          this.#links.delete(address);
          this.#budgets.delete(address);
        },
        onClosed: () => this.#openLinks.delete(made),
      });
      link = made;
      this.#links.set(address, link);
      this.#budgets.set(address, new RetryBudget());
      this.#openLinks.add(link);
    }
    return link;
  }
}

/** What is heard instead of a leader that is gone, or was never told of. */
const LOST_LEADER_REASONS: ReadonlySet<ErrorReason> = new Set<ErrorReason>([
  'LEADER_NOT_AVAILABLE',
  'SERVICE_UNREACHABLE',
  'OUTCOME_UNKNOWN',
]);

function closedError(): PartitaError {
  return new PartitaError('SHUTTING_DOWN', 'closed before the batch was sent');
}

function noRoom(lane: OrderedLane | undefined, bytes: number): PartitaError | undefined {
  if (lane === undefined) return undefined;
  const hasBytes = lane.queuedBytes + bytes <= PARTITION_QUEUE_BYTES_MAX;
  if (hasBytes && lane.count < PARTITION_QUEUE_COUNT_MAX) return undefined;
  const limit = String(hasBytes ? PARTITION_QUEUE_COUNT_MAX : PARTITION_QUEUE_BYTES_MAX);
  const text = 'too much waits for this partition; slow down';
  return new PartitaError('QUEUE_FULL', text, { queue: 'partition', limit }, { retryAfterMs: 100 });
}

function noLeader(job: AppendJob): PartitaError {
  const metadata = { topic: job.topic, partition: String(job.partition) };
  const text = `partition ${job.partition} of "${job.topic}" has no leader at the moment`;
  return new PartitaError('LEADER_NOT_AVAILABLE', text, metadata);
}

function replaced({ address }: LeaderRoute): PartitaError {
  const text = `broker ${address} does not lead any more; what it did with the batch is not known`;
  return new PartitaError('OUTCOME_UNKNOWN', text, { address });
}
