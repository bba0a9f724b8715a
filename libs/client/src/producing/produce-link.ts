/**
 * One ProduceStream to one gateway, shared by all topics of a producer. Frames are answered by number. When the stream
 * breaks, every frame that was sent is in doubt: OUTCOME_UNKNOWN.
 */
import { HEARTBEAT_MS, PartitaError, STREAM_SILENCE_MS_MAX } from '@partita/domain';
import { ProducerServiceService, ProduceStreamInitial } from '@partita/protocol';
import type {
  ProduceBatchFrame,
  ProduceFrame,
  ProduceFrameResult,
  ProduceResponse,
  ProduceStreamRequest,
  ProduceStreamResponse,
} from '@partita/protocol';
import { fromRpcStatus } from '@partita/rpc';
import { openBidi } from '@partita/rpc/client';
import type { BidiStream, ChannelPool } from '@partita/rpc/client';

/** What became of a frame as a whole. */
export type FrameOutcome = ProduceResponse | PartitaError;

export interface ProduceLinkOwner {
  /** Frames may be sent from now on, or there is room again. */
  onRoom(): void;
  /** Takes no more frames; those under way still get their outcome. Called once. */
  onRetired(error: PartitaError | undefined): void;
}

interface SentFrame {
  readonly bytes: number;
  readonly done: (outcome: FrameOutcome) => void;
}

const SILENT_BEATS_MAX = 10;

export class ProduceLink {
  readonly address: string;
  readonly #owner: ProduceLinkOwner;
  readonly #stream: BidiStream<ProduceStreamRequest>;
  readonly #sent = new Map<bigint, SentFrame>();
  #state: 'opening' | 'ready' | 'retired' = 'opening';
  #framesMax = 0;
  #bytesMax = 0;
  #bytesInFlight = 0;
  #nextFrameId = 1n;
  #heardMs = performance.now();
  #silenceMsMax = STREAM_SILENCE_MS_MAX;
  #heartbeat: ReturnType<typeof setInterval>;

  constructor(pool: ChannelPool, address: string, owner: ProduceLinkOwner) {
    this.address = address;
    this.#owner = owner;
    this.#stream = openBidi(
      pool.client(address),
      ProducerServiceService.produceStream,
      { onMessage: (message) => this.#onMessage(message), onClose: (error) => this.#onClose(error) },
      // Bounded by what `ready` allows in flight.
      { append: true, pendingBytesMax: Number.MAX_SAFE_INTEGER },
    );
    this.#stream.send({ message: { $case: 'initial', initial: ProduceStreamInitial.fromPartial({}) } });
    this.#heartbeat = setInterval(() => this.#beat(), HEARTBEAT_MS);
  }

  /** Whether a frame of that size may be sent now. One frame always may, whatever its size. */
  hasRoom(bytes: number): boolean {
    if (this.#state !== 'ready') return false;
    if (this.#sent.size === 0) return true;
    return this.#sent.size < this.#framesMax && this.#bytesInFlight + bytes <= this.#bytesMax;
  }

  /** Sends records; `hasRoom` was true. `done` is called once, never before this returns. */
  sendRecords(frame: Omit<ProduceFrame, 'frameId'>, bytes: number, done: (outcome: FrameOutcome) => void): void {
    const frameId = this.#take(bytes, done);
    const produce = { ...frame, frameId, timeoutMs: wholeMs(frame.timeoutMs) };
    this.#stream.send({ message: { $case: 'produce', produce } }, bytes);
  }

  /** Sends a ready batch, under the same conditions. */
  sendBatch(frame: Omit<ProduceBatchFrame, 'frameId'>, done: (outcome: FrameOutcome) => void): void {
    const bytes = frame.recordBatches.byteLength;
    const frameId = this.#take(bytes, done);
    const batch = { ...frame, frameId, timeoutMs: wholeMs(frame.timeoutMs) };
    this.#stream.send({ message: { $case: 'batch', batch } }, bytes);
  }

  /** Ends the stream; what is still under way is in doubt. */
  close(): void {
    this.#stream.cancel();
  }

  #take(bytes: number, done: (outcome: FrameOutcome) => void): bigint {
    const frameId = this.#nextFrameId++;
    this.#sent.set(frameId, { bytes, done });
    this.#bytesInFlight += bytes;
    return frameId;
  }

  #beat(): void {
    if (performance.now() - this.#heardMs > this.#silenceMsMax) this.#stream.cancel();
    else this.#stream.send({ message: { $case: 'heartbeat', heartbeat: {} } });
  }

  #onMessage({ message }: ProduceStreamResponse): void {
    this.#heardMs = performance.now();
    if (message?.$case === 'result') return this.#onResult(message.result);
    if (message?.$case === 'draining') return this.#retire(undefined);
    if (message?.$case !== 'ready' || this.#state !== 'opening') return;
    this.#state = 'ready';
    this.#framesMax = message.ready.framesInFlightMax;
    this.#bytesMax = Number(message.ready.bytesInFlightMax);
    if (message.ready.heartbeatMs > 0) {
      this.#silenceMsMax = message.ready.heartbeatMs * SILENT_BEATS_MAX;
      clearInterval(this.#heartbeat);
      this.#heartbeat = setInterval(() => this.#beat(), message.ready.heartbeatMs);
    }
    this.#owner.onRoom();
  }

  #onResult({ frameId, outcome }: ProduceFrameResult): void {
    const frame = this.#sent.get(frameId);
    if (frame === undefined) return;
    this.#sent.delete(frameId);
    this.#bytesInFlight -= frame.bytes;
    if (outcome?.$case === 'response') frame.done(outcome.response);
    else if (outcome?.$case === 'error') frame.done(fromRpcStatus(outcome.error));
    else frame.done(new PartitaError('OUTCOME_UNKNOWN', `gateway ${this.address} answered without a result`));
    if (this.#state === 'retired' && this.#sent.size === 0) this.#stream.end();
    else this.#owner.onRoom();
  }

  #retire(error: PartitaError | undefined): void {
    if (this.#state === 'retired') return;
    this.#state = 'retired';
    this.#owner.onRetired(error);
    if (this.#sent.size === 0) this.#stream.end();
  }

  #onClose(error: PartitaError | undefined): void {
    clearInterval(this.#heartbeat);
    this.#retire(error);
    const text = error === undefined ? 'it was closed' : error.message;
    const doubt = new PartitaError('OUTCOME_UNKNOWN', `the stream to gateway ${this.address} broke: ${text}`, {
      address: this.address,
    });
    const sent = [...this.#sent.values()];
    this.#sent.clear();
    for (const frame of sent) frame.done(doubt);
  }
}

function wholeMs(timeoutMs: number): number {
  return Math.max(1, Math.floor(timeoutMs));
}
