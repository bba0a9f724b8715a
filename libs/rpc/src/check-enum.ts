import { PartitaError } from '@partita/domain';

/**
 * The value of an enum field, checked: generated code keeps numbers that it does not know. Throws INVALID_REQUEST.
 * `field` is the field's name in the proto.
 */
export function checkEnum<T extends number>(value: number, allowed: readonly T[], field: string): T {
  const known = allowed.find((candidate) => candidate === value);
  if (known !== undefined) return known;
  const range = allowed.join(',');
  throw new PartitaError(
    'INVALID_REQUEST',
    `${field} ${value} is not one of ${range}: is the client newer than the server?`,
    {
      field,
      value: String(value),
      range,
    },
  );
}
