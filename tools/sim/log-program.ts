/** A program that runs with its log open: the steps of one life, and how it ends. */
import type { PartitaError } from '@partita/domain';
import { writeCheckpoint, writeCleanShutdown } from '@partita/log';
import type { PartitionLog } from '@partita/log';
import { checkState } from './log-checks.ts';
import { isExcused, reasonOf } from './excuses.ts';
import type { Excuses } from './excuses.ts';
import { DATA, PARTITION, TOPIC_ID } from './log-identity.ts';
import { most } from './log-model.ts';
import { LogAppender } from './log-appender.ts';
import { LogCompactor } from './log-compactor.ts';
import { restartChecked } from './log-restarter.ts';
import { trimChecked } from './log-trim.ts';
import { drawStep } from './log-plan.ts';
import type { Step } from './log-plan.ts';
import { findTimeChecked, readAllChecked, readChecked } from './log-readings.ts';
import type { OpenedLog } from './log-start.ts';
import { KEY } from './stored-facts.ts';
import type { StoredFacts } from './stored-facts.ts';
import type { LogWorld } from './log-world.ts';
import { passTurns, settle } from './settle.ts';
import { basesOf } from './stored-files.ts';
import { Violation } from './trace.ts';

export class LogProgram {
  readonly #world: LogWorld;
  readonly #facts: StoredFacts;
  readonly #opened: OpenedLog;
  readonly #excuses: Excuses;
  readonly #appender: LogAppender;
  readonly #compactor: LogCompactor;
  /** Readings and compactions under way. */
  readonly #readings = new Set<Promise<void>>();
  #violation: Violation | undefined;
  #failure: PartitaError | undefined;

  constructor(world: LogWorld, facts: StoredFacts, opened: OpenedLog, excuses: Excuses) {
    this.#world = world;
    this.#facts = facts;
    this.#opened = opened;
    this.#excuses = excuses;
    this.#appender = new LogAppender(world, opened, excuses, () => this.#works());
    this.#compactor = new LogCompactor(world, opened, (error, what) => {
      this.#excuse(error, what);
    });
  }

  /** Called by the log when it can no longer be written. */
  onFailed(error: PartitaError): void {
    this.#world.trace.note(`  failed: ${reasonOf(error.cause ?? error)}`);
    if (this.#failure !== undefined) this.#violation = new Violation('the log failed twice');
    this.#failure = error;
    this.#world.hasFailed = true;
    const isDamage = this.#world.hadLogDamage && reasonOf(error.cause) === 'CORRUPT_BATCH';
    if (!isDamage && !isExcused(this.#world, error, this.#excuses)) {
      this.#violation = new Violation(`the log failed without a fault: ${String(error.cause)}`);
    }
  }

  get #log(): PartitionLog {
    return this.#opened.log;
  }

  /** True while steps make sense: the power is on and the log works. */
  #works(): boolean {
    return this.#world.disk.isRunning && this.#failure === undefined;
  }

  /** Runs the steps of the life; then reads everything, sometimes. */
  async run(stepCount: number): Promise<void> {
    const { plan, random, trace, tally, disk } = this.#world;
    this.#world.phase = 'run';
    for (let number = 0; number < stepCount && this.#works(); number += 1) {
      const step = drawStep(plan, random);
      trace.note(`  ${step}`);
      tally.add('steps');
      await this.#step(step);
      if (this.#violation !== undefined) throw this.#violation;
      if (this.#works()) checkState(this.#log, this.#world.model);
    }
    if (disk.isRunning && random.chance(0.3)) await readAllChecked(this.#world, this.#log);
  }

  /** The last life: appends, waits, reads everything, with no fault any more. */
  async finish(): Promise<void> {
    const { model } = this.#world;
    await this.#appender.refresh();
    for (let left = 3; left > 0; left -= 1) this.#appender.append(left);
    await this.#appender.synced();
    if (this.#log.syncedEnd !== model.end) throw new Violation('nothing can be appended, though nothing is wrong');
    await readAllChecked(this.#world, this.#log);
  }

  /** Stops in order, as a broker does. True when the log was closed cleanly and the marker says so. */
  async stop(): Promise<void> {
    const { model, disk, trace, tally, plan } = this.#world;
    this.#world.phase = 'stop';
    this.#compactor.cancel();
    await this.#endReadings();
    const outcome = await settle(this.#log.close({ clean: true }), 'the close');
    const isClean = 'value' in outcome && outcome.value;
    if ('error' in outcome) this.#excuse(outcome.error, 'close');
    trace.note(`  closed${isClean ? '' : ', not cleanly'}`);
    if (!isClean || !disk.isRunning) return;
    if (model.ackedEnd !== model.end) throw new Violation(`closed cleanly at ${model.ackedEnd} of ${model.end}`);
    if (plan.flush === 'os') model.sealedEnd = model.end;
    this.#facts.marker = { end: model.end, isCertain: false };
    const logEnds = new Map([[KEY, model.end]]);
    const written = await settle(
      writeCleanShutdown(this.#disk(), DATA, { incarnation: 1, bootId: undefined, logEnds }),
      'the marker',
    );
    if ('error' in written) {
      this.#excuse(written.error, 'marker');
      return;
    }
    this.#facts.marker = { end: model.end, isCertain: true };
    tally.add('seen: clean stop');
  }

  /** Ends without order: whatever is under way stays so. */
  async abandon(): Promise<void> {
    this.#world.phase = 'stop';
    if (this.#failure !== undefined && this.#world.disk.isRunning) {
      const outcome = await settle(this.#log.close({ clean: false }), 'the close of a failed log');
      if ('error' in outcome) this.#excuse(outcome.error, 'close');
    }
    if (this.#world.random.chance(0.5)) await this.#endReadings();
  }

  /** Waits for what the dead program still does: all of it fails by now. */
  async endReadings(): Promise<void> {
    await this.#endReadings();
    this.#opened.device.space.close();
  }

  async #step(step: Step): Promise<void> {
    const { random, model, time } = this.#world;
    if (step === 'append') for (let left = random.between(1, 4); left > 0; left -= 1) this.#appender.append(left);
    if (step === 'append and wait') {
      this.#appender.append(0);
      await this.#appender.synced();
    }
    if (step === 'wait') await passTurns(random.below(60));
    if (step === 'read') this.#reading(readChecked(this.#world, this.#log));
    if (step === 'find a time') this.#reading(findTimeChecked(this.#world, this.#log));
    if (step === 'new epoch') model.epoch += random.between(1, 3);
    if (step === 'raise the high mark') this.#raiseHighMark();
    if (step === 'checkpoint') await this.#checkpoint(this.#log.syncedEnd);
    if (step === 'cut') await this.#cut();
    if (step === 'disk full') await this.#appender.fillDisk();
    if (step === 'time passes') time.advance(random.below(2500));
    await this.#delete(step);
  }

  async #delete(step: Step): Promise<void> {
    if (step === 'trim') await this.#trim();
    if (step === 'roll') await this.#roll();
    if (step === 'compact') await this.#compact();
    if (step === 'restart') await this.#restart();
  }

  #raiseHighMark(): void {
    const { model, random } = this.#world;
    const boundaries = model.batches.filter(({ next }) => next <= model.ackedEnd && next > model.highMark);
    if (boundaries.length > 0) model.highMark = random.pick(boundaries).next;
  }

  async #trim(): Promise<void> {
    await trimChecked(this.#world, this.#facts, this.#opened, (error, what) => {
      this.#excuse(error, what);
    });
  }

  async #restart(): Promise<void> {
    await restartChecked(this.#world, this.#facts, this.#opened, (error, what) => {
      this.#excuse(error, what);
    });
  }

  async #roll(): Promise<void> {
    const outcome = await settle(this.#log.roll(), 'the roll');
    if ('error' in outcome) this.#excuse(outcome.error, 'roll');
    else this.#world.tally.add('rolls asked');
  }

  /** Goes on beside the steps that follow, or is waited for. */
  async #compact(): Promise<void> {
    const { model, random } = this.#world;
    if (this.#compactor.isBusy) return;
    if (random.chance(0.5)) await this.#roll();
    if (random.chance(0.5)) model.highMark = most(model.highMark, model.ackedEnd);
    else this.#raiseHighMark();
    const pass = this.#compactor.compact();
    this.#reading(pass);
    if (random.chance(0.5)) await settle(pass, 'the compaction');
  }

  /** Asked by the log before it cuts: from now on no start may know more than what will be left. */
  async onCut(endOffset: bigint): Promise<void> {
    if (this.#world.mutant?.cutsBeforeCheckpoint === true) return;
    const error = await this.#checkpoint(endOffset);
    if (error !== undefined) throw new Error('the checkpoint was not written', { cause: error });
  }

  /** Answers the error that kept it from being written. */
  async #checkpoint(syncedEnd: bigint): Promise<unknown> {
    const { model } = this.#world;
    this.#facts.checkpoints.push(syncedEnd);
    const line = { topicId: TOPIC_ID, partition: PARTITION, highWatermark: model.highMark, syncedEnd, logStart: 0n };
    const outcome = await settle(writeCheckpoint(this.#disk(), DATA, [line]), 'the checkpoint');
    if ('error' in outcome) this.#excuse(outcome.error, 'checkpoint');
    else {
      this.#facts.checkpoints = [syncedEnd];
      this.#world.suspectBelow = 0n;
    }
    return 'error' in outcome ? outcome.error : undefined;
  }

  /** As a follower. */
  async #cut(): Promise<void> {
    const { model, random, trace, tally } = this.#world;
    const to = random.pick([
      model.end,
      ...model.batches.map(({ base }) => base).filter((base) => base >= model.highMark),
      // Within a hole, when one follows.
      ...model.batches.map(({ next }) => next).filter((next) => next >= model.highMark && next < model.end),
    ]);
    trace.note(`    cut at ${to} of ${model.end}`);
    const segmentCount = basesOf(this.#world.disk, 'log').length;
    this.#world.phase = 'cut';
    model.beginCut(to);
    const outcome = await settle(this.#log.truncate(to), 'the cut');
    this.#world.phase = 'run';
    if ('error' in outcome) {
      if (reasonOf(outcome.error) !== 'STORAGE_FULL') this.#excuse(outcome.error, 'cut');
      if (!this.#works()) return;
      // What was queued is dropped all the same.
      model.cut(this.#log.logEnd);
      model.cuttingAt = undefined;
      model.ackedEnd = this.#log.syncedEnd;
      return;
    }
    if (model.batches.some(({ base }) => base > to) && !model.batches.some(({ base }) => base === to))
      tally.add('seen: cut in a hole');
    model.cut(to);
    model.ackedEnd = model.end;
    model.cuttingAt = undefined;
    tally.add('cuts');
    if (basesOf(this.#world.disk, 'log').length < segmentCount) tally.add('seen: cut across segments');
  }

  /** The disk for the files beside the log. */
  #disk(): OpenedLog['device']['disk'] {
    return this.#opened.device.disk;
  }

  #excuse(error: unknown, what: string): void {
    this.#world.trace.note(`  ${what}: ${reasonOf(error)}`);
    if (this.#failure !== undefined || isExcused(this.#world, error, this.#excuses)) return;
    throw new Violation(`${what} failed without a fault: ${String(error)}`);
  }

  #reading(reading: Promise<void>): void {
    const guarded = reading.catch((error: unknown) => {
      this.#violation ??= error instanceof Violation ? error : new Violation(String(error));
    });
    this.#readings.add(guarded);
    void guarded.then(() => this.#readings.delete(guarded));
  }

  async #endReadings(): Promise<void> {
    await settle(Promise.all(this.#readings), 'a reading or a compaction');
    if (this.#violation !== undefined) throw this.#violation;
  }
}
