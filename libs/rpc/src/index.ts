/** The wire: errors as gRPC statuses, metadata, deadlines. Callers are in `@partita/rpc/client`, listeners in `/server`. */
export { ERROR_TABLE, codeOf, isRetryable, outcomeOf, retryAdviceOf } from './errors.ts';
export type { ErrorRow, Outcome, RetryAdviceName } from './errors.ts';
export { fromRpcStatus, fromServiceError, fromStatusObject, toRpcStatus, toStatus } from './status.ts';
export type { WireStatus } from './status.ts';
export { CLIENT_ID_KEY, RELAYED_KEY, REQUEST_ID_KEY, callMetadata } from './metadata.ts';
export { passedOnDeadlineMs } from './deadline.ts';
export { beginOperation, boundedNames, inCalledPart, UNTRACED } from './operation.ts';
export type { Operation } from './operation.ts';
export { spanTimeMs } from './span-time.ts';
export { activeParent, contextOf, sampledParent, traceparentOf } from './trace-context.ts';
export type { TracingMode } from './tracing-mode.ts';
export { checkEnum } from './check-enum.ts';
export { quotaFromMessage, quotaMessage } from './quota-message.ts';
