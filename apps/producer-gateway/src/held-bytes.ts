import { PartitaError, SERVER_BUFFER_BYTES_MAX } from '@partita/domain';

/** Bytes of requests that wait for their answer, over all clients and partitions of this gateway. */
export class HeldBytes {
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** Counts a request in, or throws QUEUE_FULL. One request always gets through. */
  take(bytes: number): void {
    if (this.#bytes > 0 && this.#bytes + bytes > SERVER_BUFFER_BYTES_MAX) {
      const metadata = { queue: 'gateway', limit: String(SERVER_BUFFER_BYTES_MAX) };
      const text = 'the gateway holds as many bytes as it may; slow down';
      throw new PartitaError('QUEUE_FULL', text, metadata, { retryAfterMs: 500 });
    }
    this.#bytes += bytes;
  }

  /** The request is answered. */
  release(bytes: number): void {
    this.#bytes -= bytes;
  }
}
