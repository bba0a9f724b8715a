/**
 * The numbers of a log, branded so that one cannot be passed for another.
 *
 * An offset is a 64-bit position of a record in its partition; at every API it is a `bigint`. Start offsets are
 * inclusive, end offsets exclusive. A leader epoch numbers the terms of a partition's leaders: 1 for the first, only
 * ever growing; 0 means "none known".
 */
declare const brand: unique symbol;
type Branded<Base, Name extends string> = Base & { readonly [brand]: Name };

/** Position of a record in its partition, 0 to 2^63-1. */
export type Offset = Branded<bigint, 'Offset'>;
/** Term of a partition's leader, 0 (none) to 2^31-1. */
export type LeaderEpoch = Branded<number, 'LeaderEpoch'>;
/** Number of a broker in its cluster, 1 to 2^31-1. */
export type BrokerId = Branded<number, 'BrokerId'>;

/** Highest offset that a partition can hold (2^63-1 is kept free as "no end"). */
export const OFFSET_MAX = 2n ** 63n - 2n;
const INT32_MAX = 2 ** 31 - 1;

/** Brands a checked offset; throws a RangeError for anything outside 0..OFFSET_MAX. */
export function offset(value: bigint): Offset {
  if (value < 0n || value > OFFSET_MAX) throw new RangeError(`offset ${value} is outside 0..${OFFSET_MAX}`);
  return value as Offset;
}

/** Brands a checked leader epoch. */
export function leaderEpoch(value: number): LeaderEpoch {
  if (!Number.isInteger(value) || value < 0 || value > INT32_MAX)
    throw new RangeError(`leader epoch ${value} is no int32 >= 0`);
  return value as LeaderEpoch;
}

/** Brands a checked broker id. */
export function brokerId(value: number): BrokerId {
  if (!Number.isInteger(value) || value < 1 || value > INT32_MAX)
    throw new RangeError(`broker id ${value} is no int32 >= 1`);
  return value as BrokerId;
}
