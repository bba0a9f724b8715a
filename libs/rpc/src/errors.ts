/**
 * The table from error reasons to gRPC: the status code that carries a reason, whether trying again may help, and whether
 * the request certainly had no effect. Servers encode by it and clients decode by it (status.ts), so reviewing error
 * behaviour is reading this file. It says the same as the options in proto/partita/v1/error_reason.proto; a spec compares.
 */
import { status } from '@grpc/grpc-js';
import type { ErrorReason, PartitaError } from '@partita/domain';
import type { ErrorReason as ProtoErrorReason } from '@partita/protocol';

/** Whether and how to try again; the values are described at RetryAdvice in the proto. */
export type RetryAdviceName = 'NEVER' | 'BACKOFF' | 'AFTER_DELAY' | 'REFRESH' | 'REJOIN' | 'SAME_REQUEST';

/** What goes with a reason. */
export interface ErrorRow {
  readonly code: status;
  readonly retry: RetryAdviceName;
  /** True when the request certainly had no effect. */
  readonly definite: boolean;
}

/** `rejected`: nothing happened. `unknown`: it may have. */
export type Outcome = 'rejected' | 'unknown';

type NameOf<Key> = Key extends `ERROR_REASON_${infer Name}` ? Exclude<Name, 'UNSPECIFIED'> : never;
/** The names in the proto enum. The annotation ties the table to domain, `satisfies` to the proto: neither grows alone. */
type ProtoReason = NameOf<keyof typeof ProtoErrorReason>;

export const ERROR_TABLE: Readonly<Record<ErrorReason, ErrorRow>> = {
  INVALID_REQUEST: { code: status.INVALID_ARGUMENT, retry: 'NEVER', definite: true },
  MALFORMED_MESSAGE: { code: status.INVALID_ARGUMENT, retry: 'NEVER', definite: true },
  STREAM_ORDER: { code: status.INVALID_ARGUMENT, retry: 'NEVER', definite: true },
  INVALID_TOPIC_NAME: { code: status.INVALID_ARGUMENT, retry: 'NEVER', definite: true },
  INVALID_SETTING: { code: status.INVALID_ARGUMENT, retry: 'NEVER', definite: true },
  INVALID_BATCH: { code: status.INVALID_ARGUMENT, retry: 'NEVER', definite: true },
  CHECKSUM_MISMATCH: { code: status.INVALID_ARGUMENT, retry: 'NEVER', definite: true },
  RECORD_TOO_LARGE: { code: status.INVALID_ARGUMENT, retry: 'NEVER', definite: true },
  BATCH_TOO_LARGE: { code: status.INVALID_ARGUMENT, retry: 'NEVER', definite: true },
  UNSUPPORTED_CODEC: { code: status.INVALID_ARGUMENT, retry: 'NEVER', definite: true },
  INVALID_TIMESTAMP: { code: status.INVALID_ARGUMENT, retry: 'NEVER', definite: true },
  INVALID_PAGE_TOKEN: { code: status.INVALID_ARGUMENT, retry: 'NEVER', definite: true },
  TOPIC_NOT_FOUND: { code: status.NOT_FOUND, retry: 'NEVER', definite: true },
  PARTITION_NOT_FOUND: { code: status.NOT_FOUND, retry: 'REFRESH', definite: true },
  GROUP_NOT_FOUND: { code: status.NOT_FOUND, retry: 'NEVER', definite: true },
  MEMBER_NOT_FOUND: { code: status.NOT_FOUND, retry: 'REJOIN', definite: true },
  BROKER_NOT_FOUND: { code: status.NOT_FOUND, retry: 'NEVER', definite: true },
  REPLICA_NOT_FOUND: { code: status.NOT_FOUND, retry: 'REFRESH', definite: true },
  REASSIGNMENT_NOT_FOUND: { code: status.NOT_FOUND, retry: 'NEVER', definite: true },
  TRACE_NOT_FOUND: { code: status.NOT_FOUND, retry: 'NEVER', definite: true },
  TOPIC_ALREADY_EXISTS: { code: status.ALREADY_EXISTS, retry: 'NEVER', definite: true },
  OFFSET_OUT_OF_RANGE: { code: status.OUT_OF_RANGE, retry: 'NEVER', definite: true },
  NOT_LEADER: { code: status.FAILED_PRECONDITION, retry: 'REFRESH', definite: true },
  EXPECTED_OFFSET_MISMATCH: { code: status.FAILED_PRECONDITION, retry: 'NEVER', definite: true },
  PARTITION_SEALED: { code: status.FAILED_PRECONDITION, retry: 'REFRESH', definite: true },
  NOT_GROUP_OWNER: { code: status.FAILED_PRECONDITION, retry: 'REFRESH', definite: true },
  NOT_ACTIVE_COORDINATOR: { code: status.FAILED_PRECONDITION, retry: 'REFRESH', definite: true },
  GROUP_NOT_EMPTY: { code: status.FAILED_PRECONDITION, retry: 'NEVER', definite: true },
  PARTITION_COUNT_FIXED: { code: status.FAILED_PRECONDITION, retry: 'NEVER', definite: true },
  DATA_LOSS_NOT_ACCEPTED: { code: status.FAILED_PRECONDITION, retry: 'NEVER', definite: true },
  WRONG_CLUSTER: { code: status.FAILED_PRECONDITION, retry: 'NEVER', definite: true },
  VERSION_NOT_SUPPORTED: { code: status.FAILED_PRECONDITION, retry: 'NEVER', definite: true },
  OUT_OF_ORDER_SEQUENCE: { code: status.FAILED_PRECONDITION, retry: 'NEVER', definite: true },
  INTERNAL_TOPIC: { code: status.FAILED_PRECONDITION, retry: 'NEVER', definite: true },
  FENCED_EPOCH: { code: status.ABORTED, retry: 'REFRESH', definite: true },
  STALE_GENERATION: { code: status.ABORTED, retry: 'REJOIN', definite: true },
  FENCED_INSTANCE: { code: status.ABORTED, retry: 'NEVER', definite: true },
  FENCED_PRODUCER: { code: status.ABORTED, retry: 'NEVER', definite: true },
  FENCED_CLAIM: { code: status.ABORTED, retry: 'REFRESH', definite: true },
  UNKNOWN_PRODUCER: { code: status.ABORTED, retry: 'NEVER', definite: true },
  PRODUCER_EXPIRED: { code: status.ABORTED, retry: 'NEVER', definite: true },
  ETAG_MISMATCH: { code: status.ABORTED, retry: 'NEVER', definite: true },
  LOG_TRUNCATED: { code: status.ABORTED, retry: 'NEVER', definite: true },
  OFFSET_LOST: { code: status.ABORTED, retry: 'NEVER', definite: true },
  OUTCOME_UNKNOWN: { code: status.DEADLINE_EXCEEDED, retry: 'SAME_REQUEST', definite: false },
  TIMED_OUT: { code: status.DEADLINE_EXCEEDED, retry: 'BACKOFF', definite: true },
  CANCELLED: { code: status.CANCELLED, retry: 'NEVER', definite: true },
  NOT_ENOUGH_REPLICAS: { code: status.UNAVAILABLE, retry: 'BACKOFF', definite: true },
  NOT_ENOUGH_BROKERS: { code: status.FAILED_PRECONDITION, retry: 'NEVER', definite: true },
  SHUTTING_DOWN: { code: status.UNAVAILABLE, retry: 'BACKOFF', definite: true },
  LEADER_NOT_AVAILABLE: { code: status.UNAVAILABLE, retry: 'BACKOFF', definite: true },
  NOT_YET: { code: status.UNAVAILABLE, retry: 'BACKOFF', definite: true },
  COORDINATOR_UNAVAILABLE: { code: status.UNAVAILABLE, retry: 'BACKOFF', definite: true },
  METADATA_STORE_UNAVAILABLE: { code: status.UNAVAILABLE, retry: 'BACKOFF', definite: true },
  REBUILDING: { code: status.UNAVAILABLE, retry: 'BACKOFF', definite: true },
  GROUP_LOADING: { code: status.UNAVAILABLE, retry: 'BACKOFF', definite: true },
  SERVICE_UNREACHABLE: { code: status.UNAVAILABLE, retry: 'BACKOFF', definite: true },
  QUOTA_EXCEEDED: { code: status.RESOURCE_EXHAUSTED, retry: 'AFTER_DELAY', definite: true },
  QUEUE_FULL: { code: status.RESOURCE_EXHAUSTED, retry: 'AFTER_DELAY', definite: true },
  STORAGE_FULL: { code: status.RESOURCE_EXHAUSTED, retry: 'BACKOFF', definite: true },
  LIMIT_EXCEEDED: { code: status.RESOURCE_EXHAUSTED, retry: 'NEVER', definite: true },
  PRODUCER_TABLE_FULL: { code: status.RESOURCE_EXHAUSTED, retry: 'BACKOFF', definite: true },
  CORRUPT_BATCH: { code: status.DATA_LOSS, retry: 'NEVER', definite: true },
  STORAGE_FAILED: { code: status.UNAVAILABLE, retry: 'BACKOFF', definite: true },
  NOT_IMPLEMENTED: { code: status.UNIMPLEMENTED, retry: 'NEVER', definite: true },
  PERMISSION_DENIED: { code: status.PERMISSION_DENIED, retry: 'NEVER', definite: true },
  INTERNAL: { code: status.INTERNAL, retry: 'NEVER', definite: true },
  REPLICA_CHANGE_REFUSED: { code: status.FAILED_PRECONDITION, retry: 'BACKOFF', definite: true },
  BROKER_NOT_EMPTY: { code: status.FAILED_PRECONDITION, retry: 'NEVER', definite: true },
  REASSIGNMENT_UNDER_WAY: { code: status.FAILED_PRECONDITION, retry: 'NEVER', definite: true },
} satisfies Readonly<Record<ProtoReason, ErrorRow>>;

/** The gRPC code that carries the reason. */
export function codeOf(reason: ErrorReason): status {
  return ERROR_TABLE[reason].code;
}

export function retryAdviceOf(error: PartitaError): RetryAdviceName {
  return ERROR_TABLE[error.reason].retry;
}

/** True when the request may succeed later, sent again as the advice says (retryAdviceOf). */
export function isRetryable(error: PartitaError): boolean {
  return ERROR_TABLE[error.reason].retry !== 'NEVER';
}

/** Whether the request may have had its effect in spite of the error. */
export function outcomeOf(error: PartitaError): Outcome {
  return ERROR_TABLE[error.reason].definite ? 'rejected' : 'unknown';
}
