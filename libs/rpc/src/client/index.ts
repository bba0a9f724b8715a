/** Calling others: one channel per address, calls as promises, streams as callbacks, errors as PartitaError. */
export { ChannelPool, makeClient } from './channel-pool.ts';
export type { ChannelOptions, ClientConstructor } from './channel-pool.ts';
export { callUnary, serverStream } from './call.ts';
export type { CallOptions, UnaryCallOptions } from './call.ts';
export { openBidi, openServerStream } from './client-stream.ts';
export type { BidiStream, ReadStream, StreamHandlers, StreamOptions } from './client-stream.ts';
export { backoffDelayMs, retry } from './retry.ts';
export type { RetryOptions } from './retry.ts';
export { keepInstanceSessions } from './instance-session.ts';
export type { InstanceIdentity, InstanceSessions, InstanceSessionsOptions } from './instance-session.ts';
