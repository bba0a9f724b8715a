/**
 * When each replica last had everything that its leader had, as far as reports tell. A replica under load is always some
 * records behind the leader's newest report; it is level as of the time of the last leader's end that it has reached.
 */
import { partitionKey } from '@partita/domain';
import type { ClusterState } from '../cluster-state.ts';
import type { ReplicaReport } from '../inventory.ts';

interface Progress {
  /** When it was last known to be level; undefined = never seen so. */
  levelAtMs: number | undefined;
  /** The leader's end at its last report, and when that was; undefined before the first. */
  leaderEnd: bigint;
  reportedAtMs: number | undefined;
}

export class ReplicaProgress {
  /** By topic id, then by `<broker>/<partition>`: forgotten with the topic. */
  readonly #progress = new Map<string, Map<string, Progress>>();
  /** The leader's end as last reported, by partitionKey within the topic. */
  readonly #leaderEnds = new Map<string, Map<string, bigint>>();

  /** A broker's reports, once the state has taken them. `nowMs` is monotonic. */
  note(state: ClusterState, brokerId: number, reports: readonly ReplicaReport[], nowMs: number): void {
    for (const report of reports) {
      const leader = state.partition(report.topicId, report.partition)?.leader;
      if (leader === undefined) continue;
      if (leader === brokerId) this.#leaderMoved(state, report, nowMs);
      else this.#followerMoved(brokerId, report, nowMs);
    }
  }

  /** Milliseconds since it last had everything; 0 = it has, undefined = it was never seen to. */
  behindMs(brokerId: number, report: ReplicaReport, nowMs: number): number | undefined {
    if (report.logEndOffset >= this.#leaderEnd(report)) return 0;
    const levelAtMs = this.#progress.get(report.topicId)?.get(`${brokerId}/${report.partition}`)?.levelAtMs;
    return levelAtMs === undefined ? undefined : Math.max(0, nowMs - levelAtMs);
  }

  forget(topicId: string): void {
    this.#progress.delete(topicId);
    this.#leaderEnds.delete(topicId);
  }

  /** Who had everything until now had it until now. */
  #leaderMoved(state: ClusterState, report: ReplicaReport, nowMs: number): void {
    const key = partitionKey(report);
    const before = this.#leaderEnds.get(report.topicId)?.get(key);
    if (before !== undefined) this.#markLevel(state, report, before, nowMs);
    const ends = this.#leaderEnds.get(report.topicId) ?? new Map<string, bigint>();
    this.#leaderEnds.set(report.topicId, ends.set(key, report.logEndOffset));
  }

  #markLevel(state: ClusterState, report: ReplicaReport, leaderEnd: bigint, nowMs: number): void {
    const key = partitionKey(report);
    for (const { facts, replicas } of state.brokers()) {
      const end = replicas.get(key)?.logEndOffset;
      if (end !== undefined && end >= leaderEnd) this.#of(facts.brokerId, report).levelAtMs = nowMs;
    }
  }

  #followerMoved(brokerId: number, report: ReplicaReport, nowMs: number): void {
    const progress = this.#of(brokerId, report);
    const leaderEnd = this.#leaderEnd(report);
    if (report.logEndOffset >= leaderEnd) progress.levelAtMs = nowMs;
    else if (progress.reportedAtMs !== undefined && report.logEndOffset >= progress.leaderEnd)
      progress.levelAtMs = Math.max(progress.levelAtMs ?? 0, progress.reportedAtMs);
    progress.leaderEnd = leaderEnd;
    progress.reportedAtMs = nowMs;
  }

  #leaderEnd(report: ReplicaReport): bigint {
    return this.#leaderEnds.get(report.topicId)?.get(partitionKey(report)) ?? 0n;
  }

  #of(brokerId: number, { topicId, partition }: ReplicaReport): Progress {
    const ofTopic = this.#progress.get(topicId) ?? new Map<string, Progress>();
    this.#progress.set(topicId, ofTopic);
    const key = `${brokerId}/${partition}`;
    const known = ofTopic.get(key) ?? { levelAtMs: undefined, leaderEnd: 0n, reportedAtMs: undefined };
    ofTopic.set(key, known);
    return known;
  }
}
