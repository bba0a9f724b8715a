/** What one side of a row of the produce bench is: how records are sent, and the topic that they are sent to. */
import { CLIENT_BUFFER_BYTES_MAX } from '@partita/domain';
import type { Safety } from '../topics.ts';

/** Who makes batches of the records, and who finds the leaders: the options of the SDK's producer. */
export const DELIVERIES = ['records', 'batches', 'direct'] as const;
export const ACKS = ['all', 'leader'] as const;
export const FLUSHES = ['fsync', 'os'] as const;
export const CODECS = ['none', 'zstd', 'lz4', 'gzip'] as const;

export interface ProduceSettings extends Safety {
  readonly delivery: (typeof DELIVERIES)[number];
  /** Of one record, as serialised: key, value and timestamp with their tags. */
  readonly recordBytes: number;
  readonly partitionCount: number;
  readonly acks: (typeof ACKS)[number];
  readonly codec: (typeof CODECS)[number];
  /** How long the producer waits for more records before it sends. */
  readonly lingerMs: number;
}

/** What a load does; goes with its job to the load's process. */
export interface ProduceWork {
  readonly settings: ProduceSettings;
  /** Records that are due in a second, whatever became of those before; absent = as many as are acknowledged. */
  readonly ratePerSecond?: number;
  /** Bytes of records that the closed loop keeps on their way; absent = IN_FLIGHT_BYTES. */
  readonly inFlightBytes?: number;
}

/** What a topic and a producer of the SDK do when nothing is said. */
export const BASE: ProduceSettings = {
  delivery: 'batches',
  recordBytes: 1024,
  partitionCount: 6,
  acks: 'all',
  flush: 'fsync',
  replicationFactor: 3,
  codec: 'none',
  lingerMs: 0,
};

/** Bytes of records that the closed loop keeps on their way: an eighth of what a producer holds. */
export const IN_FLIGHT_BYTES = CLIENT_BUFFER_BYTES_MAX / 8;
/** Bytes of the records of one call of `send` in the closed loop, or one record that is larger. */
export const SEND_BYTES = 16 * 1024;

const DELIVERY_TITLES: Readonly<Record<ProduceSettings['delivery'], string>> = {
  records: 'simple',
  batches: 'session',
  direct: 'direct',
};

const PARTS: readonly ((settings: ProduceSettings) => string)[] = [
  ({ delivery }) => DELIVERY_TITLES[delivery],
  ({ recordBytes }) => `${recordBytes} B`,
  ({ partitionCount }) => `${partitionCount} ${partitionCount === 1 ? 'partition' : 'partitions'}`,
  ({ acks }) => `acks=${acks}`,
  ({ flush }) => `flush=${flush}`,
  ({ replicationFactor }) => `replication ${replicationFactor}`,
  ({ codec }) => `codec ${codec}`,
  ({ lingerMs }) => `linger ${lingerMs} ms`,
];

/** Settings for people: delivery and size, and what else differs from `from`. */
export function settingsTitle(settings: ProduceSettings, from: ProduceSettings): string {
  return PARTS.map((part) => part(settings))
    .filter((text, index) => index < 2 || text !== PARTS[index]?.(from))
    .join(', ');
}
