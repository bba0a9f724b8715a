/** What a handler knows of the call besides its messages. One is made per call; nothing in it outlives the call. */
import type { Metadata } from '@grpc/grpc-js';
import { DEADLINE_MS_MAX, PartitaError } from '@partita/domain';
import { callMetadata, checkMetadata } from '../metadata.ts';

export interface CallContext {
  /** Path of the method: `/partita.v1.TopicService/CreateTopic`. */
  readonly path: string;
  /** Who calls, as it names itself; empty when it does not. At most CLIENT_ID_BYTES_MAX bytes. */
  readonly clientId: string;
  /** Names the call in logs of both sides; made here when the caller sent none, and always sent back as a trailer. */
  readonly requestId: string;
  /** Remote address, `host:port`, as long as the call lasts. */
  readonly peer: string;
  /** Metadata as it came, within the limits. */
  readonly metadata: Metadata;
  /**
   * Milliseconds left until the deadline, now; at least 0. A unary call has at most DEADLINE_MS_MAX from its start,
   * also when the caller set none. A stream without a deadline has Infinity.
   */
  readonly deadlineMs: number;
  /** Aborted when the call is over for whatever reason: answered, cancelled, cut, too late. Made on first use. */
  readonly signal: AbortSignal;
  /** True once `signal` is, or would be, aborted: costs nothing to ask. */
  readonly isOver: boolean;
  /** Aborted when the server begins to drain: a long poll or stream that watches it ends itself in good time. */
  readonly draining: AbortSignal;
  /** Metadata for a call made on behalf of this one: same client id and request id. */
  passOn(): Metadata;
}

/** The part of a grpc-js server call that is needed here. */
export interface GrpcCall {
  readonly metadata: Metadata;
  getPeer(): string;
  getDeadline(): number | Date;
}

export class OpenCall implements CallContext {
  readonly path: string;
  readonly clientId: string;
  readonly requestId: string;
  readonly metadata: Metadata;
  readonly draining: AbortSignal;
  readonly #call: GrpcCall;
  /** On performance.now(). */
  readonly #deadlineAtMs: number;
  #controller: AbortController | undefined;
  #abortReason: PartitaError | undefined;

  /** Throws LIMIT_EXCEEDED or INVALID_REQUEST for metadata that does not fit. */
  constructor(path: string, call: GrpcCall, requestId: string, draining: AbortSignal, budgetMsMax: number) {
    this.path = path;
    this.requestId = requestId;
    this.metadata = call.metadata;
    this.draining = draining;
    this.#call = call;
    this.clientId = checkMetadata(call.metadata);
    this.#deadlineAtMs = performance.now() + Math.min(budgetMsMax, Number(call.getDeadline()) - Date.now());
  }

  get peer(): string {
    return this.#call.getPeer();
  }

  get deadlineMs(): number {
    return Math.max(0, this.#deadlineAtMs - performance.now());
  }

  get isOver(): boolean {
    return this.#abortReason !== undefined;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#abortReason !== undefined) this.#controller.abort(this.#abortReason);
    }
    return this.#controller.signal;
  }

  passOn(): Metadata {
    return callMetadata({ clientId: this.clientId, requestId: this.requestId });
  }

  /** The call is over. Idempotent. */
  abort(reason?: PartitaError): void {
    if (this.#abortReason !== undefined) return;
    this.#abortReason = reason ?? new PartitaError('CANCELLED', 'the call is over');
    this.#controller?.abort(this.#abortReason);
  }
}

/** Longest time of a unary call; the caller's deadline when it is shorter. */
export const UNARY_BUDGET_MS_MAX = DEADLINE_MS_MAX;
