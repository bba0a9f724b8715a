/** How the records of a producer get on their way, once there is room for them. */
import type { Record as WireRecord } from '@partita/protocol';
import type { SendOptions } from './producer-options.ts';
import type { SendCall } from './send-call.ts';

/** The records of one call of `send`. */
export interface OutgoingCall {
  readonly call: SendCall;
  readonly topic: string;
  readonly records: readonly WireRecord[];
  /** Bytes of each, serialised. */
  readonly sizes: readonly number[];
  readonly options: SendOptions;
  /** Of the span that sends, or empty. */
  readonly traceparent: string;
  /** Monotonic milliseconds. */
  readonly queuedAtMs: number;
  readonly deadlineAtMs: number;
}

export interface RecordSender {
  /** Takes the records in the order of the calls, settles each once. Returns what gives up those without a result. */
  send(outgoing: OutgoingCall): () => void;
  /** While true nothing lingers. */
  flush(isFlushing: boolean): void;
  /** Fails what is past its deadline. */
  expire(nowMs: number): void;
  /** Nothing is open any more. */
  close(): void;
}
