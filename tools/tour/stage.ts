/** What every step gets: the cluster, the names to use, where to print, and the list of checks that it adds to. */
import type { PartitaClient } from '@partita/client';
import type { Check } from './checks.ts';
import type { Terminal } from './terminal.ts';

export interface Stage {
  readonly client: PartitaClient;
  /** Addresses for further processes. */
  readonly servers: readonly string[];
  readonly terminal: Terminal;
  /** Name of the topic, new for each tour. */
  readonly topic: string;
  /** Name of the topic of which a leader is killed, new for each tour. */
  readonly replicatedTopic: string;
  /** Name of the topic that is written while Redis is wiped, new for each tour. */
  readonly wipedTopic: string;
  /** Name of the topic that is written while a broker joins and leaves, new for each tour. */
  readonly growingTopic: string;
  /** Name of the topic whose group grows and shrinks, new for each tour. */
  readonly movingTopic: string;
  /** Name of the topic whose bytes are looked at, new for each tour. */
  readonly spreadTopic: string;
  /** Name of the topic with slow work, and of its group; the one with a single partition has `-1` behind it. */
  readonly workTopic: string;
  /** Names of the topic that is flooded and of the one beside it, new for each tour. */
  readonly floodedTopic: string;
  readonly quietTopic: string;
  /** Id of the consumer group, new for each tour. */
  readonly group: string;
  /** Id of the group that grows and shrinks, new for each tour. */
  readonly movingGroup: string;
  /** Printed at the end; the tour succeeds when all hold. */
  readonly checks: Check[];
}

export const PARTITION_COUNT = 6;
export const MEMBER_COUNT = 3;
/** Of the topic of which a leader is killed. */
export const REPLICA_COUNT = 3;
/** Of the topic whose group grows and shrinks. */
export const MOVING_PARTITION_COUNT = 12;
