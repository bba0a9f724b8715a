/** What is measured: sizes and counts that both sides share, ours and raw gRPC. */

const KIB = 1024;

/** One record as serialised: key and value with their tags. */
export const RECORD_BYTES = 1 * KIB;
/** A batch as sent: header and records. */
export const BATCH_BYTES = 256 * KIB;
export const PARTITION_COUNT = 6;
export const BROKER_COUNT = 3;
/** Frames that a load generator keeps in flight: four per partition. */
export const FRAMES_IN_FLIGHT = 24;
/** Callers of the unary row, each with one call at a time. */
export const CALLER_COUNT = 32;
/** What the rows that read find: enough for a run of some seconds, small enough to stay in the page cache. */
export const READ_TOPIC_BYTES = 256 * KIB * KIB;

/** HTTP/2 receive windows, of ours and of the raw peers: per stream, and per connection at a server. */
export const STREAM_WINDOW_BYTES = 8 * KIB * KIB;
export const CONNECTION_WINDOW_BYTES = 16 * KIB * KIB;

/** The first run of a side is thrown away: it compiles the code and opens the connections. */
export const WARM_UP_SECONDS = 1;
