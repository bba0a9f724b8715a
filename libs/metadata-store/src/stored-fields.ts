/**
 * Reading what others may have written: each function returns the field in its type or throws a typed error that
 * names the Redis key. Light by design: a type and a range for each field, no rule that belongs to the coordinator.
 */
import { isUuid, PartitaError } from '@partita/domain';

/** A value under test, and where it lies. */
export interface Stored {
  readonly where: string;
  readonly value: unknown;
}

/** Largest number that a key of the directory may hold; far below 2^53, so that counting on from it stays exact. */
export const STORED_NUMBER_MAX = 999_999_999_999_999;
/** Largest epoch or version of a partition that is believed: an election each second takes 34 years to it. */
export const STORED_VERSION_MAX = 2 ** 30;

/** METADATA_STORE_UNAVAILABLE: the key holds what Partita did not write. The directory is rebuilt without it. */
export function malformed(where: string, fault: string): PartitaError {
  return new PartitaError(
    'METADATA_STORE_UNAVAILABLE',
    `Redis holds no valid metadata at ${where}: ${fault}. The coordinator writes the directory anew: repeat in a few seconds`,
    { key: where, fault },
  );
}

/** Largest id of a broker, number of a partition, or count of these: what the wire holds. */
export const STORED_ID_MAX = 2 ** 31 - 1;

/** True for what `malformed` made: Redis answers, but part of the directory is not what was written. */
export function isMalformed(error: unknown): error is PartitaError {
  return error instanceof PartitaError && error.metadata['fault'] !== undefined;
}

export function parseJson(where: string, text: string): Stored {
  try {
    return { where, value: JSON.parse(text) };
  } catch {
    throw malformed(where, 'not JSON');
  }
}

/** The field of an object; `undefined` when it is absent. */
export function field(object: Stored, name: string): Stored {
  const { value, where } = object;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw malformed(where, 'not an object');
  return { where: `${where} ${name}`, value: Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined };
}

export function text(stored: Stored): string {
  if (typeof stored.value !== 'string') throw malformed(stored.where, 'not a text');
  return stored.value;
}

/** A whole number from `min` to `max`; hashes of Redis hold it as decimal text. */
export function whole(stored: Stored, min = 0, max = STORED_NUMBER_MAX): number {
  const { value, where } = stored;
  const number = typeof value === 'string' && /^\d{1,16}$/.test(value) ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isSafeInteger(number) || number < min || number > max) {
    throw malformed(where, `not a whole number from ${min} to ${max}`);
  }
  return number;
}

/** A lower-case UUID. */
export function uuid(stored: Stored): string {
  const found = text(stored);
  if (!isUuid(found)) throw malformed(stored.where, 'not a lower-case UUID');
  return found;
}

export function oneOf<Value extends string>(stored: Stored, values: readonly Value[]): Value {
  const found = values.find((value) => value === stored.value);
  if (found === undefined) throw malformed(stored.where, `not one of ${values.join(', ')}`);
  return found;
}

export function list<Item>(stored: Stored, item: (stored: Stored) => Item): Item[] {
  const { value, where } = stored;
  if (!Array.isArray(value)) throw malformed(where, 'not a list');
  return value.map((element: unknown, index) => item({ where: `${where}[${index}]`, value: element }));
}
