/** The commits of one process that is a member, written down: each partition is an operation of its own. */
import type { PartitaError } from '@partita/domain';
import { GroupServiceService } from '@partita/protocol';
import type { CommitFailure, ConsumeAckResult, OffsetCommit } from '@partita/protocol';
import { fromRpcStatus } from '@partita/rpc';
import { callOwner, OwnerError } from './group-calls.ts';
import type { GroupSite } from './group-site.ts';
import { keyOf } from './history.ts';
import type { CommitEvent } from './history.ts';

/** With these nothing was committed; any other failure leaves it open. */
const REFUSALS: ReadonlySet<string> = new Set([
  'STALE_GENERATION',
  'MEMBER_NOT_FOUND',
  'FENCED_INSTANCE',
  'OFFSET_OUT_OF_RANGE',
  'INVALID_REQUEST',
]);

interface OpenCommit {
  readonly op: number;
  readonly told: Omit<CommitEvent, 'op' | 'type' | 'tMonoMs'>;
  readonly isStale: boolean;
}

type OpenCommits = Map<string, OpenCommit>;

export class MemberCommits {
  readonly #site: GroupSite;
  readonly #process: number;
  /** By number of the ack. */
  readonly #open = new Map<bigint, OpenCommits>();
  #ackId = 0n;

  constructor(site: GroupSite, process: number) {
    this.#site = site;
    this.#process = process;
  }

  /** Notes that these are sent with an ack; answers its number. `isStale`: they should be refused. */
  begin(memberId: string, offsets: readonly OffsetCommit[], isStale = false): bigint {
    this.#ackId += 1n;
    this.#open.set(this.#ackId, this.#invoke(memberId, offsets, isStale));
    return this.#ackId;
  }

  /** Notes commits whose result is never told, as those with a release. */
  tellUnanswered(memberId: string, offsets: readonly OffsetCommit[]): void {
    for (const commit of this.#invoke(memberId, offsets, false).values()) this.#complete(commit, 'info');
  }

  /** The result of an ack: without failures an error is that of all its partitions. */
  onResult({ ackId, error, failures }: ConsumeAckResult): void {
    const commits = this.#open.get(ackId) ?? new Map<string, OpenCommit>();
    this.#open.delete(ackId);
    const whole = error === undefined || failures.length > 0 ? undefined : fromRpcStatus(error);
    this.#conclude(commits, failures, whole);
  }

  /** The stream is gone, and with it the results of what is open. */
  lose(): void {
    for (const commits of this.#open.values()) for (const commit of commits.values()) this.#complete(commit, 'info');
    this.#open.clear();
  }

  /** Commits by a call of its own, as the member of this id and epoch that it was. */
  async commitUnary(memberId: string, memberEpoch: number, offsets: readonly OffsetCommit[]): Promise<void> {
    if (offsets.length === 0) return;
    const { group } = this.#site;
    const commits = this.#invoke(memberId, offsets, true);
    try {
      const request = { group, memberId, memberEpoch, offsets: [...offsets] };
      const { failures } = await callOwner(this.#site, GroupServiceService.commitOffsets, request);
      this.#conclude(commits, failures, undefined);
    } catch (thrown) {
      const last = thrown instanceof OwnerError ? thrown.last : undefined;
      const type = last !== undefined && REFUSALS.has(last.reason) ? 'fail' : 'info';
      for (const commit of commits.values()) this.#complete(commit, type, String(thrown));
    }
  }

  #invoke(memberId: string, offsets: readonly OffsetCommit[], isStale: boolean): OpenCommits {
    const { recorder, group, figures } = this.#site;
    const commits: OpenCommits = new Map();
    for (const { topic, partition, nextOffset, assignmentEpoch } of offsets) {
      const key = keyOf(topic, partition);
      const told = {
        f: 'commit' as const,
        process: this.#process,
        group,
        member: memberId,
        offsets: { [key]: Number(nextOffset) },
        epochs: { [key]: assignmentEpoch },
      };
      commits.set(key, { op: recorder.invoke(told), told, isStale });
      if (isStale) figures.staleCommits += 1;
    }
    return commits;
  }

  #conclude(commits: OpenCommits, failures: readonly CommitFailure[], whole: PartitaError | undefined): void {
    const failed = new Map(failures.map(({ topic, partition, error }) => [keyOf(topic, partition), error]));
    for (const [key, commit] of commits) {
      const status = failed.get(key);
      const error = status === undefined ? whole : fromRpcStatus(status);
      if (error === undefined) this.#complete(commit, 'ok');
      else this.#complete(commit, REFUSALS.has(error.reason) ? 'fail' : 'info', `${error.reason}: ${error.message}`);
    }
  }

  #complete({ op, told, isStale }: OpenCommit, type: 'ok' | 'fail' | 'info', error?: string): void {
    if (isStale && type === 'fail') this.#site.figures.staleCommitsRefused += 1;
    this.#site.recorder.complete(op, type, error === undefined ? told : { ...told, error });
  }
}
