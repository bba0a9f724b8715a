/** Checks of request fields that several calls share. */
import { PartitaError, REQUEST_PARTITION_COUNT_MAX } from '@partita/domain';

/** INVALID_REQUEST for one field. */
export function outOfRange(field: string, value: bigint | number | string, range: string): PartitaError {
  const message = `${field} is ${value}, but must be ${range}`;
  return new PartitaError('INVALID_REQUEST', message, { field, value: String(value), range });
}

/** Throws unless `value` is in `min..max`; `field` as in the proto. */
export function checkRange(field: string, value: number, min: number, max: number): void {
  if (value < min || value > max) throw outOfRange(field, value, `${min}..${max}`);
}

/** Throws unless a request names between one and REQUEST_PARTITION_COUNT_MAX partitions. */
export function checkPartitionCount(field: string, count: number): void {
  checkRange(`the number of ${field}`, count, 1, REQUEST_PARTITION_COUNT_MAX);
}
