/**
 * The last door of every call: statuses that grpc-js makes by itself (a message beyond the limit, bytes that do not
 * inflate, a deadline) get our ErrorInfo, and code UNKNOWN never leaves. The interceptor puts itself in front of one
 * method of the call instead of wrapping the call, so it costs nothing per message.
 */
import { Metadata, status as code } from '@grpc/grpc-js';
import type { ServerInterceptingCall, ServerInterceptor } from '@grpc/grpc-js';
import { PartitaError } from '@partita/domain';
import { hasDetails, toStatus } from '../status.ts';

/** A status on its way out. */
export interface LeavingStatus {
  readonly code: code;
  readonly details: string;
  readonly metadata?: Metadata | null | undefined;
}

/** `isAppend` tells by path whether the method's effect is in doubt when its deadline passes. */
export function statusSeal(isAppend: (path: string) => boolean): ServerInterceptor {
  return (definition, call) => {
    const send = call.sendStatus.bind(call);
    call.sendStatus = (status) => {
      send(seal(status, definition.path, isAppend(definition.path)));
    };
    // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- the type asks for the wrapping class, grpc-js needs only the interface that the call itself has
    return call as ServerInterceptingCall;
  };
}

/** The status with a reason, if it needs one. Health and reflection answer as their own specifications say. */
export function seal(status: LeavingStatus, path: string, append: boolean): LeavingStatus {
  if (status.code === code.OK || hasDetails(status.metadata)) return status;
  if (path.startsWith('/grpc.') && status.code !== code.UNKNOWN) return status;
  const sealed = toStatus(errorFor(status, path, append));
  if (status.metadata !== null && status.metadata !== undefined) sealed.metadata.merge(status.metadata);
  return sealed;
}

function errorFor(status: LeavingStatus, path: string, append: boolean): PartitaError {
  switch (status.code) {
    case code.RESOURCE_EXHAUSTED:
      return new PartitaError('LIMIT_EXCEEDED', `${status.details}: send smaller messages`, {
        limit: 'message_bytes',
        ...limitIn(status.details),
      });
    case code.DEADLINE_EXCEEDED:
      return append
        ? new PartitaError('OUTCOME_UNKNOWN', 'the deadline passed while the append was under way')
        : new PartitaError('TIMED_OUT', 'the deadline passed before the call was answered');
    case code.UNIMPLEMENTED:
      return new PartitaError('NOT_IMPLEMENTED', status.details, { rpc: path });
    case code.CANCELLED:
      return new PartitaError('CANCELLED', 'the call was cancelled');
    default:
      if (status.details.startsWith('Failed to decompress')) {
        return new PartitaError('MALFORMED_MESSAGE', 'the compressed request does not inflate', { message: path });
      }
      if (status.details.startsWith('Invalid grpc-timeout')) {
        return new PartitaError('INVALID_REQUEST', 'grpc-timeout is not a number and a unit', {
          field: 'grpc-timeout',
        });
      }
      return new PartitaError('INTERNAL', 'an internal error; the server log has the details');
  }
}

/** The limit that grpc-js names last: `(5242885 vs 4194304)`, or `a size larger than 4194304`. */
function limitIn(details: string): { readonly value?: string } {
  const value = /(\d+)\)?$/.exec(details)?.[1];
  return value === undefined ? {} : { value };
}
