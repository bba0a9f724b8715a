/**
 * The one error class of Partita. A library throws `PartitaError(reason, message, metadata)`; libs/rpc alone turns it
 * into a gRPC status and back. `ERROR_REASONS` is tied to the proto enum `ErrorReason` by a check in libs/rpc.
 */
export const ERROR_REASONS = [
  'INVALID_REQUEST',
  'MALFORMED_MESSAGE',
  'STREAM_ORDER',
  'INVALID_TOPIC_NAME',
  'INVALID_SETTING',
  'INVALID_BATCH',
  'CHECKSUM_MISMATCH',
  'RECORD_TOO_LARGE',
  'BATCH_TOO_LARGE',
  'UNSUPPORTED_CODEC',
  'INVALID_TIMESTAMP',
  'INVALID_PAGE_TOKEN',
  'TOPIC_NOT_FOUND',
  'PARTITION_NOT_FOUND',
  'GROUP_NOT_FOUND',
  'MEMBER_NOT_FOUND',
  'BROKER_NOT_FOUND',
  'REPLICA_NOT_FOUND',
  'REASSIGNMENT_NOT_FOUND',
  'TRACE_NOT_FOUND',
  'TOPIC_ALREADY_EXISTS',
  'OFFSET_OUT_OF_RANGE',
  'NOT_LEADER',
  'EXPECTED_OFFSET_MISMATCH',
  'PARTITION_SEALED',
  'NOT_GROUP_OWNER',
  'NOT_ACTIVE_COORDINATOR',
  'GROUP_NOT_EMPTY',
  'PARTITION_COUNT_FIXED',
  'DATA_LOSS_NOT_ACCEPTED',
  'WRONG_CLUSTER',
  'VERSION_NOT_SUPPORTED',
  'OUT_OF_ORDER_SEQUENCE',
  'INTERNAL_TOPIC',
  'FENCED_EPOCH',
  'STALE_GENERATION',
  'FENCED_INSTANCE',
  'FENCED_PRODUCER',
  'FENCED_CLAIM',
  'UNKNOWN_PRODUCER',
  'PRODUCER_EXPIRED',
  'ETAG_MISMATCH',
  'LOG_TRUNCATED',
  'OFFSET_LOST',
  'OUTCOME_UNKNOWN',
  'TIMED_OUT',
  'CANCELLED',
  'NOT_ENOUGH_REPLICAS',
  'NOT_ENOUGH_BROKERS',
  'SHUTTING_DOWN',
  'LEADER_NOT_AVAILABLE',
  'NOT_YET',
  'COORDINATOR_UNAVAILABLE',
  'METADATA_STORE_UNAVAILABLE',
  'REBUILDING',
  'GROUP_LOADING',
  'SERVICE_UNREACHABLE',
  'QUOTA_EXCEEDED',
  'QUEUE_FULL',
  'STORAGE_FULL',
  'LIMIT_EXCEEDED',
  'PRODUCER_TABLE_FULL',
  'CORRUPT_BATCH',
  'STORAGE_FAILED',
  'NOT_IMPLEMENTED',
  'PERMISSION_DENIED',
  'INTERNAL',
  'REPLICA_CHANGE_REFUSED',
  'BROKER_NOT_EMPTY',
  'REASSIGNMENT_UNDER_WAY',
] as const;

/** Name of a failure that a user or operator can meet; documented in proto/partita/v1/error_reason.proto. */
export type ErrorReason = (typeof ERROR_REASONS)[number];

/** Variable parts of an error, also named in its message. Keys are lower_snake_case, values text. */
export type ErrorMetadata = Readonly<Record<string, string>>;

/** A failure with a name. `message` is for people and says what to do; programs look at `reason` and `metadata`. */
export class PartitaError extends Error {
  override readonly name = 'PartitaError';
  readonly reason: ErrorReason;
  readonly metadata: ErrorMetadata;
  /** How long the other side asks to wait before another try, milliseconds; undefined when it does not say. */
  readonly retryAfterMs: number | undefined;

  constructor(
    reason: ErrorReason,
    message: string,
    metadata: ErrorMetadata = {},
    options: { cause?: unknown; retryAfterMs?: number } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.reason = reason;
    this.metadata = metadata;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** The error as a PartitaError: itself, or INTERNAL around anything else. */
export function asPartitaError(error: unknown): PartitaError {
  if (error instanceof PartitaError) return error;
  return new PartitaError('INTERNAL', 'an internal error; the server log has the details', {}, { cause: error });
}
