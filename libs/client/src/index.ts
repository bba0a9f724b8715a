/** The SDK: produce, consume and administer through any address of a cluster; and the direct path to partition leaders. */
export { AppendLink } from './append-link.ts';
export type { AppendOutcome } from './append-link.ts';
export { LeaderAppender } from './leader-appender.ts';
export type { AppendJob } from './leader-appender.ts';
export { LeaderReader } from './leader-reader.ts';
export type { Reading, ReadingOptions } from './leader-reader.ts';
export { pause } from './pause.ts';
export { RouteCache } from './route-cache.ts';
export type { RouteCacheOptions } from './route-cache.ts';
export { RouteTable } from './route-table.ts';
export type { LeaderRoute } from './route-table.ts';
export { contextOf, sampledParent, traceparentOf } from './trace-context.ts';
