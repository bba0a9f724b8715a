/**
 * PartitaError to gRPC status and back. A status carries `grpc-status-details-bin`: a serialised google.rpc.Status whose
 * details are ErrorInfo{reason, domain "partita", metadata} and, when there is a delay, RetryInfo. The same message
 * travels in-band in streams. What is no PartitaError leaves as INTERNAL with the request id and no text of its own.
 */
import { Metadata, status as code } from '@grpc/grpc-js';
import type { ServiceError, StatusObject } from '@grpc/grpc-js';
import { ERROR_REASONS, PartitaError, asPartitaError } from '@partita/domain';
import type { ErrorMetadata, ErrorReason } from '@partita/domain';
import { ErrorInfo, RetryInfo, Status } from '@partita/protocol';
import { codeOf } from './errors.ts';

const DOMAIN = 'partita';
const DETAILS_KEY = 'grpc-status-details-bin';
const ERROR_INFO_URL = 'type.googleapis.com/google.rpc.ErrorInfo';
const RETRY_INFO_URL = 'type.googleapis.com/google.rpc.RetryInfo';

/** A status has to fit into a caller's metadata limit, twice over (text and details). */
const MESSAGE_CHARS_MAX = 1024;
const VALUE_CHARS_MAX = 256;
/** No JavaScript string with half a surrogate pair survives the percent-encoding of `grpc-message`. */
const LONE_SURROGATE = /\p{Surrogate}/gu;

const REASONS: ReadonlySet<string> = new Set(ERROR_REASONS);

/** A status as grpc-js takes it. */
export interface WireStatus {
  readonly code: code;
  readonly details: string;
  readonly metadata: Metadata;
}

/** The status that tells a caller of `error`. `requestId` goes into INTERNAL errors, to find the log line by. */
export function toStatus(error: unknown, requestId?: string): WireStatus {
  const message = toRpcStatus(error, requestId);
  const metadata = new Metadata();
  metadata.set(DETAILS_KEY, Buffer.from(Status.encode(message).finish()));
  return { code: message.code, details: message.message, metadata };
}

/** The same for an answer within a stream. */
export function toRpcStatus(error: unknown, requestId?: string): Status {
  const fault = asPartitaError(error);
  const requestIdEntry = fault.reason === 'INTERNAL' && requestId !== undefined ? { request_id: requestId } : {};
  const metadata: Record<string, string> = {};
  for (const [key, value] of Object.entries({ ...fault.metadata, ...requestIdEntry })) {
    metadata[key] = wellFormed(value, VALUE_CHARS_MAX);
  }
  const info = ErrorInfo.encode({ reason: fault.reason, domain: DOMAIN, metadata }).finish();
  const details: Status['details'] = [{ typeUrl: ERROR_INFO_URL, value: info }];
  if (fault.retryAfterMs !== undefined) {
    details.push({ typeUrl: RETRY_INFO_URL, value: encodeRetryInfo(fault.retryAfterMs) });
  }
  return { code: codeOf(fault.reason), message: wellFormed(fault.message, MESSAGE_CHARS_MAX), details };
}

/** The error that an in-band status tells of; one without our ErrorInfo is read by its code. */
export function fromRpcStatus(
  message: Status,
  options: { readonly append: boolean } = { append: false },
): PartitaError {
  return fromDetails(message) ?? byCode(message.code, message.message, { append: options.append, address: undefined });
}

export interface StatusReading {
  /** True when the call may have appended: what is not certain is OUTCOME_UNKNOWN. */
  readonly append: boolean;
  /** Where the call went, for messages. */
  readonly address?: string | undefined;
}

/** The error that a failed call tells of. */
export function fromServiceError(error: ServiceError, reading: StatusReading): PartitaError {
  return fromStatusObject(error, reading);
}

/** The same from the bare status of a call. */
export function fromStatusObject(
  status: Pick<StatusObject, 'code' | 'details' | 'metadata'>,
  reading: StatusReading,
): PartitaError {
  // A call that grpc-js ends by itself may have no metadata, whatever its type says.
  const bytes = (status.metadata as Metadata | undefined)?.get(DETAILS_KEY)[0];
  if (bytes !== undefined && typeof bytes !== 'string') {
    const named = decodeDetails(bytes);
    if (named !== undefined) return named;
  }
  return byCode(status.code, status.details, { append: reading.append, address: reading.address });
}

/** Whether a status carries details of its own, ours or anybody's. */
export function hasDetails(metadata: Metadata | null | undefined): boolean {
  return metadata !== null && metadata !== undefined && metadata.get(DETAILS_KEY).length > 0;
}

function decodeDetails(bytes: Buffer): PartitaError | undefined {
  try {
    return fromDetails(Status.decode(bytes));
  } catch {
    return undefined; // not ours: the code has to do
  }
}

function fromDetails(message: Status): PartitaError | undefined {
  let named: { reason: ErrorReason; metadata: ErrorMetadata } | undefined;
  let retryAfterMs: number | undefined;
  for (const { typeUrl, value } of message.details) {
    if (typeUrl === ERROR_INFO_URL) {
      const info = ErrorInfo.decode(value);
      if (info.domain === DOMAIN && isReason(info.reason)) named = { reason: info.reason, metadata: info.metadata };
    } else if (typeUrl === RETRY_INFO_URL) {
      const delay = RetryInfo.decode(value).retryDelay;
      if (delay !== undefined) retryAfterMs = Number(delay.seconds) * 1000 + delay.nanos / 1e6;
    }
  }
  if (named === undefined) return undefined;
  const options = retryAfterMs === undefined ? {} : { retryAfterMs };
  return new PartitaError(named.reason, message.message, named.metadata, options);
}

/** What grpc-js says when a request certainly never left this process. */
const NEVER_SENT =
  /^(No connection established|Name resolution failed|Request message serialization failure|Attempted to send message with a size larger)/;

interface CodeReading {
  readonly append: boolean;
  readonly address: string | undefined;
}

/** The reason for a status without our ErrorInfo: made by grpc-js, by a proxy, or by a newer server. */
function byCode(received: number, details: string, reading: CodeReading): PartitaError {
  const metadata: Record<string, string> = reading.address === undefined ? {} : { address: reading.address };
  const where = reading.address === undefined ? 'the service' : reading.address;
  if (reading.append && !NEVER_SENT.test(details)) {
    const why = `${where} gave no definite answer (${details}): the append may have happened; send it again only as the same request`;
    return new PartitaError('OUTCOME_UNKNOWN', why, metadata);
  }
  switch (received) {
    case code.UNAVAILABLE:
      return new PartitaError('SERVICE_UNREACHABLE', `${where} does not answer: ${plain(details)}`, metadata);
    case code.DEADLINE_EXCEEDED:
      return new PartitaError('TIMED_OUT', `${where} did not answer within the deadline: ${details}`, metadata);
    case code.CANCELLED:
      return new PartitaError('CANCELLED', `the call was cancelled: ${details}`, metadata);
    case code.RESOURCE_EXHAUSTED:
      return new PartitaError('LIMIT_EXCEEDED', `${where}: ${details}`, metadata);
    case code.UNIMPLEMENTED:
      return new PartitaError('NOT_IMPLEMENTED', `${where}: ${details}`, metadata);
    case code.INVALID_ARGUMENT:
    case code.NOT_FOUND:
    case code.FAILED_PRECONDITION:
    case code.OUT_OF_RANGE:
      return new PartitaError('INVALID_REQUEST', `${where} refused the request: ${details}`, metadata);
    case code.PERMISSION_DENIED:
    case code.UNAUTHENTICATED:
      return new PartitaError('PERMISSION_DENIED', `${where}: ${details}`, metadata);
    default:
      return new PartitaError('INTERNAL', `${where} failed with ${code[received] ?? received}: ${details}`, metadata);
  }
}

/** What went wrong with a connection, without what grpc-js wraps around it. */
function plain(details: string): string {
  const cause = /Last error: (?:Error: )?(.*?)\.? Resolution note:/.exec(details);
  return cause?.[1] ?? details;
}

function isReason(name: string): name is ErrorReason {
  return REASONS.has(name);
}

function encodeRetryInfo(delayMs: number): Uint8Array {
  const seconds = Math.floor(delayMs / 1000);
  const nanos = Math.round((delayMs - seconds * 1000) * 1e6);
  return RetryInfo.encode({ retryDelay: { seconds: BigInt(seconds), nanos } }).finish();
}

function wellFormed(text: string, charsMax: number): string {
  const short = text.length > charsMax ? `${text.slice(0, charsMax - 1)}…` : text;
  return short.replace(LONE_SURROGATE, '\uFFFD');
}
