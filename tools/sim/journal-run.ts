/**
 * One seed: a broker's journal through several lives. What the model knows is the order of all changes: after each start
 * the journal must hold exactly what some first part of them gives, which takes in everything that was answered.
 */
import { openJournal } from '@partita/log';
import type { Journal } from '@partita/log';
import { FaultyDisk, SeededRandom } from '@partita/testkit';
import type { DiskCall } from '@partita/testkit';
import { reasonOf } from './excuses.ts';
import { runToResult } from './seed-run.ts';
import type { RunOptions, RunResult } from './seed-run.ts';
import { passTurns, settle } from './settle.ts';
import { Tally, Trace, Violation } from './trace.ts';

const DIRECTORY = '/data';
const START_COUNT_MAX = 6;
const KEYS = ['promised/0', 'promised/1', 'suspect/0', 'tombstone/0', 'a', 'b', 'c', 'd'];

/** What a seed draws before it begins. */
interface JournalPlan {
  readonly bytesMax: number;
  readonly valueBytesMax: number;
  readonly lifeCount: number;
  readonly ioError: number;
  readonly readFlip: number;
  readonly crash: number;
  readonly crashCallMax: number;
  readonly kill: number;
  readonly damage: number;
}

/** One put or delete. */
interface Change {
  readonly values: ReadonlyMap<string, Buffer | undefined>;
  isAnswered: boolean;
  /** How many syncs were done when it was answered: changes of one entry have the same number. */
  entry: number;
}

/** Runs a seed. Never throws for what the product did. */
export async function runJournalSeed(seed: number, options: RunOptions = {}): Promise<RunResult> {
  const run = new JournalRun(seed, options);
  return runToResult(seed, run, () => run.lives());
}

class JournalRun {
  readonly trace: Trace;
  readonly tally = new Tally();
  readonly #random: SeededRandom;
  readonly #plan: JournalPlan;
  readonly #disk: FaultyDisk;
  /** State before `#changes`, and all changes that may have happened since, in their order. */
  #base = new Map<string, Buffer>();
  #changes: Change[] = [];
  #errorCount = 0;
  #readFlipCount = 0;
  #hasDamage = false;
  #syncCount = 0;

  constructor(seed: number, options: RunOptions) {
    this.trace = new Trace(options.keepsTrace ?? false);
    this.#random = new SeededRandom(seed);
    this.#plan = drawJournalPlan(this.#random.fork());
    this.#disk = new FaultyDisk({
      seed: this.#random.word(),
      onCall: (call) => {
        this.#onCall(call);
      },
    });
  }

  async lives(): Promise<void> {
    await this.#disk.start().makeDirectory(DIRECTORY);
    this.#disk.names.sync('/');
    for (let life = 0; life <= this.#plan.lifeCount; life += 1) {
      this.trace.note(`life ${life}`);
      const journal = await this.#open(life === this.#plan.lifeCount);
      if (journal === 'refused') return;
      this.tally.add('lives');
      for (let left = this.#random.between(1, 25); left > 0 && this.#disk.isRunning; left -= 1) {
        this.#change(journal);
        await passTurns(this.#random.below(12));
      }
      if (this.#random.chance(0.3)) await settle(journal.close(), 'the close');
      if (this.#disk.isRunning) this.#endLife();
      await passTurns(200);
      this.#injectDamage();
    }
  }

  /** Starts until it opens; in the end nothing goes wrong any more, and it must. */
  async #open(isLast: boolean): Promise<Journal | 'refused'> {
    for (let count = 0; count <= START_COUNT_MAX; count += 1) {
      this.#setFaults(isLast || count === START_COUNT_MAX);
      const { bytesMax } = this.#plan;
      const [errors, flips] = [this.#errorCount, this.#readFlipCount];
      const disk = this.#disk.start();
      const outcome = await settle(openJournal({ disk, dir: DIRECTORY, bytesMax }), 'the start');
      if ('value' in outcome) {
        this.#checkState(outcome.value);
        return outcome.value;
      }
      const reason = reasonOf(outcome.error);
      this.trace.note(`  not opened: ${reason}`);
      const isFlip = reason === 'CORRUPT_BATCH' && this.#readFlipCount > flips;
      if (!this.#disk.isRunning) this.tally.add('seen: crash during the start');
      else if (reason === 'CORRUPT_BATCH' && this.#hasDamage) {
        this.tally.add('seen: damaged journal refused');
        return 'refused';
      } else if (!isFlip && (!['EIO', 'ENOSPC'].includes(reason) || this.#errorCount === errors)) {
        throw new Violation(`a journal without damage was refused: ${String(outcome.error)}`);
      }
      if (isFlip) this.tally.add('seen: read flip caught');
      if (this.#disk.isRunning) this.#endLife();
      await passTurns(200);
    }
    throw new Violation('the journal does not open, though nothing is wrong');
  }

  #setFaults(isCalm: boolean): void {
    const { ioError, readFlip, crash, crashCallMax } = this.#plan;
    this.#disk.faults.calm();
    this.#disk.rates.turnsMax = this.#random.pick([0, 1, 5]);
    if (isCalm) return;
    Object.assign(this.#disk.rates, { ioError, noSpace: ioError / 2, readFlip });
    if (this.#random.chance(crash)) this.#disk.faults.failAt(this.#random.between(1, crashCallMax), 'power');
  }

  #change(journal: Journal): void {
    const isPut = this.#random.chance(0.8);
    const values = new Map<string, Buffer | undefined>();
    for (let left = this.#random.between(1, 3); left > 0; left -= 1) {
      const value = Buffer.alloc(this.#random.below(this.#plan.valueBytesMax), this.#random.below(256));
      values.set(this.#random.pick(KEYS), isPut ? value : undefined);
    }
    const change: Change = { values, isAnswered: false, entry: 0 };
    const done = isPut ? journal.put(values) : journal.delete(values.keys());
    this.#changes.push(change);
    this.trace.note(`  ${isPut ? 'put' : 'delete'} ${[...values.keys()].join(' ')}`);
    this.tally.add('changes');
    done.then(
      () => {
        change.isAnswered = true;
        change.entry = this.#syncCount;
        this.trace.note('  answered');
        this.tally.add('answered');
      },
      (error: unknown) => {
        this.trace.note(`  failed: ${reasonOf(error)}`);
        // Refused before anything happened, so it must never be found.
        if (reasonOf(error) === 'LIMIT_EXCEEDED') this.#changes = this.#changes.filter((other) => other !== change);
      },
    );
  }

  /** Finds the first part of the changes that gives what the journal holds; goes on from there. */
  #checkState(journal: Journal): void {
    const found = shown(journal.entries());
    const state = new Map(this.#base);
    const answeredCount = this.#changes.findLastIndex(({ isAnswered }) => isAnswered) + 1;
    let matched = shown(state) === found ? 0 : -1;
    for (const [index, { values }] of this.#changes.entries()) {
      for (const [key, value] of values)
        if (value === undefined) state.delete(key);
        else state.set(key, value);
      if (shown(state) === found) matched = index + 1;
    }
    this.trace.note(`  opened with ${matched} of ${this.#changes.length} changes`);
    if (matched < 0) throw new Violation('wrong state: no first part of the changes gives it');
    const isExcused = this.#hasDamage && matched >= answeredCount - this.#lastEntryCount(answeredCount);
    if (matched < answeredCount && !isExcused) throw new Violation(`lost: ${answeredCount} answered, ${matched} kept`);
    if (matched < answeredCount) this.tally.add('seen: damaged last entry taken for torn');
    if (matched < this.#changes.length) this.tally.add('seen: unanswered change gone');
    this.#base = new Map([...journal.entries()].map(([key, value]) => [key, Buffer.from(value)]));
    this.#changes = [];
    this.#hasDamage = false;
  }

  /** Changes of the last entry that was answered: damage to it looks like a torn write that never was. */
  #lastEntryCount(answeredCount: number): number {
    const last = this.#changes[answeredCount - 1]?.entry;
    return this.#changes.filter(({ isAnswered, entry }) => isAnswered && entry === last).length;
  }

  #endLife(): void {
    const isKill = this.#random.chance(this.#plan.kill);
    this.trace.note(isKill ? '  killed' : '  power cut');
    this.tally.add(isKill ? 'kills' : 'power cuts');
    if (isKill) this.#disk.kill();
    else this.#disk.cutPower();
  }

  #injectDamage(): void {
    if (!this.#random.chance(this.#plan.damage)) return;
    const path = this.#random.pick(['/data/meta.journal.0', '/data/meta.journal.1']);
    const position = this.#disk.flip(path);
    if (position === undefined) return;
    this.#hasDamage = true;
    this.trace.note(`  flip ${path} at ${position}`);
    this.tally.add('damage: flip journal');
  }

  #onCall({ kind, path, outcome }: DiskCall): void {
    this.trace.note(`    ${kind} ${path}: ${outcome}`);
    if (outcome === 'ok') {
      if (kind === 'datasync') this.#syncCount += 1;
      return;
    }
    this.tally.add(`fault: ${outcome} at ${kind}`);
    if (outcome === 'read flip') this.#readFlipCount += 1;
    else if (outcome !== 'POWER_OFF') this.#errorCount += 1;
  }
}

function drawJournalPlan(random: SeededRandom): JournalPlan {
  return {
    bytesMax: random.pick([1024, 2048, 8192, 32_768]),
    valueBytesMax: random.pick([8, 60, 200]),
    lifeCount: random.between(2, 6),
    ioError: random.pick([0, 0, 0.01, 0.05]),
    readFlip: random.pick([0, 0, 0.05]),
    crash: random.pick([0, 0.5, 1]),
    crashCallMax: random.pick([8, 30, 100]),
    kill: random.pick([0, 0.3]),
    damage: random.pick([0, 0, 0.5]),
  };
}

/** The same text for the same state. */
function shown(entries: Iterable<[string, Uint8Array]>): string {
  const lines = [...entries].map(([key, value]) => `${key}=${Buffer.from(value).toString('hex')}`);
  return lines.sort().join('\n');
}
