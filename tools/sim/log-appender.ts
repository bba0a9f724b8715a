/** The part of a simulated program that appends: batches, waiting until they are durable, a disk that is full. */
import { BATCH_CLAIM, BATCH_CONFIG, BATCH_DATA, BATCH_EPOCH_START } from '@partita/batch';
import type { BatchType } from '@partita/batch';
import { reasonOf } from './excuses.ts';
import type { Excuses } from './excuses.ts';
import { makeBatch } from './log-identity.ts';
import type { StoredBatch, StoredRecord } from './log-identity.ts';
import type { OpenedLog } from './log-start.ts';
import type { LogWorld } from './log-world.ts';
import { comesTrue, passTurns } from './settle.ts';
import { Violation } from './trace.ts';

const WHOLE_DISK = 1024 ** 4;
/** More than a look at the free space waits. */
const POLL_MS = 1001;
/** Turns without progress after which a log is taken to wait for something. */
const STILL_TURNS = 3000;

export class LogAppender {
  readonly #world: LogWorld;
  readonly #opened: OpenedLog;
  /** Faults before the program started. */
  readonly #excuses: Excuses;
  /** True while the power is on and the log takes writes. */
  readonly #isWorking: () => boolean;
  #wasFull = false;

  constructor(world: LogWorld, opened: OpenedLog, excuses: Excuses, isWorking: () => boolean) {
    this.#world = world;
    this.#opened = opened;
    this.#excuses = excuses;
    this.#isWorking = isWorking;
  }

  /** Appends a batch as the plan has it; a refusal must have its reason. */
  append(seed: number): void {
    const { model, tally, trace } = this.#world;
    if (!this.#isWorking()) return;
    const batch = this.#nextBatch(seed);
    try {
      if (batch.base > this.#opened.log.logEnd) {
        this.#opened.log.appendReplicated(batch.bytes);
        tally.add('seen: batch behind a hole');
      } else this.#opened.log.append(batch.bytes);
      model.batches.push(batch);
      tally.add('batches');
      tally.add('bytes', batch.bytes.length);
      trace.note(`    append ${batch.base}..${batch.next}, ${batch.bytes.length} bytes, epoch ${batch.epoch}`);
    } catch (error) {
      const reason = reasonOf(error);
      trace.note(`    append refused: ${reason}`);
      const isFull = reason === 'STORAGE_FULL' && (this.#wasFull || this.#world.errorCount > this.#excuses.errorCount);
      if (!isFull && reason !== 'QUEUE_FULL' && this.#isWorking()) throw error;
    }
  }

  #nextBatch(seed: number): StoredBatch {
    const { model, plan, random, time } = this.#world;
    const [least, most] = plan.valueBytes;
    const embedded = random.chance(0.05) ? model.batches.at(-1) : undefined;
    const isFew = most > 100_000 && random.chance(0.8);
    const value =
      embedded?.bytes ?? Buffer.alloc(random.between(least, isFew ? 10_000 : most), seed + random.below(250));
    const type = this.#type();
    const recordCount = value.length > 20_000 ? 1 : random.between(1, plan.recordCountMax);
    return makeBatch({
      base: this.#opened.log.logEnd + this.#hole(),
      epoch: model.epoch,
      appendTimeMs: BigInt(time.wallMs()),
      timestampMs: BigInt(time.wallMs() - random.below(5000)),
      recordCount: type === BATCH_DATA ? recordCount : 1,
      records: type === BATCH_DATA ? this.#records(recordCount) : [],
      type,
      value,
      isUnclean: type === BATCH_EPOCH_START && this.#world.model.batches.length % 2 === 0,
    });
  }

  #hole(): bigint {
    const { plan, random } = this.#world;
    return plan.hole > 0 && random.chance(plan.hole) ? BigInt(random.between(1, 10)) : 0n;
  }

  #type(): BatchType {
    const { plan, random } = this.#world;
    if (plan.control === 0 || !random.chance(plan.control)) return BATCH_DATA;
    return random.pick([BATCH_EPOCH_START, BATCH_CONFIG, BATCH_CLAIM]);
  }

  /** Keys and tombstones as the plan has them. */
  #records(count: number): StoredRecord[] {
    const { plan, random } = this.#world;
    if (plan.keyCount === 0) return [];
    return Array.from({ length: count }, () => ({
      key: random.chance(0.9) ? `key ${random.below(plan.keyCount)}` : undefined,
      isTombstone: random.chance(plan.tombstone),
    }));
  }

  /** Waits until everything appended is durable, or the log waits for space, or its life ends. */
  async synced(): Promise<void> {
    const { trace, disk } = this.#world;
    for (;;) {
      const seen = trace.count;
      const isDone = await comesTrue(
        () => !this.#isWorking() || this.#opened.log.syncedEnd === this.#opened.log.logEnd || trace.count !== seen,
        STILL_TURNS,
      );
      if (!this.#isWorking() || this.#opened.log.syncedEnd === this.#opened.log.logEnd) return;
      if (isDone) continue;
      if (this.#world.errorCount === this.#excuses.errorCount) throw new Violation('the log waits for nothing');
      // It waits for space: let the disk be looked at.
      disk.capacityBytes = WHOLE_DISK;
      const before = this.#opened.log.syncedEnd;
      await this.refresh();
      await comesTrue(() => !this.#isWorking() || this.#opened.log.syncedEnd > before, STILL_TURNS);
      if (this.#opened.log.syncedEnd > before) this.#world.tally.add('seen: resumed after no space');
    }
  }

  /** Lets the log look at the free space. */
  async refresh(): Promise<void> {
    this.#world.disk.capacityBytes = WHOLE_DISK;
    for (let look = 0; look < 2; look += 1) {
      this.#world.time.advance(POLL_MS);
      this.#opened.device.space.isFull(0);
      await passTurns(100);
    }
  }

  /** Lets the disk be full for a while. */
  async fillDisk(): Promise<void> {
    const { disk, random } = this.#world;
    this.#wasFull = true;
    disk.capacityBytes = disk.usedBytes() + random.below(20_000);
    for (let left = random.between(1, 8); left > 0; left -= 1) this.append(left);
    await passTurns(random.below(200));
    if (random.chance(0.5)) await this.synced();
    disk.capacityBytes = WHOLE_DISK;
  }
}
