/**
 * Calls with any bytes as their messages, and the answer exactly as it came: code and the ErrorInfo that was really
 * there. The SDK's own reading, which finds a reason for every status, would hide a status without one.
 */
import { Client, Metadata, credentials, status } from '@grpc/grpc-js';
import type { ChannelOptions, ServiceError } from '@grpc/grpc-js';
import { ErrorInfo, Status } from '@partita/protocol';

export interface RawAnswer {
  /** Name of the gRPC code: `INVALID_ARGUMENT`. */
  readonly code: string;
  /** Reason of our ErrorInfo; undefined when the status has none. */
  readonly reason: string | undefined;
  /** What our ErrorInfo says besides; empty without one. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly message: string;
  /** Serialised responses: one of a unary call, any number of a stream. */
  readonly responses: readonly Buffer[];
}

const identity = (bytes: Buffer): Buffer => bytes;

/** One connection to one address. */
export class RawClient {
  readonly #client: Client;

  constructor(address: string, options: ChannelOptions = {}) {
    this.#client = new Client(address, credentials.createInsecure(), {
      ...options,
      'grpc.max_send_message_length': -1,
      'grpc.max_receive_message_length': -1,
      'grpc.use_local_subchannel_pool': 1,
    });
  }

  close(): void {
    this.#client.close();
  }

  unary(path: string, request: Uint8Array, deadlineMs = 5000): Promise<RawAnswer> {
    return new Promise((resolve) => {
      this.#client.makeUnaryRequest(
        path,
        identity,
        identity,
        Buffer.from(request),
        new Metadata(),
        { deadline: Date.now() + deadlineMs },
        (error, response) => resolve(answer(error, response === undefined ? [] : [response])),
      );
    });
  }

  /** Sends all messages, ends its side when `end` says so, and collects responses until the server ends the stream. */
  stream(path: string, messages: readonly Uint8Array[], options: StreamOptions = {}): Promise<RawAnswer> {
    const responses: Buffer[] = [];
    const deadline = Date.now() + (options.deadlineMs ?? 5000);
    const call = this.#client.makeBidiStreamRequest(path, identity, identity, new Metadata(), { deadline });
    return new Promise((resolve) => {
      call.on('data', (response: Buffer) => {
        responses.push(response);
        if (options.enough?.(responses) === true) call.end();
      });
      call.on('error', (error: ServiceError) => resolve(answer(error, responses)));
      call.on('end', () => resolve(answer(null, responses)));
      for (const message of messages) call.write(Buffer.from(message));
      if (options.enough === undefined && options.end !== false) call.end();
    });
  }
}

export interface StreamOptions {
  readonly deadlineMs?: number;
  /** Ends our side when these responses are enough. */
  readonly enough?: (responses: readonly Buffer[]) => boolean;
  /** False = our side stays open: only the server can end the stream. Default true. */
  readonly end?: boolean;
}

function answer(error: ServiceError | null, responses: readonly Buffer[]): RawAnswer {
  if (error === null) return { code: 'OK', reason: undefined, metadata: {}, message: '', responses };
  // A call that grpc-js ends by itself may have no metadata, whatever its type says.
  const metadata = error.metadata as Metadata | undefined;
  const details = metadata?.get('grpc-status-details-bin')[0];
  const info = details instanceof Buffer ? infoIn(Status.decode(details)) : undefined;
  const { reason, metadata: more = {} } = info ?? {};
  return { code: status[error.code], reason, metadata: more, message: error.details, responses };
}

/** The reason of our ErrorInfo in a status, in-band or not. */
export function reasonIn(message: Status | undefined): string | undefined {
  return infoIn(message)?.reason;
}

/** Our ErrorInfo in a status, in-band or not. */
export function infoIn(message: Status | undefined): ErrorInfo | undefined {
  const detail = message?.details.find(({ typeUrl }) => typeUrl.endsWith('/google.rpc.ErrorInfo'));
  if (detail === undefined) return undefined;
  const info = ErrorInfo.decode(detail.value);
  return info.domain === 'partita' ? info : undefined;
}
