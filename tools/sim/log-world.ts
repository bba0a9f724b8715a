/** Everything that one seed consists of, and what is seen of its disk. */
import { FaultyDisk, SeededRandom } from '@partita/testkit';
import type { DiskCall } from '@partita/testkit';
import { DIRECTORY } from './log-identity.ts';
import { LogModel } from './log-model.ts';
import { drawPlan } from './log-plan.ts';
import type { LogPlan } from './log-plan.ts';
import { SimulatedTime } from './simulated-time.ts';
import type { Mutant } from './mutants.ts';
import { Tally, Trace } from './trace.ts';

/** What the program is doing. */
export type Phase = 'start' | 'run' | 'cut' | 'trim' | 'stop';

/** Makes plans of deletions that the other plans do not depend on. */
const DELETION_SEED = 0x5eed_de1e;
/** The same for followers. */
const FOLLOWER_SEED = 0x5eed_f011;

export class LogWorld {
  readonly plan: LogPlan;
  readonly random: SeededRandom;
  readonly disk: FaultyDisk;
  readonly time: SimulatedTime;
  readonly model = new LogModel();
  readonly trace: Trace;
  readonly tally = new Tally();
  readonly mutant: Mutant | undefined;
  phase: Phase = 'start';
  /** What goes on beside that. */
  compaction: 'none' | 'pass' | 'swap' = 'none';
  /** Calls that failed by themselves, and readings with a wrong bit, in all. */
  errorCount = 0;
  readFlipCount = 0;
  /** A sync of a log file failed in the life that runs or ran last. */
  syncFailed = false;
  /** A sync of a log file failed in this seed. With flush=os a later one may then have told OK for lost pages. */
  syncLied = false;
  /** Since the log was last opened the power was cut. */
  powerCut = false;
  /** Files that were shortened behind the program's back: a power cut may bring one back that was removed. */
  readonly shortened = new WeakSet();
  /** At the last start: base offsets of the segments that were damaged by injection, and the batches hit. */
  readonly damagedAtStart = new Map<bigint, readonly bigint[]>();
  hadLogDamage = false;
  /** A log was suspect by what was known as synced up to there, and no checkpoint was written since. */
  suspectBelow = 0n;
  /** The log that is open can no longer be written; what a cut removed may be missing for its readers. */
  hasFailed = false;

  constructor(seed: number, options: { keepsTrace: boolean; mutant?: Mutant | undefined }) {
    this.random = new SeededRandom(seed);
    this.plan = drawPlan(
      this.random.fork(),
      new SeededRandom(seed ^ DELETION_SEED),
      new SeededRandom(seed ^ FOLLOWER_SEED),
    );
    this.trace = new Trace(options.keepsTrace);
    this.mutant = options.mutant;
    this.time = new SimulatedTime(1_700_000_000_000 + this.random.below(1_000_000));
    this.disk = new FaultyDisk({
      seed: this.random.word(),
      onCall: (call) => {
        this.#onCall(call);
      },
    });
  }

  #onCall({ kind, path, outcome }: DiskCall): void {
    const name = path.startsWith(`${DIRECTORY}/`) ? path.slice(DIRECTORY.length + 1) : path;
    this.trace.note(outcome === 'ok' ? `    ${kind} ${name}` : `    ${kind} ${name}: ${outcome}`);
    if (outcome === 'ok') {
      this.#onDone(kind, name);
      return;
    }
    this.tally.add(`fault: ${outcome} at ${kind}`);
    if (outcome === 'read flip') {
      this.readFlipCount += 1;
      // A start reads once more what is bad, so it stands one such reading, not several.
      if (this.phase === 'start') this.disk.rates.readFlip = 0;
    } else if (outcome === 'POWER_OFF') this.#onPowerOff(kind, name);
    else {
      this.errorCount += 1;
      if (kind === 'datasync' && name.endsWith('.log')) {
        this.syncFailed = true;
        this.syncLied = true;
      }
      if (kind === 'writev' && outcome === 'ENOSPC') this.tally.add('seen: no space in a write');
    }
  }

  #onDone(kind: string, name: string): void {
    const base = /^(\d{20})\.log$/.exec(name)?.[1];
    if (base !== undefined && kind === 'create') this.model.seal(BigInt(base));
    if (this.phase !== 'start') return;
    if (kind === 'unlink' && name.endsWith('.compacted')) this.tally.add('seen: leftovers of a compaction removed');
    if (kind !== 'rename') return;
    if (name.endsWith('.log.compacted')) this.tally.add('seen: swap completed at a start');
    if (name.endsWith('.snapshot.new')) this.tally.add('seen: snapshot made again');
    if (name.endsWith('.idx.new')) this.tally.add('seen: index made again');
  }

  #onPowerOff(kind: string, name: string): void {
    this.tally.add(`crash in ${this.phase}`);
    if (this.compaction !== 'none') this.tally.add(`seen: crash during a ${this.compaction}`);
    if (this.phase === 'trim') this.tally.add('seen: crash during a trim');
    if (this.phase !== 'run') return;
    const step = ROLL_STEPS.find(([, pattern]) => pattern.test(`${kind} ${name}`));
    if (step !== undefined) this.tally.add(`seen: crash in a roll, ${step[0]}`);
  }
}

/** Steps of a roll by the calls that only a roll makes while a log runs. */
export const ROLL_STEPS: readonly (readonly [string, RegExp])[] = [
  ['index synced', /^datasync \d+\.idx$/],
  ['snapshot written', /^(create|writev|datasync) \d+\.snapshot\.new$/],
  ['snapshot named', /^rename \d+\.snapshot\.new$/],
  ['index created', /^create \d+\.idx$/],
  ['log created', /^create \d+\.log$/],
  ['directory synced', /^syncDirectory /],
];
