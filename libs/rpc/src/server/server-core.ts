/** What the adapters of one server share. */
import type { Metadata } from '@grpc/grpc-js';
import { Metadata as GrpcMetadata } from '@grpc/grpc-js';
import { PartitaError } from '@partita/domain';
import { REQUEST_ID_KEY } from '../metadata.ts';
import type { ByteBudget } from '../send-queue.ts';
import { toStatus } from '../status.ts';
import type { WireStatus } from '../status.ts';

/** The part of a logger that this package needs; the Logger of @partita/runtime fits. */
export interface RpcLogger {
  debug(fields: Readonly<Record<string, unknown>>, message: string): void;
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
}

export class ServerCore {
  readonly name: string;
  readonly logger: RpcLogger;
  /** Bytes waiting to be sent in all streams of the server. */
  readonly budget: ByteBudget;
  readonly #draining = new AbortController();

  constructor(name: string, logger: RpcLogger, bufferBytesMax: number) {
    this.name = name;
    this.logger = logger;
    this.budget = { pendingBytes: 0, bytesMax: bufferBytesMax };
  }

  get draining(): AbortSignal {
    return this.#draining.signal;
  }

  /** From now on new calls are refused with SHUTTING_DOWN, and streams that watch `draining` end. */
  beginDraining(): void {
    if (!this.#draining.signal.aborted) this.#draining.abort(shuttingDown());
  }

  /** Throws SHUTTING_DOWN while draining. */
  admit(): void {
    if (this.#draining.signal.aborted) throw shuttingDown();
  }

  /** The status for a failed call. What is no PartitaError is logged here, once, with the request id to find it by. */
  failure(error: unknown, path: string, requestId: string): WireStatus {
    if (!(error instanceof PartitaError) || error.reason === 'INTERNAL') {
      this.logger.error({ err: error, rpc: path, request_id: requestId }, 'a call failed by a bug');
    }
    const status = toStatus(error, requestId);
    status.metadata.set(REQUEST_ID_KEY, requestId);
    return status;
  }
}

/** Trailers of a call that went well. */
export function trailers(requestId: string): Metadata {
  const metadata = new GrpcMetadata();
  metadata.set(REQUEST_ID_KEY, requestId);
  return metadata;
}

function shuttingDown(): PartitaError {
  return new PartitaError(
    'SHUTTING_DOWN',
    'the server is shutting down: try another instance, or this one in a moment',
  );
}
