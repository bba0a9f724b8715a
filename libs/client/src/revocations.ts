/** Giving partitions up: what a handler has is finished first, then onRevoked is heard, then the group gets its answer. */
import type { OffsetCommit } from '@partita/protocol';
import type { CommitSpans } from './commit-spans.ts';
import type { MemberMessage } from './consume-link.ts';
import type { HeldPartition, PartitionName } from './held-partition.ts';
import type { HeldPartitions } from './held-partitions.ts';

export interface RevocationsOptions {
  readonly held: HeldPartitions;
  readonly onRevoked: ((partitions: readonly PartitionName[]) => void | Promise<void>) | undefined;
  /** True = finished records are committed with the answer. */
  readonly isAuto: boolean;
  readonly spans: CommitSpans;
  send(message: MemberMessage, traceparent: string): boolean;
  onError(error: unknown): void;
}

export class Revocations {
  readonly #options: RevocationsOptions;

  constructor(options: RevocationsOptions) {
    this.#options = options;
  }

  /** Answers for every partition that is wanted back and that no handler is busy with. */
  giveUp(): void {
    const { held: all, isAuto } = this.#options;
    const given = all.all().filter((held) => held.state === 'revoking' && !held.busy);
    if (given.length === 0) return;
    for (const held of given) held.state = 'given';
    const news = given.filter((held) => !held.told);
    for (const held of news) held.told = true;
    void this.tell(news).then(() => {
      const still = given.filter((held) => held.state === 'given');
      if (still.length === 0) return;
      const offsets: OffsetCommit[] = isAuto ? still.flatMap((held) => held.commit ?? []) : [];
      const revoked = { partitions: still.map((held) => held.assigned), offsets };
      // It has no answer of its own: the span ends when it is on its way.
      const span = offsets.length === 0 ? undefined : this.#options.spans.begin(offsets.length);
      try {
        this.#options.send({ $case: 'revoked', revoked }, span?.traceparent ?? '');
      } finally {
        span?.end();
      }
    });
  }

  /** What onRevoked throws ends the consumer. */
  async tell(partitions: readonly HeldPartition[]): Promise<void> {
    const { onRevoked } = this.#options;
    if (partitions.length === 0 || onRevoked === undefined) return;
    try {
      await onRevoked(partitions.map(({ topic, partition }) => ({ topic, partition })));
    } catch (error) {
      this.#options.onError(error);
    }
  }
}
