/** The part of a simulated program that compacts: one pass at a time, beside everything else. */
import { compactSegments, planCompaction } from '@partita/log';
import type { CompactionHooks, CompactionPlan } from '@partita/log';
import { reasonOf } from './excuses.ts';
import { DELETION_CALL_MAX } from './log-trim.ts';
import type { Excuse } from './log-trim.ts';
import type { OpenedLog } from './log-start.ts';
import type { LogWorld } from './log-world.ts';

/** Ends a pass on purpose. */
class Cancelled extends Error {
  override readonly name = 'Cancelled';
}

export class LogCompactor {
  isBusy = false;
  readonly #world: LogWorld;
  readonly #opened: OpenedLog;
  readonly #excuse: Excuse;
  #isCancelled = false;

  constructor(world: LogWorld, opened: OpenedLog, excuse: Excuse) {
    this.#world = world;
    this.#opened = opened;
    this.#excuse = excuse;
  }

  /** Ends the pass that is under way where it next waits. */
  cancel(): void {
    this.#isCancelled = true;
  }

  /** Plans a pass below the high mark, runs it, puts it in place. */
  async compact(): Promise<void> {
    const { model, random, plan, time } = this.#world;
    this.isBusy = true;
    const before = model.logStart;
    const { readFlipCount } = this.#world;
    try {
      const rules = {
        nowMs: time.wallMs(),
        highWatermark: model.highMark,
        lagMs: random.pick([0, 0, 0, 1000]),
        tombstoneDelayMs: plan.tombstoneDelayMs,
        bytesPerSecondMax: undefined,
      };
      const pass = await planCompaction(this.#opened.log, rules);
      if (pass === undefined) return;
      model.compaction.checkPlan(pass, rules.nowMs, plan.tombstoneDelayMs);
      await this.#run(pass);
    } catch (error) {
      // A trim removed what the pass was reading.
      const isTrimmed = model.logStart > before && reasonOf(error) === 'ENOENT';
      // The state of the last pass was read wrongly: the next pass reads it anew.
      const isFlipped = this.#world.readFlipCount > readFlipCount && reasonOf(error) === 'STORAGE_FAILED';
      if (isFlipped || isTrimmed || error instanceof Cancelled || this.#isStopping(error))
        this.#world.tally.add('passes ended early');
      else this.#excuse(error, 'compaction');
    } finally {
      this.isBusy = false;
      this.#world.compaction = 'none';
    }
  }

  async #run(pass: CompactionPlan): Promise<void> {
    const { model, tally, time, trace, plan } = this.#world;
    const end = pass.segments.at(-1)?.endOffset ?? 0n;
    trace.note(`    compact ${pass.segments.length} segments below ${end}, clean to ${pass.cleanedTo}`);
    this.#world.compaction = 'pass';
    this.#mayCrash();
    const result = await compactSegments(this.#opened.device.disk, pass, this.#hooks());
    trace.note(
      `    compacted: ${result.groups.length} groups, ${result.recordsAfter} of ${result.recordsBefore} records`,
    );
    this.#world.compaction = 'swap';
    this.#mayCrash();
    model.compaction.begin(pass, result.cleanedTo, time.wallMs());
    const adopted = { plan: pass, result, tombstoneDelayMs: plan.tombstoneDelayMs, clockIsTrusted: true };
    if (!(await this.#opened.log.adopt(adopted))) {
      tally.add('seen: retention was faster');
      return;
    }
    trace.note('    swapped in');
    model.compaction.end(result.cleanedTo);
    tally.add('compactions');
    tally.add('records compacted away', result.recordsBefore - result.recordsAfter);
    tally.add('tombstones removed', result.removedTombstones);
  }

  #hooks(): CompactionHooks {
    const { random } = this.#world;
    let left = random.chance(0.1) ? random.below(30) : Infinity;
    return {
      monotonicMs: () => 0,
      wait: async () => {
        left -= 1;
        if (this.#isCancelled || left < 0) throw new Cancelled();
        await Promise.resolve();
      },
      hashSeed: random.word(),
    };
  }

  #mayCrash(): void {
    const { random, plan, disk } = this.#world;
    if (random.chance(plan.deletionCrash)) disk.faults.failAt(random.between(1, DELETION_CALL_MAX), 'power');
  }

  #isStopping(error: unknown): boolean {
    return this.#world.phase === 'stop' && reasonOf(error) === 'SHUTTING_DOWN';
  }
}
