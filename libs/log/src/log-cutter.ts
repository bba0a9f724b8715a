/**
 * Takes durable batches away from an open log, on purpose: its end, or all of it. What waits to be written is settled
 * first; then no start may be told of more than will be left; then the files change. While it works nothing is appended
 * and nobody reads.
 */
import { baseOffsetAt } from '@partita/batch';
import { invariant } from '@partita/domain';
import { NEVER_COMPACTED } from './compaction/compaction-state.ts';
import type { CompactionState } from './compaction/compaction-state.ts';
import { NotRestarted, restartLog } from './log-restart.ts';
import { cutLog, noteCut, planCut } from './log-truncation.ts';
import type { LogWriter } from './log-writer.ts';
import { expectGaps } from './recovery.ts';
import type { Segment, SegmentHome } from './segment.ts';
import type { Snapshot } from './snapshot.ts';

/** See PartitionLogOptions. */
export type OnCut = ((endOffset: bigint) => Promise<void>) | undefined;

export class LogCutter {
  /** Cuts and restarts so far: a compaction that was planned before one is of other batches. */
  cutCount = 0;
  readonly #home: SegmentHome;
  /** Those of the log. */
  readonly #segments: Segment[];
  readonly #writer: LogWriter;
  readonly #onCut: OnCut;

  constructor(home: SegmentHome, segments: Segment[], writer: LogWriter, onCut: OnCut) {
    this.#home = home;
    this.#segments = segments;
    this.#writer = writer;
    this.#onCut = onCut;
  }

  /**
   * Cuts everything from the offset on. `onDropped` is called when the queue has lost what lies there. Returns the state
   * of the compaction of what is left.
   */
  async cutAt(toOffset: bigint, compaction: CompactionState, onDropped: () => void): Promise<CompactionState> {
    const { queue } = this.#writer;
    await this.#settle(toOffset, onDropped);
    const waiting = queue.at(0);
    if (waiting !== undefined) this.#writer.checkAccepts(waiting.length);
    invariant(waiting === undefined, 'the batches below a cut are written before it');
    if (toOffset >= this.#end && !this.#writer.hasRemains) return compaction;
    const plan = await this.#orFail(() => planCut(this.#segments, toOffset));
    await this.#lowerKnown(plan.endOffset);
    return this.#orFail(async () => {
      this.#writer.state = await cutLog(this.#home, this.#segments, plan);
      invariant(this.#end === plan.endOffset, `a log that was cut at ${plan.endOffset} ends at ${this.#end}`);
      return noteCut(this.#home, this.#writer.active, compaction);
    });
  }

  /** Drops the log and begins an empty one with the state of the snapshot. */
  async restart(snapshot: Snapshot, onDropped: () => void): Promise<void> {
    await this.#settle(0n, onDropped);
    this.#writer.checkAccepts(0);
    await this.#lowerKnown(snapshot.baseOffset);
    this.#writer.state = await this.#orFail(() => restartLog(this.#home, this.#segments, snapshot));
    expectGaps(this.#home, this.#writer.active, NEVER_COMPACTED);
  }

  get #end(): bigint {
    return this.#writer.active.endOffset;
  }

  /** Drops what is queued from the offset on, writes the rest, and waits until nothing works on the files. */
  async #settle(fromOffset: bigint, onDropped: () => void): Promise<void> {
    const { queue, holes } = this.#writer;
    await this.#writer.idle(() => {
      queue.dropFrom((batch) => baseOffsetAt(batch, 0) >= fromOffset);
      holes.dropFrom(fromOffset);
      onDropped();
    });
    await this.#writer.settleBehind();
    this.#writer.checkWorks();
  }

  /** Makes sure that no start will miss what is about to go. */
  async #lowerKnown(end: bigint): Promise<void> {
    if (end < this.#end) {
      invariant(this.#onCut !== undefined, 'whoever cuts a log lowers what is known of it');
      await this.#onCut(end);
    }
    this.cutCount += 1;
  }

  /** A change of files that fails half-way is completed or undone by the next start only. */
  async #orFail<Result>(change: () => Promise<Result>): Promise<Result> {
    try {
      return await change();
    } catch (error) {
      if (!(error instanceof NotRestarted)) this.#writer.fail(error);
      throw error;
    }
  }
}
