/**
 * Requests that are no valid protobuf. grpc-js answers a deserialiser that throws with INTERNAL and no reason, so ours does
 * not throw: it returns an Unreadable in place of the message, and the adapters answer MALFORMED_MESSAGE.
 */
import type { MethodDefinition } from '@grpc/grpc-js';
import { PartitaError } from '@partita/domain';

/** What stands for a request that could not be decoded. */
export class Unreadable {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  error(): PartitaError {
    return new PartitaError(
      'MALFORMED_MESSAGE',
      `the request to ${this.path} is no valid protobuf: check that client and server use the same .proto files`,
      { message: this.path },
    );
  }
}

/** The deserialiser of a method, which never throws. */
export function readable<Request>(
  definition: Pick<MethodDefinition<Request, unknown>, 'path' | 'requestDeserialize'>,
): (bytes: Buffer) => Request | Unreadable {
  const { path, requestDeserialize } = definition;
  const unreadable = new Unreadable(path);
  return (bytes) => {
    try {
      return requestDeserialize(bytes);
    } catch {
      return unreadable;
    }
  };
}
