/**
 * Commits of a member over its stream: at once, or by itself every 200 ms or 500 records. What was sent over a stream that
 * broke, or was refused for now, is sent again.
 */
import { asPartitaError, PartitaError } from '@partita/domain';
import type { ConsumeAckResult, OffsetCommit } from '@partita/protocol';
import { fromRpcStatus, isRetryable } from '@partita/rpc';
import type { HeldPartition } from './held-partition.ts';

const INTERVAL_MS = 200;
const RECORD_COUNT_MAX = 500;
/** Sends an ack; false = there is no stream now. */
export type SendAck = (ackId: bigint, offsets: OffsetCommit[]) => boolean;

interface OpenAck {
  readonly held: readonly HeldPartition[];
  readonly done: ((error: PartitaError | undefined) => void) | undefined;
}

export class Committer {
  readonly #send: SendAck;
  /** Partitions with a finished position that no ack under way carries. */
  readonly #dirty = new Set<HeldPartition>();
  readonly #open = new Map<bigint, OpenAck>();
  #dirtyRecords = 0;
  #nextAckId = 1n;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(send: SendAck) {
    this.#send = send;
  }

  /** The handler is done with a record: it is committed soon. */
  finished(held: HeldPartition): void {
    this.#dirty.add(held);
    this.#dirtyRecords += 1;
    if (this.#dirtyRecords >= RECORD_COUNT_MAX) this.flush();
    else this.#arm();
  }

  /** Commits what is finished, without waiting for the result. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#dirtyRecords = 0;
    if (this.#dirty.size > 0) this.#ack([...this.#dirty], undefined);
  }

  /** Commits and waits. Resolves with the error of the whole or of the first partition that was refused. */
  commit(partitions: readonly HeldPartition[]): Promise<PartitaError | undefined> {
    const held = partitions.filter((partition) => partition.finished !== undefined && partition.state !== 'gone');
    if (held.length === 0) return Promise.resolve(undefined);
    return new Promise((resolve) => this.#ack(held, resolve));
  }

  onResult(result: ConsumeAckResult): void {
    const ack = this.#open.get(result.ackId);
    if (ack === undefined) return;
    this.#open.delete(result.ackId);
    const refusal = result.error ?? result.failures[0]?.error;
    const error = refusal === undefined ? undefined : fromRpcStatus(refusal);
    // A refused epoch is not tried again: the next assignment tells what happened to the partition.
    const again = error !== undefined && isRetryable(error) && error.reason !== 'STALE_GENERATION';
    if (again && ack.done === undefined) this.#again(ack.held);
    ack.done?.(error);
  }

  /** The stream broke: acks under way may be lost. */
  streamLost(error: unknown): void {
    const open = [...this.#open.values()];
    this.#open.clear();
    for (const ack of open) {
      if (ack.done === undefined) this.#again(ack.held);
      else ack.done(asPartitaError(error));
    }
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #ack(partitions: readonly HeldPartition[], done: OpenAck['done']): void {
    const held = partitions.filter((partition) => partition.state !== 'gone');
    const offsets = held.map((partition) => partition.commit).filter((offset) => offset !== undefined);
    for (const partition of partitions) this.#dirty.delete(partition);
    if (offsets.length === 0) return done?.(undefined);
    const ackId = this.#nextAckId++;
    this.#open.set(ackId, { held, done });
    if (this.#send(ackId, offsets)) return;
    this.#open.delete(ackId);
    if (done === undefined) this.#again(held);
    else done(new PartitaError('SERVICE_UNREACHABLE', 'the consumer has no stream to its group at the moment'));
  }

  #again(held: readonly HeldPartition[]): void {
    for (const partition of held) if (partition.state !== 'gone') this.#dirty.add(partition);
    if (this.#dirty.size > 0) this.#arm();
  }

  #arm(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.flush();
    }, INTERVAL_MS);
  }
}
