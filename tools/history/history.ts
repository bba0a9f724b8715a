/**
 * What clients did to a cluster and what they were told, as events in the order in which one recorder saw them. That order
 * is real time: an operation that completed above another's invocation happened before it.
 *
 * An operation is an `invoke` and one completion of the same `op`: `ok` = it happened, `fail` = it certainly did not,
 * `info` = nobody knows. One that has no completion counts as `info`. `assigned`, `revoked` and `crash` are told to the
 * client and have no invocation. As JSON lines, one event a line, histories outlive the run.
 *
 * Offsets are numbers below 2^53, which no test reaches; the parser refuses others. A key is `<topic>-<partition>`, and a
 * value is sent once in a history, but for the repeats of a request.
 */
export type EventType = 'invoke' | 'ok' | 'fail' | 'info';

/** An offset and the value that is there. */
export type Placed = readonly [offset: number, value: string];

/** Something for each of several keys. */
export type ByKey<T> = Readonly<Record<string, T>>;

interface Moment {
  /** Who: a client, whose operations may overlap. */
  readonly process: number;
  /** Number of the operation in the history. */
  readonly op: number;
  readonly type: EventType;
  /** Monotonic milliseconds. */
  readonly tMonoMs: number;
  /** Why it failed, or why it is not known. */
  readonly error?: string;
}

/** One value, or several in one call, in order. */
export interface SendEvent extends Moment {
  readonly f: 'send';
  /** Absent while the record's key chooses the partition. */
  readonly key?: string;
  readonly value: string | readonly string[];
  /** Key of the record. The records of one process and one of these stay in order. */
  readonly recordKey?: string;
  /** Producer session that carries it: its records of a key are stored in the order of their sends, none left out. */
  readonly session?: string;
  /** The request that it is. Another send with the same id has the same values: it is a repeat, of any process. */
  readonly requestId?: string;
  /** With `ok`: the leader had it already. */
  readonly duplicate?: boolean;
  /** With `ok`: one for each value. */
  readonly offset?: number | readonly number[];
  /** With `ok`: of the leader. */
  readonly epoch?: number;
}

/** Records as they were handed out. One that failed may have some too: they were seen, and its position stays. */
export interface PollEvent extends Moment {
  readonly f: 'poll';
  readonly records?: ByKey<readonly Placed[]>;
  /** End of what was committed, as the leader told it. */
  readonly highWatermarks?: ByKey<number>;
  /** Keys that came or went while it was under way. */
  readonly rebalanced?: readonly string[];
  /** The poll of a group's member: positions are the group's. */
  readonly group?: string;
}

/** From now on the process reads these keys. Those that it read before go on where they were, unless it seeks. */
export interface AssignEvent extends Moment {
  readonly f: 'assign';
  readonly keys: readonly string[];
  /** Next offset to read. */
  readonly seeks?: ByKey<number>;
}

/** The process becomes a member of a group. */
export interface SubscribeEvent extends Moment {
  readonly f: 'subscribe';
  readonly group: string;
  readonly topics: readonly string[];
}

/** A member was told that it has these partitions now. */
export interface AssignedEvent extends Moment {
  readonly f: 'assigned';
  readonly group: string;
  readonly member: string;
  /** Assignment epoch at which it got each. */
  readonly epochs: ByKey<number>;
  /** Next offset that it is to be given; the group's commit, where there is one. */
  readonly positions: ByKey<number>;
  /** Keys whose position was moved, and the member was told so. */
  readonly resets?: readonly string[];
}

/** A member gave these partitions up, or was told that they are gone. */
export interface RevokedEvent extends Moment {
  readonly f: 'revoked';
  readonly group: string;
  readonly member: string;
  /** The first epoch at which it has each no more. */
  readonly epochs: ByKey<number>;
}

/** A group's positions. */
export interface CommitEvent extends Moment {
  readonly f: 'commit';
  readonly group: string;
  /** Absent: from outside of the group. */
  readonly member?: string;
  /** Next offset to deliver. */
  readonly offsets: ByKey<number>;
  /** Assignment epochs, as they were assigned to the member. */
  readonly epochs?: ByKey<number>;
}

/** The process is gone with all it knew. */
export interface CrashEvent extends Moment {
  readonly f: 'crash';
}

export type HistoryEvent =
  SendEvent | PollEvent | AssignEvent | SubscribeEvent | AssignedEvent | RevokedEvent | CommitEvent | CrashEvent;

const TYPES: ReadonlySet<unknown> = new Set<EventType>(['invoke', 'ok', 'fail', 'info']);
const KINDS: ReadonlySet<unknown> = new Set<HistoryEvent['f']>([
  'send',
  'poll',
  'assign',
  'subscribe',
  'assigned',
  'revoked',
  'commit',
  'crash',
]);

/** The one of a topic's partition. */
export function keyOf(topic: string, partition: number): string {
  return `${topic}-${partition}`;
}

/** The partition of a topic's key; undefined of none. */
export function partitionOf(topic: string, key: string | undefined): number | undefined {
  return key === undefined ? undefined : Number(key.slice(topic.length + 1));
}

/** What a line of a file says. Throws where it is no event, or has a number that is none exactly. */
export function parseEvent(line: string): HistoryEvent {
  const event = JSON.parse(line, onlyExact) as Partial<HistoryEvent> | null;
  if (event === null || typeof event !== 'object' || !KINDS.has(event.f) || !TYPES.has(event.type))
    throw new Error(`no event of a history: ${line.slice(0, 200)}`);
  if (typeof event.process !== 'number' || typeof event.op !== 'number' || typeof event.tMonoMs !== 'number')
    throw new Error(`an event without process, op or tMonoMs: ${line.slice(0, 200)}`);
  return event as HistoryEvent;
}

function onlyExact(_name: string, value: unknown): unknown {
  if (typeof value === 'number' && Math.abs(value) > Number.MAX_SAFE_INTEGER)
    throw new Error(`${value} is beyond 2^53`);
  return value;
}

/** The values of a send, in order. */
export function valuesOf(event: Pick<SendEvent, 'value'>): readonly string[] {
  return typeof event.value === 'string' ? [event.value] : event.value;
}

/** The offsets of a send that happened, one for each value; none when the client was not told. */
export function offsetsOf(event: SendEvent): readonly number[] {
  if (event.offset === undefined) return [];
  return typeof event.offset === 'number' ? [event.offset] : event.offset;
}

/** The records of a poll by key. */
export function recordsOf(event: PollEvent): readonly (readonly [key: string, records: readonly Placed[]])[] {
  return event.records === undefined ? [] : Object.entries(event.records);
}
