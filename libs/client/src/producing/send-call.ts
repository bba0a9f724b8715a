/** One call of `send`: its records, their results, its span, its signal. */
import { ROOT_CONTEXT, SpanKind, trace } from '@opentelemetry/api';
import type { Span } from '@opentelemetry/api';
import { PartitaError } from '@partita/domain';
import type { AppendAck } from '@partita/protocol';
import { outcomeOf, spanTimeMs } from '@partita/rpc';
import { ClientError, clientError } from '../client-error.ts';
import { failSpan } from '../spans.ts';
import { linksTo } from './batch-trace.ts';

/** Where a record is, and what its acknowledgement promises. */
export interface SentRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly leaderEpoch: number;
  /** Replicas that held the record when the answer was made. */
  readonly replicasAcked: number;
  /** True: all of those had called fdatasync. */
  readonly fsynced: boolean;
  /** The leader's wall clock at append, milliseconds since 1970 UTC. */
  readonly appendTimeMs: number;
  /** True: this was a repeat, and the place is that of the first copy. */
  readonly duplicate: boolean;
}

/** Some records of a `send` failed. `results` has one entry per record, in their order. */
export class SendError extends ClientError {
  readonly results: readonly (SentRecord | ClientError)[];

  constructor(gravest: ClientError, results: readonly (SentRecord | ClientError)[]) {
    super(gravest);
    this.results = results;
  }
}

export class SendCall {
  readonly topic: string;
  readonly bytes: number;
  /** True once the records wait in a lane or are on their way. */
  entered = false;
  /** Resolves, never rejects, when every record has its result. */
  readonly over: Promise<void>;
  #resolveOver: () => void = () => {};
  readonly #span: Span | undefined;
  readonly #results: (SentRecord | ClientError | undefined)[];
  #open: number;
  readonly #resolve: (results: readonly SentRecord[]) => void;
  readonly #reject: (error: ClientError) => void;
  readonly #onOver: (call: SendCall) => void;

  constructor(options: {
    readonly topic: string;
    readonly recordCount: number;
    readonly bytes: number;
    readonly span: Span | undefined;
    readonly resolve: (results: readonly SentRecord[]) => void;
    readonly reject: (error: ClientError) => void;
    /** Told once, before the caller is. */
    readonly onOver: (call: SendCall) => void;
  }) {
    this.over = new Promise((resolve) => (this.#resolveOver = resolve));
    this.topic = options.topic;
    this.bytes = options.bytes;
    this.#span = options.span;
    this.#open = options.recordCount;
    this.#results = new Array<undefined>(options.recordCount).fill(undefined);
    this.#resolve = options.resolve;
    this.#reject = options.reject;
    this.#onOver = options.onOver;
  }

  settle(index: number, outcome: PartitaError | { readonly ack: AppendAck; readonly offset: bigint }): void {
    if (this.#results[index] !== undefined) return;
    this.#results[index] =
      outcome instanceof PartitaError ? clientError(outcome) : sentRecord(this.topic, outcome.ack, outcome.offset);
    this.#open -= 1;
    if (this.#open === 0) this.#finish();
  }

  /** Its records are in a batch that the trace of the other span shows. */
  shares(traceparent: string): void {
    this.#span?.addLinks(linksTo([traceparent]));
  }

  /** Its records for the partition waited from `startMs`, monotonic, until now for their last batch to be sent. */
  waited(startMs: number, partition: number): void {
    if (this.#span === undefined) return;
    const attributes = { 'messaging.destination.partition.id': String(partition) };
    const options = { kind: SpanKind.INTERNAL, attributes, startTime: spanTimeMs(startMs) };
    const inside = trace.setSpan(ROOT_CONTEXT, this.#span);
    trace.getTracer('partita').startSpan('batch wait', options, inside).end(spanTimeMs());
  }

  /** Every record has its result. */
  get isOver(): boolean {
    return this.#open === 0;
  }

  /** Fails the records that have no result yet. */
  fail(error: PartitaError): void {
    for (const index of this.#results.keys()) this.settle(index, error);
  }

  #finish(): void {
    this.#onOver(this);
    this.#resolveOver();
    const errors = this.#results.filter((result) => result instanceof ClientError);
    const gravest = errors.find((error) => outcomeOf(error) === 'unknown') ?? errors[0];
    const results = this.#results.filter((result) => result !== undefined);
    if (gravest === undefined) {
      const first = results[0];
      if (first !== undefined && !(first instanceof ClientError) && results.length === 1) {
        this.#span?.setAttributes({
          'messaging.destination.partition.id': String(first.partition),
          'messaging.partita.offset': String(first.offset),
        });
      }
      this.#span?.end(spanTimeMs());
      return this.#resolve(results.filter((result): result is SentRecord => !(result instanceof ClientError)));
    }
    if (this.#span !== undefined) failSpan(this.#span, gravest);
    this.#span?.end(spanTimeMs());
    this.#reject(results.length === 1 ? gravest : new SendError(gravest, results));
  }
}

function sentRecord(topic: string, ack: AppendAck, offset: bigint): SentRecord {
  const { partition, leaderEpoch, replicasAcked, fsynced, duplicate } = ack;
  const appendTimeMs = Number(ack.appendTimeMs);
  return { topic, partition, offset, leaderEpoch, replicasAcked, fsynced, appendTimeMs, duplicate };
}
