/**
 * Commits of a member over its stream: at once, or by itself every 200 ms or 500 records. What was sent over a stream that
 * broke, or was refused for now, is sent again.
 */
import { asPartitaError, PartitaError } from '@partita/domain';
import type { ConsumeAck, ConsumeAckResult, OffsetCommit } from '@partita/protocol';
import { fromRpcStatus, isRetryable } from '@partita/rpc';
import type { CommitSpan, CommitSpans } from './commit-spans.ts';
import type { HeldPartition } from './held-partition.ts';

const INTERVAL_MS = 200;
const RECORD_COUNT_MAX = 500;
/** Sends an ack, with the traceparent of its span or ''; false = there is no stream now. */
export type SendAck = (ack: ConsumeAck, traceparent: string) => boolean;

/** What is committed of a partition, and how often its position had been moved by then. */
interface Entry {
  readonly held: HeldPartition;
  readonly offset: OffsetCommit;
  readonly moves: number;
}

interface OpenAck {
  readonly entries: readonly Entry[];
  readonly done: ((error: PartitaError | undefined) => void) | undefined;
  readonly span: CommitSpan | undefined;
}

export class Committer {
  readonly #send: SendAck;
  readonly #spans: CommitSpans;
  /** Partitions with a finished position that no ack under way carries. */
  readonly #dirty = new Set<HeldPartition>();
  readonly #open = new Map<bigint, OpenAck>();
  #dirtyRecords = 0;
  #nextAckId = 1n;
  #isStopped = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(send: SendAck, spans: CommitSpans) {
    this.#send = send;
    this.#spans = spans;
  }

  /** The handler is done with records: they are committed soon. */
  finished(held: HeldPartition, recordCount: number): void {
    this.#dirty.add(held);
    this.#dirtyRecords += recordCount;
    if (this.#dirtyRecords >= RECORD_COUNT_MAX) this.flush();
    else this.#arm();
  }

  /** Commits what is finished, without waiting for the result. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#dirtyRecords = 0;
    const entries = [...this.#dirty].flatMap(entryOf);
    this.#dirty.clear();
    this.#ack(entries, undefined);
  }

  /** Commits what is finished and waits. Resolves with the error of the whole or of the first partition that was refused. */
  commit(partitions: readonly HeldPartition[]): Promise<PartitaError | undefined> {
    for (const held of partitions) this.#dirty.delete(held);
    return this.#commit(partitions.flatMap(entryOf));
  }

  /** The same with positions that the caller chose. */
  commitAt(
    offsets: readonly { readonly held: HeldPartition; readonly offset: OffsetCommit }[],
  ): ReturnType<Committer['commit']> {
    return this.#commit(offsets.map(({ held, offset }) => ({ held, offset, moves: held.moves })));
  }

  #commit(entries: readonly Entry[]): ReturnType<Committer['commit']> {
    return new Promise((resolve) => this.#ack(entries, resolve));
  }

  onResult(result: ConsumeAckResult): void {
    const ack = this.#open.get(result.ackId);
    if (ack === undefined) return;
    this.#open.delete(result.ackId);
    const refusal = result.error ?? result.failures[0]?.error;
    const error = refusal === undefined ? undefined : fromRpcStatus(refusal);
    if (error === undefined || result.failures.length > 0) {
      const refused = new Set(result.failures.map(({ topic, partition }) => `${topic}/${partition}`));
      for (const { held, offset, moves } of ack.entries)
        if (!refused.has(`${held.topic}/${held.partition}`)) held.onCommitted(offset.nextOffset, moves);
    }
    // A refused epoch is not tried again: the next assignment tells what happened to the partition.
    const again = error !== undefined && isRetryable(error) && error.reason !== 'STALE_GENERATION';
    if (again && ack.done === undefined) this.#again(ack, error);
    ack.span?.end(error);
    ack.done?.(error);
  }

  /** The stream broke: acks under way may be lost. */
  streamLost(error: unknown): void {
    const open = [...this.#open.values()];
    this.#open.clear();
    for (const ack of open) {
      if (ack.done === undefined) this.#again(ack, error);
      ack.span?.end(error);
      ack.done?.(asPartitaError(error));
    }
  }

  /** Sends nothing by itself any more, whatever comes back. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  #ack(all: readonly Entry[], done: OpenAck['done']): void {
    const entries = all.filter(({ held }) => held.state !== 'gone');
    if (entries.length === 0) return done?.(undefined);
    const ackId = this.#nextAckId++;
    const span = this.#spans.begin(entries.length, done !== undefined);
    const ack = { entries, done, span };
    this.#open.set(ackId, ack);
    const offsets = entries.map(({ offset }) => offset);
    if (this.#send({ ackId, offsets }, span?.traceparent ?? '')) return;
    this.#open.delete(ackId);
    const error = new PartitaError('SERVICE_UNREACHABLE', 'the consumer has no stream to its group at the moment');
    if (done === undefined) this.#again(ack, error);
    span?.end(error);
    done?.(error);
  }

  #again({ entries, span }: OpenAck, error: unknown): void {
    span?.again(error);
    for (const { held } of entries) if (held.state !== 'gone') this.#dirty.add(held);
    if (this.#dirty.size > 0) this.#arm();
  }

  #arm(): void {
    if (this.#isStopped) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.flush();
    }, INTERVAL_MS);
  }
}

function entryOf(held: HeldPartition): Entry[] {
  const offset = held.commit;
  return offset === undefined || held.state === 'gone' ? [] : [{ held, offset, moves: held.moves }];
}
