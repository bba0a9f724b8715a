/**
 * One compaction of a partition: reads the new records to learn the last offset of each key, then writes the segments
 * anew without the records that a later one of the same key has ended. What it makes lies beside the log until `swapIn`
 * puts it in place; the log itself is only read.
 *
 * A segment that loses nothing is not written, so that a pass over a log that is mostly clean costs reading.
 */
import { baseOffsetAt, headerSeed, lastOffsetAt, recordCountAt } from '@partita/batch';
import { invariant } from '@partita/domain';
import type { Disk, DiskFile } from '../disk.ts';
import { segmentPath } from '../segment-files.ts';
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES } from '../segment-header.ts';
import { BatchReader } from './batch-reader.ts';
import { CompactedSegment } from './compacted-segment.ts';
import { CompactionIo } from './compaction-io.ts';
import type { CompactionHooks } from './compaction-io.ts';
import type { CompactedGroup, CompactionPlan, CompactionResult, SealedSegment } from './compaction-plan.ts';
import { readCompactionState } from './compaction-state.ts';
import { RecordRetention } from './record-retention.ts';

/** Segments that become one file, as far as they are known. */
interface Group {
  readonly sources: SealedSegment[];
  /** Undefined while it is one segment that loses nothing: that stays as it is. */
  output: CompactedSegment | undefined;
  size: number;
}

/** A segment file that is being read. */
interface Source extends SealedSegment {
  readonly file: DiskFile;
  readonly path: string;
  readonly createTimeMs: bigint;
}

/**
 * Runs a pass. CORRUPT_BATCH when anything that it reads is damaged; errors of the disk and of `hooks.wait` pass through;
 * in all these cases its files are removed again. On return they are durable, and no other pass may run on the partition
 * before they are swapped in or removed.
 */
export async function compactSegments(
  disk: Disk,
  plan: CompactionPlan,
  hooks: CompactionHooks,
): Promise<CompactionResult> {
  const { pending } = await readCompactionState(disk, plan.directory);
  invariant(pending.length === 0, `a compaction of ${plan.directory} begins while another is being swapped in`);
  const pass = new CompactionPass(disk, plan, hooks);
  try {
    return await pass.run();
  } catch (error) {
    await pass.discard();
    throw error;
  }
}

class CompactionPass {
  readonly #io: CompactionIo;
  readonly #plan: CompactionPlan;
  readonly #seed: number;
  readonly #retention: RecordRetention;
  /** All files that were made and not removed. */
  readonly #outputs = new Set<CompactedSegment>();
  readonly #groups: CompactedGroup[] = [];
  readonly #sums = { recordsBefore: 0, recordsAfter: 0, bytesBefore: 0, bytesAfter: 0 };

  constructor(disk: Disk, plan: CompactionPlan, hooks: CompactionHooks) {
    this.#io = new CompactionIo(disk, plan, hooks);
    this.#plan = plan;
    this.#seed = headerSeed(plan.identity.topicId, plan.identity.partition);
    this.#retention = new RecordRetention(plan, hooks.hashSeed);
  }

  async run(): Promise<CompactionResult> {
    checkPlan(this.#plan);
    const cleanedTo = await this.#noteKeys();
    this.#retention.complete(cleanedTo, this.#plan.tombstonesEndBelow);
    let group: Group | undefined;
    for (const segment of this.#plan.segments) {
      if (segment.baseOffset >= cleanedTo) break;
      group = await this.#withSource(segment, (source) => this.#addTo(group, source));
    }
    if (group !== undefined) await this.#finish(group);
    await this.#io.disk.syncDirectory(this.#plan.directory);
    const { removedTombstones, keptTombstones, undecodableBatches } = this.#retention;
    return { groups: this.#groups, cleanedTo, ...this.#sums, removedTombstones, keptTombstones, undecodableBatches };
  }

  /** Removes all that was made, as far as the disk lets it: `finishCompaction` removes the rest. */
  async discard(): Promise<void> {
    for (const output of this.#outputs) await output.discard().catch(() => undefined);
  }

  /** Pass 1. Returns the offset up to which the keys are known: the end, or where the memory was full. */
  async #noteKeys(): Promise<bigint> {
    let known = this.#plan.cleanedTo;
    for (const segment of this.#plan.segments) {
      if (segment.endOffset <= this.#plan.cleanedTo) continue;
      const full = await this.#withSource(segment, async (source) => {
        const reader = this.#reader(source);
        while (await reader.next()) {
          if (lastOffsetAt(reader.bytes, reader.at) < this.#plan.cleanedTo) continue;
          if (!this.#retention.note(reader.bytes, reader.at)) return baseOffsetAt(reader.bytes, reader.at);
        }
        return undefined;
      });
      if (full !== undefined) return full;
      known = segment.endOffset;
    }
    return known;
  }

  /** Pass 2 for one segment: into the group when that has room, else into one of its own. */
  async #addTo(group: Group | undefined, source: Source): Promise<Group> {
    const output = await this.#rewrite(source);
    const size = output?.size ?? source.size;
    if (group === undefined || group.size + size - SEGMENT_HEADER_BYTES > this.#plan.segmentBytesMax) {
      if (group !== undefined) await this.#finish(group);
      return { sources: [source], output, size };
    }
    const target = group.output ?? (await this.#copyOf(group));
    if (output === undefined) {
      await target.appendAll(this.#reader(source));
    } else {
      await output.flush();
      await target.appendAll(this.#reader({ ...source, file: output.file, path: output.path, size: output.size }));
      await this.#remove(output);
    }
    // Two files had two headers.
    this.#sums.bytesAfter -= SEGMENT_HEADER_BYTES;
    group.output = target;
    group.sources.push(source);
    group.size = target.size;
    return group;
  }

  /** Writes the segment without the records that go; undefined when none does. */
  async #rewrite(source: Source): Promise<CompactedSegment | undefined> {
    const reader = this.#reader(source);
    let output: CompactedSegment | undefined;
    while (await reader.next()) {
      const { bytes, at } = reader;
      const recordCount = recordCountAt(bytes, at);
      this.#sums.recordsBefore += recordCount;
      const rest = this.#retention.filter(bytes, at, this.#seed);
      if (rest === undefined) {
        this.#sums.recordsAfter += recordCount;
        await output?.append(reader.batch);
        continue;
      }
      if (output === undefined) {
        output = await this.#create(source);
        // The batches before were kept so far only in the segment itself.
        await output.appendAll(this.#reader({ ...source, size: reader.position }));
      }
      for (const batch of rest) {
        this.#sums.recordsAfter += recordCountAt(batch, 0);
        await output.append(batch);
      }
    }
    this.#sums.bytesBefore += source.size;
    this.#sums.bytesAfter += output?.size ?? source.size;
    return output;
  }

  /** A file that holds what the only segment of the group does, for others to be added. */
  async #copyOf(group: Group): Promise<CompactedSegment> {
    const [segment] = group.sources;
    invariant(segment !== undefined && group.sources.length === 1, 'only a single segment stays without a new file');
    return this.#withSource(segment, async (source) => {
      const output = await this.#create(source);
      await output.appendAll(this.#reader(source));
      return output;
    });
  }

  /** Makes the group's file durable and notes it, if it has one. */
  async #finish(group: Group): Promise<void> {
    const { output, sources } = group;
    if (output === undefined) return;
    await output.finish();
    this.#groups.push({
      baseOffset: output.baseOffset,
      endOffset: sources.at(-1)?.endOffset ?? output.baseOffset,
      sources: sources.map(({ baseOffset }) => baseOffset),
      size: output.size,
      maxTimestampMs: output.maxTimestampMs,
    });
  }

  async #create(source: Source): Promise<CompactedSegment> {
    const output = await CompactedSegment.create(this.#io, source.baseOffset, source.createTimeMs);
    this.#outputs.add(output);
    return output;
  }

  async #remove(output: CompactedSegment): Promise<void> {
    await output.discard();
    this.#outputs.delete(output);
  }

  #reader(source: Source): BatchReader {
    const { file, path, baseOffset, endOffset, size } = source;
    const range = { file, path, baseOffset, endOffset, seed: this.#seed, position: SEGMENT_HEADER_BYTES, end: size };
    return new BatchReader(this.#io, range);
  }

  /** Runs work on a segment whose file is open and has the right header. */
  async #withSource<Result>(segment: SealedSegment, work: (source: Source) => Promise<Result>): Promise<Result> {
    const path = segmentPath(this.#plan.directory, segment.baseOffset, 'log');
    const file = await this.#io.disk.open(path, 'read');
    try {
      const createTimeMs = await this.#createTimeOf(file, path, segment.baseOffset);
      // What a plan does not know of would be lost with the file.
      const size = await file.size();
      if (size !== segment.size) throw this.#io.corrupt(path, size, `it has ${size} bytes, the log ${segment.size}`);
      return await work({ ...segment, file, path, createTimeMs });
    } finally {
      await file.close();
    }
  }

  async #createTimeOf(file: DiskFile, path: string, baseOffset: bigint): Promise<bigint> {
    const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
    const read = await file.read(bytes, 0);
    const header = decodeSegmentHeader(bytes.subarray(0, read));
    const { clusterId, topicId, partition } = this.#plan.identity;
    const isOurs =
      header?.clusterId === clusterId &&
      header.topicId === topicId &&
      header.partition === partition &&
      header.baseOffset === baseOffset;
    if (!isOurs) throw this.#io.corrupt(path, 0, 'it does not begin with the header of this segment');
    return header.createTimeMs;
  }
}

function checkPlan({ segments, cleanedTo }: CompactionPlan): void {
  for (const [index, { baseOffset, endOffset, size }] of segments.entries()) {
    invariant(baseOffset <= endOffset && size >= SEGMENT_HEADER_BYTES, `segment ${baseOffset} ends at ${endOffset}`);
    const before = segments[index - 1];
    invariant(before === undefined || before.endOffset === baseOffset, `segment ${baseOffset} follows the one before`);
  }
  const end = segments.at(-1)?.endOffset;
  invariant(end === undefined || cleanedTo <= end, 'a log is not clean beyond its sealed segments');
}
