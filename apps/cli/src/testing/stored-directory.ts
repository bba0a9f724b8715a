/** A broker's data directory in a temporary place, made by the parts that a broker makes it with. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  BATCH_EPOCH_START,
  BatchBuilder,
  buildControlBatch,
  CODEC_NONE,
  CODEC_ZSTD,
  headerSeed,
  lastOffsetAt,
  stampBatch,
} from '@partita/batch';
import { brokerId } from '@partita/domain';
import {
  createLogDevice,
  createNodeDisk,
  openJournal,
  openPartitionLog,
  openStorageIdentity,
  writeCheckpoint,
  writeCleanShutdown,
  writeTopicConfigFile,
} from '@partita/log';
import type { PartitionLog } from '@partita/log';
import { EpochStartRecord, ReplicaMeta, TopicConfig, TopicTombstone } from '@partita/protocol';

export const CLUSTER_ID = '7b0e6d0e-3f7c-4c53-9c5e-0a4f4a1c2b3d';
export const TOPIC_ID = '0d9f7a34-95a1-4d0c-8a3f-5b1d2c3e4f50';
export const DELETED_ID = '11111111-95a1-4d0c-8a3f-5b1d2c3e4f50';

/** Records of a batch, as keys and values; a value of null is a tombstone. */
export type PlannedRecords = readonly (readonly [string | undefined, string | null])[];

export interface StoredPlan {
  /** True = the broker stopped in order. Default true. */
  readonly clean?: boolean;
  readonly segmentBytesMax?: number;
  /** Batches in the order of their appends. */
  readonly batches: readonly { readonly records: PlannedRecords; readonly epoch?: number; readonly zstd?: boolean }[];
}

/** A directory with topic "flights" of one partition, 0, whose log begins with an epoch start. */
export class StoredDirectory {
  readonly dir = mkdtempSync(join(tmpdir(), 'partita-stored-'));
  readonly partition = join(this.dir, TOPIC_ID, '0');
  readonly firstLog = join(this.partition, `${'0'.repeat(20)}.log`);
  logEnd = 0n;

  async make(plan: StoredPlan): Promise<void> {
    const disk = createNodeDisk();
    const { dir } = this;
    const random = { next: () => 0.5, uuid: () => CLUSTER_ID };
    await openStorageIdentity({ disk, dir, clusterId: CLUSTER_ID, brokerId: brokerId(1), random });
    await this.#journal();
    await mkdir(join(dir, TOPIC_ID));
    const config = TopicConfig.fromPartial({
      topic: 'flights',
      topicId: TOPIC_ID,
      version: 1n,
      partitions: [{ partition: 0, hashMin: 0, hashMax: 0xffffffff }],
    });
    await writeTopicConfigFile(disk, join(dir, TOPIC_ID), TopicConfig.encode(config).finish());
    await this.#log(plan);
    const line = { topicId: TOPIC_ID, partition: 0, highWatermark: this.logEnd, syncedEnd: this.logEnd, logStart: 0n };
    await writeCheckpoint(disk, dir, [line]);
    if (plan.clean === false) return;
    const logEnds = new Map([[`${TOPIC_ID}/0`, this.logEnd]]);
    await writeCleanShutdown(disk, dir, { incarnation: 1, bootId: 'boot', logEnds });
  }

  /** Changes a file behind everybody's back. */
  tamper(path: string, change: (content: Buffer) => Buffer | undefined): void {
    const content = readFileSync(path);
    writeFileSync(path, change(content) ?? content);
  }

  remove(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }

  async #journal(): Promise<void> {
    const journal = await openJournal({ disk: createNodeDisk(), dir: this.dir, bytesMax: 64 * 1024 });
    const meta = ReplicaMeta.fromPartial({ promisedEpoch: 1, ledEpoch: 1, grantNonce: Buffer.from('abcd', 'hex') });
    const tombstone = TopicTombstone.fromPartial({ topicId: DELETED_ID, deleteId: CLUSTER_ID });
    const start = Buffer.alloc(8);
    start.writeBigInt64LE(1n);
    await journal.put(
      new Map([
        [`replica/${TOPIC_ID}/0`, ReplicaMeta.encode(meta).finish()],
        [`start/${TOPIC_ID}/0`, start],
        [`tombstone/${DELETED_ID}`, TopicTombstone.encode(tombstone).finish()],
        ['boot-id', Buffer.from('boot')],
      ]),
    );
    await journal.close();
  }

  async #log(plan: StoredPlan): Promise<void> {
    const disk = createNodeDisk();
    const clock = { wallMs: () => 1_700_000_000_000, monotonicMs: () => performance.now() };
    const timers = {
      after: (delayMs: number, work: () => void) => {
        const timer = setTimeout(work, delayMs);
        return { cancel: () => clearTimeout(timer) };
      },
    };
    const device = await createLogDevice({ disk, directory: this.dir, clock, timers });
    let told: () => void = () => {};
    const log = await openPartitionLog({
      device,
      dir: this.partition,
      clusterId: CLUSTER_ID,
      topicId: TOPIC_ID,
      partition: 0,
      settings: { segmentBytesMax: plan.segmentBytesMax ?? 1024 * 1024, segmentAgeMsMax: Infinity, flush: 'fsync' },
      cleanShutdown: false,
      onSynced: () => told(),
      onFailed: (error) => {
        throw error;
      },
    });
    const append = async (batch: Buffer, epoch: number): Promise<void> => {
      const end = appendTo(log, batch, epoch);
      while (log.syncedEnd < end) await new Promise<void>((resolve) => (told = resolve));
    };
    const start = EpochStartRecord.fromPartial({ leaderEpoch: 1, leaderId: 1 });
    await append(buildControlBatch(BATCH_EPOCH_START, EpochStartRecord.encode(start).finish()), 1);
    for (const { records, epoch, zstd } of plan.batches) {
      const builder = new BatchBuilder();
      for (const [key, value] of records) {
        builder.tryAdd({
          ...(key === undefined ? {} : { key: Buffer.from(key) }),
          ...(value === null ? {} : { value: Buffer.from(value) }),
          timestampMs: 1_700_000_000_000n + log.logEnd,
        });
      }
      await append(builder.build({ codec: zstd === true ? CODEC_ZSTD : CODEC_NONE }), epoch ?? 1);
    }
    this.logEnd = log.logEnd;
    await log.close({ clean: plan.clean ?? true });
  }
}

/** Appends as the leader of the epoch; the end of the log behind the batch. */
function appendTo(log: PartitionLog, batch: Buffer, leaderEpoch: number): bigint {
  const stamp = { baseOffset: log.logEnd, leaderEpoch, appendTimeMs: 1_700_000_000_000n + log.logEnd };
  stampBatch(batch, stamp, headerSeed(TOPIC_ID, 0));
  log.append(batch);
  return lastOffsetAt(batch, 0) + 1n;
}
