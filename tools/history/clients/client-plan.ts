/** What a process of clients is to do: JSON on its command line. */

/** How a producer of the SDK delivers: batches of its session through a gateway, records that a gateway batches, or batches to the leaders. */
export type Delivery = 'batches' | 'records' | 'direct';

/** One producer of the process. */
export interface SenderPlan {
  /** Number in the history; it names the session and the values. */
  readonly process: number;
  readonly delivery: Delivery;
  /** False: the record's key chooses the partition. */
  readonly namesPartition: boolean;
  /** Between two sends. */
  readonly intervalMs: number;
}

/** The sends with request ids. */
export interface RequesterPlan {
  readonly process: number;
  /** Of the first send of each; its repeats are unary calls. */
  readonly delivery: Delivery;
  readonly intervalMs: number;
  /** Where repeats go, in turn. */
  readonly gateways: readonly string[];
  /** Journal of a process that was killed: its requests are sent again first. */
  readonly predecessor?: string;
}

export interface ClientPlan {
  readonly endpoints: readonly string[];
  readonly topic: string;
  readonly partitionCount: number;
  /** File of JSON lines that the process makes, and that outlives it. */
  readonly journal: string;
  readonly senders: readonly SenderPlan[];
  readonly requester: RequesterPlan;
}

/** Monotonic milliseconds that all processes of a machine share. */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
