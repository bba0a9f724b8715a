/**
 * Every limit of the product that a user can meet, in one place, unit last in the name. A limit that is told to
 * clients is answered by ClusterService.GetCluster from these constants.
 */
const KIB = 1024;
const MIB = 1024 * KIB;

// Records and batches.
/** Default and lowest upper bound of one record: key, value and headers, serialised. */
export const RECORD_BYTES_MAX = 1 * MIB;
/** A batch as stored: header and records, compressed or not. No topic can raise it: a 4 MiB message must hold one. */
export const BATCH_BYTES_MAX = 2 * MIB;
/** Records of a batch after decompression. */
export const BATCH_UNCOMPRESSED_BYTES_MAX = 16 * MIB;
/** Records in one batch. */
export const BATCH_RECORD_COUNT_MAX = 100_000;
/** Headers of one record: how many, and their names and values together. */
export const RECORD_HEADER_COUNT_MAX = 128;
export const RECORD_HEADERS_BYTES_MAX = 64 * KIB;
/** Name of one header, UTF-8. */
export const RECORD_HEADER_NAME_BYTES_MAX = 255;
/** Trace context of a record: W3C traceparent and tracestate. */
export const TRACEPARENT_CHARS_MAX = 55;
export const TRACESTATE_CHARS_MAX = 512;
/** Log lines of one kind of state change; more are counted in one line. */
export const STATE_LINES_PER_SECOND_COUNT_MAX = 20;
/** Traces that a service begins by itself, of its elections, rebalances and recoveries. */
export const OPERATION_TRACES_PER_MINUTE_COUNT_MAX = 120;
/** Records of one batch that are given spans of their own on their way to a member. */
export const TRACED_RECORD_COUNT_MAX = 1000;
/** How far ahead of the receiver's clock a record's timestamp may lie. */
export const TIMESTAMP_FUTURE_MS_MAX = 60 * 60 * 1000;

// Topics.
export const TOPIC_NAME_CHARS_MAX = 249;
export const PARTITION_COUNT_MAX = 10_000;
export const REPLICATION_FACTOR_MAX = 7;
/** Replicas of a topic that says nothing, as far as there are brokers. */
export const REPLICATION_FACTOR_DEFAULT = 3;

// The log on disk.
export const SEGMENT_BYTES_MAX = 256 * MIB;
export const SEGMENT_BYTES_MIN = 64 * KIB;
/** Most bytes that one write to a partition carries; at most this much can be torn by a power cut. */
export const WRITE_BYTES_MAX = 4 * MIB;
/** Bytes waiting in front of one partition's log before appends are refused with QUEUE_FULL. */
export const PARTITION_QUEUE_BYTES_MAX = 32 * MIB;
/** Appends waiting in front of one partition's log. */
export const PARTITION_QUEUE_COUNT_MAX = 10_000;
/** A log is compacted when its new records make up this share of its sealed bytes, or have waited for this long. */
export const COMPACTION_DIRTY_SHARE_MIN = 0.5;
export const COMPACTION_WAIT_MS_MAX = 24 * 60 * 60 * 1000;
/** Memory for the keys of one compaction; with more keys it takes several passes. */
export const COMPACTION_MAP_BYTES_MAX = 128 * MIB;
/** Passes of compaction that a partition remembers in order to know which tombstones have stayed for their time. */
export const COMPACTION_PASS_COUNT_MAX = 64;
/** A compaction process without work ends after this long. */
export const COMPACTION_IDLE_MS_MAX = 60_000;

/** What holds for a topic that says nothing: age of records, and of a segment before it is closed. */
export const RETENTION_AGE_MS_DEFAULT = 7 * 24 * 60 * 60 * 1000;
export const SEGMENT_AGE_MS_DEFAULT = 7 * 24 * 60 * 60 * 1000;
export const TOMBSTONE_DELAY_MS_DEFAULT = 24 * 60 * 60 * 1000;
/** Segments of one partition that one look deletes; the rest waits for the next, so that deleting starves nobody. */
export const RETENTION_SEGMENT_COUNT_MAX = 64;
/** Least that reading all logs through takes of the disk while it runs. */
export const SCRUB_BYTES_PER_SECOND_MIN = 1 * MIB;
/** Wall clock against monotonic clock between two looks: beyond this the wall clock was set, and nothing is deleted. */
export const CLOCK_JUMP_MS_MAX = 60_000;
/** Config-carrying control records of a partition that are remembered, the newest ones. */
export const CONFIG_RECORD_COUNT = 3;
/** Batches of a producer session that are known again when they are repeated. */
export const PRODUCER_WINDOW_COUNT = 5;
/** Producer sessions that a partition remembers; a further one is refused until one expires. */
export const PRODUCER_COUNT_MAX = 10_000;
/** A producer session is forgotten this long after its last batch, by the log's time. */
export const PRODUCER_EXPIRY_MS = 24 * 60 * 60 * 1000;
/** Producer epoch of a session of one batch: the repeat of a request is known by its id alone. */
export const REQUEST_PRODUCER_EPOCH = 0x7fff_ffff;
/** Requests that a partition remembers by their ids; a further one is refused until one expires. */
export const REQUEST_COUNT_MAX = 50_000;
/** A request is forgotten this long after it was appended, by the log's time. */
export const REQUEST_EXPIRY_MS = 10 * 60 * 1000;
/** The last batches of a session are left as they are by compaction for this long: they may be repeated meanwhile. */
export const PRODUCER_REPEAT_MS_MAX = 15 * 60 * 1000;
/** A clean stop writes the state of a partition down when more than this would have to be read for it. */
export const CLOSING_SNAPSHOT_BYTES_MIN = 1 * MIB;

// Messages and streams.
export const PUBLIC_MESSAGE_BYTES_MAX = 4 * MIB;
export const PEER_MESSAGE_BYTES_MAX = 16 * MIB;
/** A response frame stays below this unless the client asks for more (a plain gRPC client refuses 4 MiB). */
export const RESPONSE_BYTES_MAX = 3.5 * MIB;
export const METADATA_BYTES_MAX = 8 * KIB;
export const METADATA_ENTRY_COUNT_MAX = 64;
export const PUBLIC_CONCURRENT_STREAM_COUNT_MAX = 1000;
export const PEER_CONCURRENT_STREAM_COUNT_MAX = 100;
/** Streams that a connection may open and reset in a second before it is closed. */
export const STREAM_RESETS_PER_SECOND_MAX = 200;
/** Bytes of requests and responses held for one connection, and for a whole server process. */
export const CONNECTION_BUFFER_BYTES_MAX = 64 * MIB;
export const SERVER_BUFFER_BYTES_MAX = 512 * MIB;
/** Messages of one stream that wait to be sent; a sender is told to wait at this much, and stopped at twice of it. */
export const STREAM_PENDING_BYTES_MAX = 8 * MIB;
export const STREAM_PENDING_COUNT_MAX = 256;
export const CONNECTIONS_PER_ADDRESS_COUNT_MAX = 5000;
export const CLIENT_ID_BYTES_MAX = 255;
export const REQUEST_ID_CHARS_MAX = 64;
/** Frames of one stream that wait for their answer. All their answers fit in a stream's queue (twice STREAM_PENDING_COUNT_MAX). */
export const STREAM_FRAMES_IN_FLIGHT_COUNT_MAX = 400;
/** Bytes of the batches of one stream that wait for their answer. */
export const STREAM_BYTES_IN_FLIGHT_MAX = 16 * MIB;
/** Requests that a gateway holds until they are answered, in memory: all of them, */
export const GATEWAY_BYTES_IN_FLIGHT_MAX = 512 * MIB;
/** those of one client id, or of one address for clients that do not name themselves, */
export const GATEWAY_CLIENT_BYTES_IN_FLIGHT_MAX = 128 * MIB;
/** those of one connection, */
export const GATEWAY_CONNECTION_BYTES_IN_FLIGHT_MAX = 64 * MIB;
/** and those on their way to one broker. */
export const GATEWAY_LEADER_BYTES_IN_FLIGHT_MAX = 128 * MIB;
/** How often a gateway looks for requests whose time is over before they were sent. Below what it answers ahead of a deadline. */
export const GATEWAY_EXPIRY_MS = 20;
/** Partitions named by one request. */
export const REQUEST_PARTITION_COUNT_MAX = 10_000;

// Time.
/** Longest deadline of a unary call; a call without one gets it. */
export const DEADLINE_MS_MAX = 30_000;
/** A public connection is asked to go after this long, and cut after the grace: load spreads after a scale-out. */
export const CONNECTION_AGE_MS_MAX = 30 * 60 * 1000;
export const CONNECTION_AGE_GRACE_MS = 60_000;
/** Longest wait of a long poll. */
export const FETCH_WAIT_MS_MAX = 30_000;
export const DRAIN_MS_MAX = 30_000;
export const HEARTBEAT_MS = 1000;
export const STREAM_SILENCE_MS_MAX = 10_000;

/** How often a broker tells coordinators that it lives. */
export const BROKER_HEARTBEAT_MS = 500;
/** How exactly the deadline of an append that waits for its acknowledgement is kept. */
export const APPEND_EXPIRY_MS = 100;
/** How often a broker notes on disk how far its partitions are durable and committed. */
export const CHECKPOINT_MS = 1000;

// Consumers.
export const CREDIT_BYTES_MAX = 64 * MIB;
export const CREDIT_RECORD_COUNT_MAX = 1_000_000;
export const GROUP_ID_CHARS_MAX = 249;
export const GROUP_MEMBER_COUNT_MAX = 10_000;
export const SUBSCRIPTION_TOPIC_COUNT_MAX = 1000;
export const COMMIT_METADATA_BYTES_MAX = 4 * KIB;
/** Least time that offsets of a group without members, or of a topic that is gone, are kept. */
export const OFFSET_EXPIRY_MS = 7 * 24 * 60 * 60 * 1000;
export const READ_RECORD_COUNT_MAX = 10_000;
export const READ_RECORD_COUNT_DEFAULT = 500;

// The client library.
/** Bytes of records that a producer holds, waiting or on their way; `send` waits beyond. */
export const CLIENT_BUFFER_BYTES_MAX = 64 * MIB;
/** Calls of `send` that wait for that room; a further one fails with QUEUE_FULL. */
export const CLIENT_WAITING_SEND_COUNT_MAX = 10_000;
/** A frame of a produce stream is closed at this size. One larger record still gets a frame of its own. */
export const PRODUCE_FRAME_BYTES_MAX = 1 * MIB;
export const PRODUCE_FRAME_RECORD_COUNT_MAX = 5000;
/** Time from `send` to its result, retries included. */
export const DELIVERY_TIMEOUT_MS = 120_000;
/** Records and bytes that a consumer lets the server send ahead of its handler. */
export const CONSUMER_BUFFER_RECORD_COUNT = 2000;
export const CONSUMER_BUFFER_BYTES = 8 * MIB;
/** Partitions read at the same time by one reader without a group. */
export const READER_CONCURRENT_PARTITION_COUNT_MAX = 16;
/** Repeats of what a server refused for want of room: their share of the first calls, those that time gives, and what is saved. */
export const RETRY_SHARE_MAX = 0.2;
export const RETRIES_PER_SECOND_MIN = 10;
export const RETRIES_SAVED_COUNT_MAX = 100;
/** Tries of a unary call of the client, the first included. */
export const CLIENT_CALL_ATTEMPT_COUNT_MAX = 8;

// Lists.
export const PAGE_SIZE_DEFAULT = 100;
export const PAGE_SIZE_MAX = 1000;

// Logs and traces of a process.
/** A repeated error is logged once in this time, with the count of those left out. */
export const LOG_REPEAT_MS = 10_000;
/** Kinds of repeated errors remembered at once; the oldest is forgotten. */
export const LOG_REPEAT_KEY_COUNT_MAX = 1000;
/** How long a stopping process waits for its last spans to be exported. */
export const TELEMETRY_FLUSH_MS_MAX = 3000;

// Metrics of a process.
/** Different values that a label may have; what comes beyond counts as `_other`. */
export const METRIC_TOPIC_COUNT_MAX = 1000;
export const METRIC_GROUP_COUNT_MAX = 1000;
export const METRIC_PARTITION_COUNT_MAX = 10_000;
export const METRIC_METHOD_COUNT_MAX = 200;
/** Series of one instrument; labels of further ones become `_other`. */
export const METRIC_SERIES_COUNT_MAX = 10_000;
/** How often the lag of groups is asked of the leaders, and for how many partitions at most each time. */
export const GROUP_LAG_INTERVAL_MS = 10_000;
export const GROUP_LAG_PARTITION_COUNT_MAX = 10_000;
/** What the endpoint for Prometheus takes: connections, bytes of a request's head, time for one to arrive. */
export const METRICS_CONNECTION_COUNT_MAX = 32;
export const METRICS_HEADER_BYTES_MAX = 8 * KIB;
export const METRICS_REQUEST_MS_MAX = 10_000;

// Traces that the console keeps.
/** Traces, the spans of all of them and their texts; the trace that came first is forgotten first. */
export const TRACE_COUNT_MAX = 2000;
export const TRACE_SPANS_KEPT_COUNT_MAX = 50_000;
export const TRACE_SPANS_KEPT_BYTES_MAX = 64 * MIB;
/** Spans of one trace and their texts; further ones are left out. A 4 MiB message must hold them. */
export const TRACE_SPAN_COUNT_MAX = 2000;
export const TRACE_SPANS_BYTES_MAX = 3 * MIB;
/** Attributes, links and events of one span, attributes of an event, and each text. */
export const SPAN_ATTRIBUTE_COUNT_MAX = 64;
export const SPAN_LINK_COUNT_MAX = 32;
export const SPAN_EVENT_COUNT_MAX = 16;
export const SPAN_EVENT_ATTRIBUTE_COUNT_MAX = 16;
export const SPAN_TEXT_CHARS_MAX = 512;
/** One file of received spans, all of them together, and how many; the oldest file is removed first. */
export const TRACE_FILE_BYTES_MAX = 4 * MIB;
export const TRACE_FILES_BYTES_MAX = 32 * MIB;
export const TRACE_FILE_COUNT_MAX = 64;
/** Spans received and not yet in a file; exporters are told to come again beyond. */
export const TRACE_QUEUE_BYTES_MAX = 16 * MIB;
/** The beginning of an id that stands for the whole. */
export const TRACE_ID_PREFIX_CHARS_MIN = 4;

// The metadata store.
/** How long one command to Redis may take before it counts as failed. */
export const METADATA_COMMAND_MS_MAX = 2000;
/** Wait before Redis is dialled again: the first, doubled up to the last. */
export const METADATA_RECONNECT_MS_MIN = 100;
export const METADATA_RECONNECT_MS_MAX = 2000;
/** Commands of one process that wait for Redis; further ones fail at once. */
export const METADATA_COMMANDS_IN_FLIGHT_COUNT_MAX = 1000;
/** Entries that one script call or pipeline carries; Redis serves nobody else meanwhile. */
export const METADATA_CHUNK_COUNT_MAX = 500;
/** Entries that the audit stream keeps (about). */
export const METADATA_AUDIT_COUNT_MAX = 10_000;
/** How long a deleted topic's id is remembered in the directory. */
export const METADATA_TOMBSTONE_MS = 30 * 24 * 60 * 60 * 1000;

// Replicas.
/** A follower that has made no progress for this long leaves the in-sync set. */
export const REPLICA_LAG_MS_MAX = 1000;
/** Appends of a new epoch wait this long for followers to come in sync; after it they are refused at once. */
export const NEW_EPOCH_WAIT_MS_MAX = 1000;
/** A leader whose own disk has made no progress for this long resigns. */
export const LEADER_STALL_MS_MAX = 2000;
/** A leader that is about to be relieved queues appends for this long at most; then it goes on. */
export const LEADER_PAUSE_MS_MAX = 2000;
/** A follower that has not drawn level with a leader that pauses by then is not waited for: appends go on. */
export const LEADER_LEVEL_MS_MAX = 300;
/** A replication stream from which nothing was heard for this long is given up. */
export const REPLICATION_SILENCE_MS_MAX = 2000;
/** How often the other side of a replication stream is told that this one lives. */
export const REPLICATION_HEARTBEAT_MS = 500;
/** How often a broker looks at the progress of the followers of what it leads, and for leaders that it should follow. */
export const REPLICA_TICK_MS = 200;
/** Bytes on their way to one follower of one partition, and to all that one stream carries. */
export const REPLICA_IN_FLIGHT_BYTES_MAX = 8 * MIB;
export const REPLICATION_STREAM_BYTES_MAX = 64 * MIB;
/** Batches of one replication message. */
export const REPLICATION_MESSAGE_BYTES_MAX = 2 * MIB;
/** Deleted replicas of which a broker keeps what they knew, one small journal entry for each partition that it ever held. */
export const KEPT_FLOOR_COUNT_MAX = 50_000;
/** Batches just appended that a process keeps in memory for its followers; others are read from their files. */
export const RECENT_BATCH_BYTES_MAX = 128 * MIB;

// Balance.
/** Bytes a second that a broker sends to replicas that are being made; the least that may be set, and the default. */
export const MOVE_BYTES_PER_SECOND_MIN = 1 * MIB;
export const MOVE_BYTES_PER_SECOND_DEFAULT = 32 * MIB;
/** How long every broker must have been up before replicas and leaders are moved by themselves. */
export const BALANCE_CALM_MS = 5000;
/** How long the balancer waits before it plans anew after a move that failed. */
export const BALANCE_RETRY_MS = 10_000;

// Quotas.
/** Quotas of a cluster, and the least rate that may be set. */
export const QUOTA_COUNT_MAX = 1000;
export const QUOTA_BYTES_PER_SECOND_MIN = 1 * KIB;
/** How long what is beyond a quota waits before it is refused instead; a reader's unary call waits as long. */
export const QUOTA_DELAY_MS_MAX = 1000;
/** What waits for quotas in one process. */
export const QUOTA_DELAYED_COUNT_MAX = 10_000;
export const QUOTA_DELAYED_BYTES_MAX = 64 * MIB;
/** What of one stream waits: a quarter of what may be in flight, so that the rest of the stream goes on. */
export const QUOTA_STREAM_DELAYED_COUNT_MAX = 100;
export const QUOTA_STREAM_DELAYED_BYTES_MAX = 4 * MIB;
/** Clients and topics whose rates one process keeps account of at a time. */
export const QUOTA_BUCKET_COUNT_MAX = 10_000;

// Coordinator and brokers.
/** Version of the protocol between peers (proto/partita/peer/v1); one that differs is refused. */
export const PEER_PROTOCOL_VERSION = 1;
/** A broker or instance from which nothing was heard for this long is silent: what it led has no leader. */
export const SESSION_SILENCE_MS_MAX = 3000;
/** Partitions that one call of the coordinator to a broker carries. */
export const PEER_CALL_ENTRY_COUNT_MAX = 1000;
/** How long a broker may take for one order of the coordinator. */
export const PEER_CALL_MS_MAX = 5000;
/** How often the coordinator looks for work that a failure left undone. */
export const RECONCILE_MS = 500;
/** How long the preferred leader of a partition has to be up and in sync before it leads again. */
export const PREFERRED_LEADER_WAIT_MS = 5000;
/** How long a broker that stops waits for others to lead what it leads. */
export const LEADER_DRAIN_MS_MAX = 15_000;
/** How long a client waits for its topic to be created; after that the creation goes on in the background. */
export const TOPIC_CREATION_MS_MAX = 25_000;

// Moves of replicas.
/** Moves of one reassignment, reassignments that have not ended, and ended ones that are remembered. */
export const REASSIGNMENT_MOVE_COUNT_MAX = 1000;
export const REASSIGNMENT_OPEN_COUNT_MAX = 100;
export const REASSIGNMENT_KEPT_COUNT_MAX = 100;
/** Partitions whose replica set the coordinator changes at the same time. */
export const REPLICA_CHANGE_COUNT_MAX = 16;
/** Copies of partitions that are made at the same time, in all. */
export const REPLICA_COPY_COUNT_MAX = 8;
/** Copies to one broker at the same time: one, or some whose logs are together at most this long. */
export const REPLICA_COPIES_OF_BROKER_BYTES_MAX = 16 * MIB;
export const REPLICA_COPIES_OF_BROKER_COUNT_MAX = 4;
/** A move whose target has been away for this long is given up. */
export const REASSIGNMENT_TARGET_AWAY_MS_MAX = 10 * 60 * 1000;
