/** What `log dump` prints, a line at a time: the files of a broker, topics, then segments with their batches or records. */
import { decodeBatch, readBatchHeader, recordsAt } from '@partita/batch';
import type { BatchHeader } from '@partita/batch';
import type { TopicConfig } from '@partita/protocol';
import { jsonLine } from '../output/json.ts';
import { recordLine } from '../record-text.ts';
import type { TextForm } from '../record-text.ts';
import type { Terminal } from '../terminal.ts';
import { batchLine, describeBatch, describeControl, printableMessage, storedRecord, timeOf } from './batch-text.ts';
import { brokerFileLines } from './broker-file-lines.ts';
import type { StoredBrokerFiles } from './broker-file-lines.ts';
import { pathBelow } from './path-below.ts';

export interface DumpOptions extends TextForm {
  readonly json?: boolean | undefined;
  /** Records instead of batches. */
  readonly records?: boolean | undefined;
  readonly from?: bigint | undefined;
  /** Exclusive. */
  readonly to?: bigint | undefined;
  /** Batches, or records, of all partitions together. */
  readonly max?: number | undefined;
}

/** A step through a segment file. */
export type DumpStep =
  | { readonly kind: 'segment'; readonly header: StoredSegmentHeader | undefined; readonly fileBytes: number }
  | StoredBatch
  | { readonly kind: 'gap'; readonly position: number; readonly end: number; readonly fault: string };

interface StoredSegmentHeader {
  readonly clusterId: string;
  readonly topicId: string;
  readonly partition: number;
  readonly baseOffset: bigint;
  readonly createTimeMs: bigint;
  readonly isSparse: boolean;
}

interface StoredBatch {
  readonly kind: 'batch';
  readonly position: number;
  readonly bytes: Buffer;
  readonly at: number;
  /** False when the file ends within it. */
  readonly isWhole: boolean;
  readonly fault: string | undefined;
}

export class DumpPrinter {
  readonly #terminal: Terminal;
  readonly #root: string;
  readonly #options: DumpOptions;
  #left: number;
  #damageCount = 0;
  #topic = '';
  #partition = 0;
  #path = '';

  /** Paths are printed as they are below `root`. */
  constructor(terminal: Terminal, root: string, options: DumpOptions) {
    this.#terminal = terminal;
    this.#root = root;
    this.#options = options;
    this.#left = options.max ?? Infinity;
  }

  /** True once --max is reached. */
  get isFull(): boolean {
    return this.#left <= 0;
  }

  /** Tells people of a damaged place. */
  damage(path: string, message: string): void {
    this.#damageCount += 1;
    this.#terminal.note(`damaged: ${pathBelow(this.#root, path)}: ${message}`);
  }

  async brokerFiles(files: StoredBrokerFiles): Promise<void> {
    for (const { content, text } of brokerFileLines(files)) await this.#line(content, text);
  }

  async topic(config: TopicConfig): Promise<void> {
    const message = printableMessage(config);
    await this.#line({ kind: 'topic', ...message }, `topic ${config.topic}  ${jsonLine(message)}`);
  }

  /** Begins a partition: what follows is of it. */
  begin(topic: string, partition: number): void {
    this.#topic = topic;
    this.#partition = partition;
  }

  /** True when offsets up to `endOffset` are not wanted. */
  beginsAfter(endOffset: bigint): boolean {
    return this.#options.from !== undefined && endOffset <= this.#options.from;
  }

  /** Prints a segment; false when nothing behind it is wanted. */
  async segment(path: string, steps: AsyncIterable<DumpStep>): Promise<boolean> {
    this.#path = path;
    for await (const step of steps) {
      if (this.#terminal.interrupted.aborted) return false;
      if (step.kind === 'segment') await this.#header(step.header, step.fileBytes);
      else if (step.kind === 'gap') await this.#gap(step.position, step.end, step.fault);
      else if (!(await this.#batch(step))) return false;
    }
    return true;
  }

  /** Says how many places were damaged. */
  finish(): void {
    if (this.#damageCount === 0) return;
    this.#terminal.note(`${this.#damageCount} places are damaged; \`partita log verify\` says more`);
  }

  async #header(header: StoredSegmentHeader | undefined, fileBytes: number): Promise<void> {
    if (header === undefined) return this.#gap(0, Math.min(111, fileBytes), 'no intact segment header stands here');
    if (this.#options.records === true) return;
    const path = pathBelow(this.#root, this.#path);
    const created = timeOf(header.createTimeMs);
    const { topicId, partition, baseOffset, isSparse, ...rest } = header;
    const sparse = isSparse ? '  sparse' : '';
    await this.#line(
      {
        kind: 'segment',
        path,
        ...rest,
        topicId,
        partition,
        baseOffset,
        sparse: isSparse,
        createTimeMs: undefined,
        createTime: created,
        fileBytes,
      },
      `segment ${path}  ${topicId}/${partition}  from offset ${baseOffset}  created ${created}  ${fileBytes} bytes${sparse}`,
    );
  }

  async #gap(position: number, end: number, fault: string): Promise<void> {
    // Among records stdout is for records.
    if (this.#options.records === true) {
      this.damage(this.#path, `bytes ${position}-${end}: ${fault}`);
      return;
    }
    this.#damageCount += 1;
    const path = pathBelow(this.#root, this.#path);
    await this.#line({ kind: 'damage', path, position, end, fault }, `  bytes ${position}-${end}  DAMAGED: ${fault}`);
  }

  /** False when nothing behind it is wanted. */
  async #batch(step: StoredBatch): Promise<boolean> {
    const header = readBatchHeader(step.bytes, step.at);
    const { from, to, records } = this.#options;
    if (to !== undefined && header.baseOffset >= to) return false;
    if (from !== undefined && header.baseOffset + BigInt(header.lastOffsetDelta) < from) return true;
    if (records === true) await this.#records(header, step);
    else await this.#batchHeader(header, step);
    return !this.isFull;
  }

  async #batchHeader(header: BatchHeader, { position, bytes, at, isWhole, fault }: StoredBatch): Promise<void> {
    const content = isWhole ? this.#control(header, recordsAt(bytes, at)) : undefined;
    if (fault !== undefined) this.#damageCount += 1;
    const batch = { kind: 'batch', path: pathBelow(this.#root, this.#path), ...describeBatch(header, position) };
    const damaged = fault === undefined ? '' : `  DAMAGED: ${fault}`;
    const text = `  ${batchLine(header, position)}${content === undefined ? '' : `  ${jsonLine(content)}`}${damaged}`;
    await this.#line({ ...batch, content, fault }, text);
    this.#left -= 1;
  }

  #control({ type }: BatchHeader, content: Uint8Array): object | undefined {
    try {
      return describeControl(type, content);
    } catch (error) {
      return { unreadable: error instanceof Error ? error.message : String(error) };
    }
  }

  async #records(header: BatchHeader, { position, bytes, at, fault }: StoredBatch): Promise<void> {
    const { from = 0n, to } = this.#options;
    let records;
    try {
      if (fault !== undefined) throw new Error(fault);
      ({ records } = decodeBatch(bytes, at));
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.damage(this.#path, `the batch at byte ${position}, offset ${header.baseOffset}: ${why}`);
      return;
    }
    for (const record of records) {
      if (record.offset < from) continue;
      if (this.isFull || (to !== undefined && record.offset >= to)) return;
      const received = storedRecord(record, header, { topic: this.#topic, partition: this.#partition });
      await this.#terminal.line(recordLine(received, this.#options));
      this.#left -= 1;
    }
  }

  async #line(content: object, text: string): Promise<void> {
    await this.#terminal.line(this.#options.json === true ? jsonLine(content) : text);
  }
}
