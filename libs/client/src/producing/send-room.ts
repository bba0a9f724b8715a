/** Bytes that a producer holds, and the calls that wait for room, in order. */
import { CLIENT_WAITING_SEND_COUNT_MAX, PartitaError } from '@partita/domain';
import { Fifo } from '../fifo.ts';

/** A call of `send` that waits. */
export interface WaitingSend {
  readonly bytes: number;
  readonly deadlineAtMs: number;
  readonly enter: () => void;
  readonly fail: (error: PartitaError) => void;
  /** True once its caller gave it up. */
  cancelled: boolean;
}

export class SendRoom {
  readonly #bytesMax: number;
  readonly #waiting = new Fifo<WaitingSend>();
  #heldBytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** True and held when the bytes fit now and nobody waits. Something larger than all the room gets in when it is empty. */
  tryEnter(bytes: number): boolean {
    if (this.#waiting.length > 0 || !this.#fits(bytes)) return false;
    this.#heldBytes += bytes;
    return true;
  }

  /** Fails the call with QUEUE_FULL when too many wait already. */
  wait(send: WaitingSend): void {
    if (this.#waiting.length < CLIENT_WAITING_SEND_COUNT_MAX) return this.#waiting.push(send);
    const text = 'too many sends wait for room in the producer: await them, or send arrays of records';
    send.fail(
      new PartitaError('QUEUE_FULL', text, { queue: 'producer', limit: String(CLIENT_WAITING_SEND_COUNT_MAX) }),
    );
  }

  leave(bytes: number): void {
    this.#heldBytes -= bytes;
    this.#admit();
  }

  expire(nowMs: number): void {
    for (let next = this.#waiting.first; next !== undefined && next.deadlineAtMs <= nowMs; next = this.#waiting.first) {
      this.#waiting.shift();
      if (!next.cancelled)
        next.fail(new PartitaError('TIMED_OUT', 'no room came free in the producer within the delivery time-out'));
    }
    this.#admit();
  }

  #fits(bytes: number): boolean {
    return this.#heldBytes === 0 || this.#heldBytes + bytes <= this.#bytesMax;
  }

  #admit(): void {
    for (
      let next = this.#waiting.first;
      next !== undefined && (next.cancelled || this.#fits(next.bytes));
      next = this.#waiting.first
    ) {
      this.#waiting.shift();
      if (next.cancelled) continue;
      this.#heldBytes += next.bytes;
      next.enter();
    }
  }
}
