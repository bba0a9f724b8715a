/**
 * One stream of a member, which heartbeats by itself. It can be frozen as a process that stands still: nothing is heard,
 * nothing is sent, and what arrives meanwhile, the end of the stream included, is heard when it goes on.
 */
import type { PartitaError } from '@partita/domain';
import { ConsumeRequest, GroupServiceService } from '@partita/protocol';
import type { ConsumeResponse } from '@partita/protocol';
import { openBidi } from '@partita/rpc/client';
import type { BidiStream, ChannelPool } from '@partita/rpc/client';

const HEARTBEAT_MS = 500;

export type MemberMessage = NonNullable<Parameters<typeof ConsumeRequest.fromPartial>[0]>['message'];
export type MemberAnswer = NonNullable<ConsumeResponse['message']>;

export interface MemberStreamHandlers {
  onAnswer(answer: MemberAnswer): void;
  /** Called once, and nothing after it; undefined = a clean end. */
  onEnd(error: PartitaError | undefined): void;
}

export class MemberStream {
  readonly #stream: BidiStream<ConsumeRequest>;
  readonly #heartbeat: NodeJS.Timeout;
  /** What arrived while it is frozen; undefined = it is not. Bounded by the credits that the server has. */
  #late: (() => void)[] | undefined;
  #isFrozen = false;
  #isOver = false;

  constructor(pool: ChannelPool, address: string, handlers: MemberStreamHandlers) {
    this.#stream = openBidi(pool.client(address), GroupServiceService.consume, {
      onMessage: ({ message }) => {
        if (message !== undefined) this.#hear(() => handlers.onAnswer(message));
      },
      onClose: (error) => {
        clearInterval(this.#heartbeat);
        this.#hear(() => {
          this.#isOver = true;
          handlers.onEnd(error);
        });
      },
    });
    this.#heartbeat = setInterval(() => {
      if (!this.#isFrozen) this.send({ $case: 'heartbeat', heartbeat: {} });
    }, HEARTBEAT_MS);
  }

  send(message: MemberMessage): void {
    this.#stream.send(ConsumeRequest.fromPartial({ message }));
  }

  freeze(): void {
    this.#isFrozen = true;
    this.#late ??= [];
  }

  /** Goes on: it can send again, and has not yet heard what arrived meanwhile. */
  thaw(): void {
    this.#isFrozen = false;
    setImmediate(() => {
      const late = this.#late ?? [];
      this.#late = undefined;
      for (const hear of late) hear();
    });
  }

  /** Breaks it without a word; nothing more is heard. */
  cancel(): void {
    this.#isOver = true;
    clearInterval(this.#heartbeat);
    this.#stream.cancel();
  }

  #hear(hear: () => void): void {
    const whenNotOver = (): void => {
      if (!this.#isOver) hear();
    };
    if (this.#late === undefined) whenNotOver();
    else this.#late.push(whenNotOver);
  }
}
