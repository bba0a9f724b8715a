/**
 * A scripted life of a log in which exactly one thing goes wrong, at the n-th call to the disk: appends over three
 * segments, readings, a cut or a trim or a compaction, a stop, another start. Run once for every n, so that no place where a call may fail is left
 * to chance.
 */
import { createLogDevice, openPartitionLog } from '@partita/log';
import type { LogDevice, PartitionLog } from '@partita/log';
import { FaultyDisk } from '@partita/testkit';
import type { DiskCall, DiskErrorCode } from '@partita/testkit';
import { compactScripted, scriptedRecord, trimScripted } from './every-call-deletion.ts';
import type { Deletion } from './every-call-deletion.ts';
import { reasonOf } from './excuses.ts';
import { checkSlice, checkState } from './log-checks.ts';
import { CLUSTER_ID, DATA, DIRECTORY, makeBatch, PARTITION, TOPIC_ID } from './log-identity.ts';
import { LogModel } from './log-model.ts';
import { readStart } from './stored-facts.ts';
import type { StoredFacts } from './stored-facts.ts';
import { comesTrue, passTurns, settle } from './settle.ts';
import { SimulatedTime } from './simulated-time.ts';
import { Violation } from './trace.ts';

const SEGMENT_BYTES_MAX = 4000;
/** Of each of two records. */
const VALUE_BYTES = 350;
const STILL_TURNS = 2000;
/** More than a look at the free space waits. */
const POLL_MS = 1001;

/** What the fault met; undefined when the script is over before the n-th call. */
export type Met = DiskCall | undefined;

/** Runs the script with the fault at the n-th call. Throws a Violation when a promise is broken. */
export async function runWithFaultAt(
  call: number,
  fault: DiskErrorCode | 'power',
  seed: number,
  deletion: Deletion = 'cut',
): Promise<Met> {
  const script = new Script(seed, deletion);
  script.failAt(call, fault);
  await script.run();
  return script.met;
}

/** Number of the first call of the first deletion: those before are the same in all scripts. */
export async function firstCallOf(deletion: Deletion, seed: number): Promise<number> {
  const script = new Script(seed, deletion);
  await script.run();
  return (script.callsBefore ?? 0) + 1;
}

class Script {
  met: Met;
  /** Calls before the first deletion. */
  callsBefore: number | undefined;
  #callCount = 0;
  readonly #disk: FaultyDisk;
  readonly #time = new SimulatedTime(1_700_000_000_000);
  readonly #model = new LogModel();
  #hasFailed = false;
  #recordNumber = 0;
  #device: LogDevice | undefined;
  readonly #deletion: Deletion;
  readonly #facts: StoredFacts = { marker: undefined, checkpoints: [undefined], starts: [0n] };

  constructor(seed: number, deletion: Deletion) {
    this.#deletion = deletion;
    this.#disk = new FaultyDisk({
      seed,
      onCall: (made) => {
        this.#callCount += 1;
        if (made.outcome !== 'ok') this.met = made;
      },
    });
  }

  failAt(call: number, fault: DiskErrorCode | 'power'): void {
    this.#disk.faults.failAt(call, fault);
  }

  async run(): Promise<void> {
    await this.#disk.start().makeDirectory(DATA);
    this.#disk.names.sync('/');
    for (let life = 0; life < 2; life += 1) {
      const log = await this.#open();
      for (let count = 0; count < 12; count += 1) await this.#append(log);
      await this.#readAll(log);
      await this.#delete(log);
      await this.#append(log);
      await this.#readAll(log);
      if (this.#disk.isRunning) await settle(log.close({ clean: true }), 'the close');
      // Whatever the fault was, what was acknowledged must also stand a power cut.
      this.#disk.cutPower();
      await passTurns(200);
    }
    let log = await this.#open();
    await this.#append(log);
    if (this.#hasFailed || !this.#disk.isRunning) {
      log = await this.#open();
      await this.#append(log);
    }
    if (this.#model.ackedEnd !== this.#model.end) throw new Violation('nothing can be appended at the end');
    await this.#readAll(log);
  }

  /** Opens the log, at the second attempt at the latest. */
  async #open(): Promise<PartitionLog> {
    for (let attempt = 0; ; attempt += 1) {
      this.#hasFailed = false;
      const outcome = await settle(this.#tryOpen(), 'the start');
      if ('value' in outcome) {
        this.#checkOpened(outcome.value);
        return outcome.value;
      }
      if (this.met === undefined || attempt > 0) throw new Violation(`not opened: ${String(outcome.error)}`);
      this.#disk.kill();
      await passTurns(200);
    }
  }

  async #tryOpen(): Promise<PartitionLog> {
    const disk = this.#disk.start();
    const logStart = await readStart(disk, this.#facts);
    this.#device = await createLogDevice({ disk, directory: DATA, clock: this.#time, timers: this.#time });
    return openPartitionLog({
      device: this.#device,
      dir: DIRECTORY,
      clusterId: CLUSTER_ID,
      topicId: TOPIC_ID,
      partition: PARTITION,
      settings: { segmentBytesMax: SEGMENT_BYTES_MAX, segmentAgeMsMax: Infinity, flush: 'fsync' },
      cleanShutdown: false,
      knownSynced: this.#model.ackedEnd,
      logStart,
      onSynced: (end) => {
        this.#model.acknowledge(end);
      },
      onCut: () => Promise.resolve(),
      onFailed: () => {
        this.#hasFailed = true;
      },
    });
  }

  #checkOpened(log: PartitionLog): void {
    if (log.suspect !== undefined) throw new Violation(`suspect: ${log.suspect}`);
    if (log.logEnd < this.#model.ackedEnd)
      throw new Violation(`lost: ends at ${log.logEnd}, not ${this.#model.ackedEnd}`);
    if (!this.#model.isBoundary(log.logEnd)) throw new Violation(`wrong offset: the log ends at ${log.logEnd}`);
    this.#model.restart(log.logEnd);
    this.#model.logStart = this.#facts.starts[0] ?? 0n;
    this.#model.compaction.restart(log.compaction.cleanedTo, false);
    checkState(log, this.#model);
  }

  async #append(log: PartitionLog): Promise<void> {
    if (!this.#disk.isRunning || this.#hasFailed) return;
    const batch = makeBatch({
      base: log.logEnd,
      epoch: 1 + Math.floor(this.#model.batches.length / 5),
      appendTimeMs: BigInt(this.#time.wallMs()),
      timestampMs: BigInt(this.#time.wallMs()),
      recordCount: 2,
      records: this.#deletion === 'compaction' ? [0, 1].map((part) => scriptedRecord(this.#recordNumber + part)) : [],
      value: Buffer.alloc(VALUE_BYTES, this.#model.batches.length),
    });
    this.#recordNumber += 2;
    await this.#push(log, batch.bytes);
    this.#model.batches.push(batch);
    const isDone = (): boolean => !this.#disk.isRunning || this.#hasFailed || log.syncedEnd === log.logEnd;
    if (await comesTrue(isDone, STILL_TURNS)) return;
    if (this.met?.outcome !== 'ENOSPC') throw new Violation('the log waits for nothing');
    this.#time.advance(POLL_MS);
    if (!(await comesTrue(isDone, STILL_TURNS)))
      throw new Violation('the log does not go on when there is space again');
  }

  /** Appends; after a roll without space not before the disk was looked at. */
  async #push(log: PartitionLog, bytes: Buffer): Promise<void> {
    try {
      log.append(bytes);
    } catch (error) {
      if (reasonOf(error) !== 'STORAGE_FULL' || this.met?.outcome !== 'ENOSPC') throw error;
      this.#time.advance(POLL_MS);
      await passTurns(STILL_TURNS);
      log.append(bytes);
    }
  }

  async #readAll(log: PartitionLog): Promise<void> {
    for (let from = log.logStart; from < log.syncedEnd && this.#disk.isRunning;) {
      const start = {
        from,
        end: log.syncedEnd,
        maxBytes: 2000,
        cutCount: this.#model.cutCount,
        syncedEnd: log.syncedEnd,
        cleanedTo: this.#model.compaction.cleanedTo,
      };
      const before = this.met;
      const outcome = await settle(log.read(from, start.end, start.maxBytes), 'a reading');
      if ('value' in outcome) {
        checkSlice(this.#model, outcome.value, start);
        if (outcome.value.nextOffset === from) return;
        from = outcome.value.nextOffset;
        // The files of a swap that failed are neither the old nor the new ones: only a start reads them.
      } else if (this.#hasFailed) return;
      else if (before !== undefined || this.met === undefined) {
        throw new Violation(`a reading failed: ${reasonOf(outcome.error)}`);
      }
    }
  }

  async #delete(log: PartitionLog): Promise<void> {
    this.callsBefore ??= this.#callCount;
    if (this.#deletion === 'cut') await this.#cut(log);
    else if (this.#disk.isRunning && !this.#hasFailed && this.#device !== undefined) {
      const { disk } = this.#device;
      this.#time.advance(POLL_MS);
      const work =
        this.#deletion === 'trim'
          ? trimScripted(log, disk, this.#model, this.#facts)
          : compactScripted(log, disk, this.#model, this.#time.wallMs());
      const outcome = await settle(work, `the ${this.#deletion}`);
      if ('error' in outcome && this.met === undefined)
        throw new Violation(`the ${this.#deletion} failed: ${String(outcome.error)}`);
    }
  }

  async #cut(log: PartitionLog): Promise<void> {
    const at = this.#model.batches[this.#model.batches.length - 7]?.base ?? 0n;
    if (!this.#disk.isRunning || this.#hasFailed) return;
    this.#model.beginCut(at);
    const outcome = await settle(log.truncate(at), 'the cut');
    if ('error' in outcome) {
      if (this.met === undefined) throw new Violation(`the cut failed: ${String(outcome.error)}`);
      return;
    }
    this.#model.cut(at);
    this.#model.ackedEnd = at;
    this.#model.cuttingAt = undefined;
  }
}
