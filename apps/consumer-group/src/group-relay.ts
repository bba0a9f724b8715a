/**
 * Groups that another instance owns: calls and streams are passed on to it, once. Two instances that hold each other for
 * the owner would pass a call on for ever; the second answers NOT_GROUP_OWNER instead.
 */
import { PartitaError } from '@partita/domain';
import { GroupServiceService } from '@partita/protocol';
import type { ConsumeRequest, ConsumeResponse } from '@partita/protocol';
import type { ChannelPool } from '@partita/rpc/client';
import { isRelayed, relayBidi } from '@partita/rpc/server';
import type { BidiHandlers, CallContext, RelayChoice, ServerBidiStream } from '@partita/rpc/server';
import { DRAIN_GRACE_MS, draining } from './consume-ends.ts';
import { ConsumeStream } from './consume-stream.ts';
import type { ConsumeServices } from './consume-stream.ts';
import type { GroupShards } from './group-shards.ts';

/** How long a call waits to hear which instance shall have its group. */
const PLACE_WAIT_MS = 5000;

/** Where a unary call about a group is answered. */
export function relayToOwner(
  { pool, shards }: { readonly pool: ChannelPool; readonly shards: GroupShards },
  options: { readonly append?: boolean } = {},
): RelayChoice<{ readonly group: string }> {
  return {
    pool,
    ...options,
    target: ({ deadlineMs }, { group }) =>
      shards.isPlaced(group)
        ? shards.elsewhere(group)
        : shards.placed(group, Math.min(PLACE_WAIT_MS, deadlineMs / 2)).then(() => shards.elsewhere(group)),
  };
}

/** A member's stream: its first message names the group, and so whether it is served here. */
export class ConsumeCall implements BidiHandlers<ConsumeRequest> {
  readonly #stream: ServerBidiStream<ConsumeResponse>;
  readonly #context: CallContext;
  readonly #services: ConsumeServices;
  #handlers: BidiHandlers<ConsumeRequest> | undefined;
  /** What came while it is not known who has the group. Bounded by the stream, which is paused meanwhile. */
  #early: ConsumeRequest[] = [];

  constructor(stream: ServerBidiStream<ConsumeResponse>, context: CallContext, services: ConsumeServices) {
    this.#stream = stream;
    this.#context = context;
    this.#services = services;
  }

  onMessage(request: ConsumeRequest): void {
    try {
      this.#take(request);
    } catch (error) {
      this.#services.meter.refused(error);
      throw error;
    }
  }

  #take(request: ConsumeRequest): void {
    if (this.#handlers !== undefined) return this.#handlers.onMessage(request);
    this.#early.push(request);
    if (this.#early.length > 1) return;
    const group = this.#groupToPassOn(request);
    const { shards } = this.#services;
    if (group === undefined || shards.isPlaced(group)) return this.#begin(group);
    this.#stream.pause();
    void shards.placed(group, PLACE_WAIT_MS).then(() => {
      if (this.#context.signal.aborted) return;
      this.#stream.resume();
      try {
        this.#begin(group);
      } catch (error) {
        this.#services.meter.refused(error);
        this.#stream.end(error);
      }
    });
  }

  onEnd(): void {
    if (this.#handlers?.onEnd === undefined) this.#stream.end();
    else this.#handlers.onEnd();
  }

  /** The group, unless the stream has to be answered here whoever owns it. */
  #groupToPassOn({ message }: ConsumeRequest): string | undefined {
    if (message?.$case !== 'initial' || message.initial.noRelay || isRelayed(this.#context)) return undefined;
    return message.initial.group;
  }

  #begin(group: string | undefined): void {
    const owner = group === undefined ? undefined : this.#services.shards.elsewhere(group);
    const handlers =
      owner === undefined ? new ConsumeStream(this.#stream, this.#context, this.#services) : this.#passOn(owner);
    this.#handlers = handlers;
    for (const request of this.#early.splice(0)) handlers.onMessage(request);
  }

  #passOn(owner: string): BidiHandlers<ConsumeRequest> {
    const stream = this.#stream;
    const drain = new Draining(stream, this.#context);
    stream.onClose(() => drain.close());
    return relayBidi(this.#services.pool.client(owner), GroupServiceService.consume, stream, this.#context, {
      onFirst: (response): ConsumeResponse => {
        if (response.message?.$case !== 'joined') return response;
        return { message: { $case: 'joined', joined: { ...response.message.joined, ownerAddress: owner } } };
      },
      onError: ownerGone,
    });
  }
}

/** The instance in between stops: the member is told, and has a while to go elsewhere. */
class Draining {
  readonly #stream: ServerBidiStream<ConsumeResponse>;
  readonly #signal: AbortSignal;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(stream: ServerBidiStream<ConsumeResponse>, context: CallContext) {
    this.#stream = stream;
    this.#signal = context.draining;
    if (this.#signal.aborted) this.#begin();
    else this.#signal.addEventListener('abort', this.#begin, { once: true });
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#signal.removeEventListener('abort', this.#begin);
  }

  readonly #begin = (): void => {
    this.#stream.send({ message: { $case: 'draining', draining: { graceMs: DRAIN_GRACE_MS } } });
    this.#timer = setTimeout(() => this.#stream.end(draining()), DRAIN_GRACE_MS);
  };
}

/** An owner that is not reached: the instance that was asked is fine, and the group will soon be served by another. */
export function ownerGone(error: PartitaError): PartitaError {
  if (error.reason !== 'SERVICE_UNREACHABLE') return error;
  const message = 'the owner of the group does not answer; another takes over, try again in a moment';
  return new PartitaError('GROUP_LOADING', message, error.metadata, { cause: error, retryAfterMs: 200 });
}
