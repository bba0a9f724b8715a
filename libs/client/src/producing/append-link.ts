/**
 * One AppendStream to one broker, shared by all partitions. Frames are answered by number. When the stream breaks every
 * frame that was sent is in doubt: OUTCOME_UNKNOWN.
 */
import { HEARTBEAT_MS, PartitaError, STREAM_SILENCE_MS_MAX } from '@partita/domain';
import { BrokerServiceService } from '@partita/protocol';
import type { AppendEntry, AppendStreamRequest, AppendStreamResponse } from '@partita/protocol';
import { fromRpcStatus } from '@partita/rpc';
import { openBidi } from '@partita/rpc/client';
import type { BidiStream, ChannelPool } from '@partita/rpc/client';
import type { AppendOutcome } from './append-job.ts';

interface PendingFrame {
  readonly entry: AppendEntry;
  /** Monotonic milliseconds. */
  readonly expiresAtMs: number;
  readonly done: (outcome: AppendOutcome) => void;
}

export interface AppendLinkOwner {
  /** Takes no more batches; those that were sent still get their outcome. Called once, before `onClosed`. */
  onRetired(): void;
  onClosed(): void;
}

export class AppendLink {
  readonly #address: string;
  readonly #owner: AppendLinkOwner;
  readonly #stream: BidiStream<AppendStreamRequest>;
  /** Sent, waiting for an answer. Invariant: bounded by the lanes, which have a few batches each under way. */
  readonly #sent = new Map<bigint, PendingFrame>();
  /** Waiting for `ready`, or for room in the connection. Bounded as `#sent` is. */
  #waiting: PendingFrame[] = [];
  #ready = false;
  #retired = false;
  #nextFrameId = 1n;
  #heardMs = performance.now();
  readonly #heartbeat: ReturnType<typeof setInterval>;

  constructor(pool: ChannelPool, address: string, owner: AppendLinkOwner) {
    this.#address = address;
    this.#owner = owner;
    this.#stream = openBidi(
      pool.client(address),
      BrokerServiceService.appendStream,
      {
        onMessage: (message) => this.#onMessage(message),
        onDrain: () => this.#flush(),
        onClose: (error) => this.#onClose(error),
      },
      { append: true },
    );
    this.#stream.send({ message: { $case: 'initial', initial: {} } }, 0);
    this.#heartbeat = setInterval(() => this.#beat(), HEARTBEAT_MS);
  }

  /** Sends one batch, or fails it once its time is over before it could be sent. `done` is called once, never before this returns. */
  append(entry: AppendEntry, timeoutMs: number, done: (outcome: AppendOutcome) => void): void {
    const frame = { entry, expiresAtMs: performance.now() + timeoutMs, done };
    if (this.#ready && this.#stream.writable && this.#waiting.length === 0) this.#send(frame);
    else this.#waiting.push(frame);
  }

  close(): void {
    this.#stream.cancel();
  }

  #flush(): void {
    if (!this.#ready) return;
    const nowMs = performance.now();
    let count = 0;
    const late: PendingFrame[] = [];
    for (const frame of this.#waiting) {
      if (!this.#stream.writable) break;
      if (frame.expiresAtMs > nowMs) this.#send(frame);
      else late.push(frame);
      count += 1;
    }
    this.#waiting.splice(0, count);
    for (const { entry, done } of late) done(this.#tooLate(entry));
  }

  #tooLate({ topic, partition }: AppendEntry): PartitaError {
    const text = `broker ${this.#address} took nothing within the time of the batch; it was not sent`;
    return new PartitaError('TIMED_OUT', text, { topic, partition: String(partition), address: this.#address });
  }

  #send(frame: PendingFrame): void {
    const frameId = this.#nextFrameId++;
    this.#sent.set(frameId, frame);
    const timeoutMs = Math.max(1, Math.floor(frame.expiresAtMs - performance.now()));
    const append = { frameId, entries: [frame.entry], timeoutMs };
    this.#stream.send({ message: { $case: 'append', append } }, frame.entry.recordBatches.byteLength);
  }

  #beat(): void {
    if (performance.now() - this.#heardMs > STREAM_SILENCE_MS_MAX) this.#stream.cancel();
    else if (this.#stream.writable) this.#stream.send({ message: { $case: 'heartbeat', heartbeat: {} } }, 0);
  }

  #onMessage({ message }: AppendStreamResponse): void {
    this.#heardMs = performance.now();
    if (message?.$case === 'result') this.#onResult(message.result.frameId, message.result.results[0]?.outcome);
    else if (message?.$case === 'ready') {
      this.#ready = true;
      this.#flush();
    } else if (message?.$case === 'draining') this.#retire('it is shutting down');
  }

  #onResult(
    frameId: bigint,
    outcome: NonNullable<
      Extract<AppendStreamResponse['message'], { $case: 'result' }>
    >['result']['results'][number]['outcome'],
  ): void {
    const frame = this.#sent.get(frameId);
    if (frame === undefined) return;
    this.#sent.delete(frameId);
    this.#endWhenDone();
    if (outcome?.$case === 'ack') frame.done(outcome.ack);
    else if (outcome?.$case === 'error') frame.done(fromRpcStatus(outcome.error));
    else frame.done(new PartitaError('OUTCOME_UNKNOWN', `broker ${this.#address} answered without a result`));
  }

  /** Gives back what was not sent, and ends the stream once what was sent is answered. */
  #retire(why: string): void {
    if (this.#retired) return;
    this.#retired = true;
    this.#owner.onRetired();
    const metadata = { address: this.#address };
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const frame of waiting)
      frame.done(new PartitaError('SERVICE_UNREACHABLE', `broker ${this.#address}: ${why}`, metadata));
    this.#endWhenDone();
  }

  /** Ended from here, so that no batch is on its way when the broker ends it. */
  #endWhenDone(): void {
    if (this.#retired && this.#sent.size === 0) this.#stream.end();
  }

  #onClose(error: PartitaError | undefined): void {
    clearInterval(this.#heartbeat);
    const text = error === undefined ? 'closed' : error.message;
    this.#retire(text);
    this.#owner.onClosed();
    const doubt = new PartitaError(
      'OUTCOME_UNKNOWN',
      `the stream to broker ${this.#address} broke (${text}); the append may have happened`,
      {
        address: this.#address,
      },
    );
    const sent = [...this.#sent.values()];
    this.#sent.clear();
    for (const frame of sent) frame.done(doubt);
  }
}
