/**
 * Sends records: checks them, waits for room, and gives each its result within the delivery time-out. How they travel is
 * the sender's: as batches of a producer session, through a gateway or straight to the leaders, or as plain records.
 */
import { checkRecord } from '@partita/batch';
import { BATCH_BYTES_MAX, CLIENT_BUFFER_BYTES_MAX, DELIVERY_TIMEOUT_MS } from '@partita/domain';
import type { PartitaError } from '@partita/domain';
import type { Span, Tracer } from '@opentelemetry/api';
import type { Record as WireRecord } from '@partita/protocol';
import { spanTimeMs } from '@partita/rpc';
import { clientError, refused } from '../client-error.ts';
import { wireRecord } from '../record-form.ts';
import type { OutgoingRecord } from '../record-form.ts';
import { failSpan, sendSpan } from '../spans.ts';
import { traceparentOf } from '../trace-context.ts';
import { checkSendOptions } from './producer-options.ts';
import type { ProducerOptions, SendOptions } from './producer-options.ts';
import type { OutgoingCall, RecordSender } from './record-sender.ts';
import { SendCall } from './send-call.ts';
import type { SentRecord } from './send-call.ts';
import { SendRoom } from './send-room.ts';

const RECORD_LIMITS = { recordBytesMax: BATCH_BYTES_MAX, timestampMsMax: Infinity };
const SWEEP_MS = 250;

export class Producer {
  readonly #sender: RecordSender;
  readonly #tracer: Tracer | undefined;
  readonly #options: ProducerOptions;
  readonly #room: SendRoom;
  readonly #open = new Set<SendCall>();
  #sweep: ReturnType<typeof setTimeout> | undefined;
  #flushCount = 0;
  #closed = false;

  constructor(sender: RecordSender, tracer: Tracer | undefined, options: ProducerOptions) {
    this.#sender = sender;
    this.#tracer = tracer;
    this.#options = options;
    this.#room = new SendRoom(options.bufferBytesMax ?? CLIENT_BUFFER_BYTES_MAX);
  }

  /**
   * Sends one record, or several in order. Resolves when all are durable as `acks` says. Rejects with ClientError, for
   * several records with SendError, which tells of each. Calls are queued in their order.
   */
  send(topic: string, record: OutgoingRecord, options?: SendOptions): Promise<SentRecord>;
  send(topic: string, records: readonly OutgoingRecord[], options?: SendOptions): Promise<readonly SentRecord[]>;
  send(
    topic: string,
    what: OutgoingRecord | readonly OutgoingRecord[],
    options: SendOptions = {},
  ): Promise<SentRecord | readonly SentRecord[]> {
    const many = isMany(what);
    return new Promise((resolve, reject) => {
      const records = many ? what : [what];
      if (records.length === 0) return resolve([]);
      const answer = (results: readonly SentRecord[]): void => {
        const only = results[0];
        if (many) resolve(results);
        else if (only !== undefined) resolve(only);
      };
      try {
        this.#begin(topic, records, options, answer, reject);
      } catch (error) {
        reject(clientError(error));
      }
    });
  }

  /** Resolves when every send so far has its result, good or bad. Does not wait for the linger. */
  async flush(): Promise<void> {
    this.#flushCount += 1;
    this.#sender.flush(true);
    await Promise.all([...this.#open].map((call) => call.over));
    this.#flushCount -= 1;
    if (this.#flushCount === 0) this.#sender.flush(false);
  }

  /** True once `close` was called. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Refuses further sends, waits for those under way, and closes the stream. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.flush();
    clearTimeout(this.#sweep);
    this.#sender.close();
  }

  #begin(
    topic: string,
    records: readonly OutgoingRecord[],
    options: SendOptions,
    resolve: (results: readonly SentRecord[]) => void,
    reject: (error: Error) => void,
  ): void {
    const { signal } = options;
    if (this.#closed) throw refused('CANCELLED', 'the producer is closed');
    if (signal?.aborted === true) throw refused('CANCELLED', 'cancelled before the record was sent');
    checkSendOptions(topic, options);
    const span = this.#tracer === undefined ? undefined : sendSpan(this.#tracer, topic, records.length);
    const traceparent = traceparentOf(span);
    const wire = records.map((record) => wireRecord(record, traceparent));
    const sizes = checkAll(wire, span);
    const queuedAtMs = performance.now();
    const deadlineAtMs = queuedAtMs + (this.#options.deliveryTimeoutMs ?? DELIVERY_TIMEOUT_MS);
    let giveUp = (): void => {
      waiting.cancelled = true;
      call.fail(refused('CANCELLED', 'cancelled before the record was sent'));
    };
    const onAbort = (): void => giveUp();
    const call = new SendCall({
      topic,
      recordCount: records.length,
      bytes: sizes.reduce((sum, bytes) => sum + bytes, 0),
      span,
      resolve,
      reject,
      onOver: () => {
        this.#open.delete(call);
        if (call.entered) this.#room.leave(call.bytes);
        signal?.removeEventListener('abort', onAbort);
      },
    });
    const outgoing: OutgoingCall = {
      call,
      topic,
      records: wire,
      sizes,
      options,
      traceparent,
      queuedAtMs,
      deadlineAtMs,
    };
    const waiting = {
      bytes: call.bytes,
      deadlineAtMs,
      cancelled: false,
      fail: (error: PartitaError) => call.fail(error),
      enter: () => {
        call.entered = true;
        giveUp = this.#sender.send(outgoing);
      },
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#open.add(call);
    if (this.#room.tryEnter(call.bytes)) waiting.enter();
    else this.#room.wait(waiting);
    this.#sweepLater();
  }

  #sweepLater(): void {
    if (this.#open.size === 0) return;
    this.#sweep ??= setTimeout(() => {
      this.#sweep = undefined;
      const nowMs = performance.now();
      this.#sender.expire(nowMs);
      this.#room.expire(nowMs);
      this.#sweepLater();
    }, SWEEP_MS);
  }
}

function isMany(what: OutgoingRecord | readonly OutgoingRecord[]): what is readonly OutgoingRecord[] {
  return Array.isArray(what);
}

/** Sizes of the records; the call's span ends here when one is refused. */
function checkAll(records: readonly WireRecord[], span: Span | undefined): number[] {
  try {
    return records.map((record) => checkRecord(record, RECORD_LIMITS));
  } catch (error) {
    if (span !== undefined) failSpan(span, error);
    span?.end(spanTimeMs());
    throw error;
  }
}
