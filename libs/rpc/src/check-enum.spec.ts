import { Acks } from '@partita/protocol';
import { expect, test } from 'vitest';
import { checkEnum } from './check-enum.ts';

test('a known number passes, another is refused with what would do', () => {
  const allowed = [Acks.ACKS_UNSPECIFIED, Acks.ACKS_ALL] as const;
  expect(checkEnum(1, allowed, 'acks')).toBe(Acks.ACKS_ALL);
  expect(() => checkEnum(9, allowed, 'acks')).toThrow(
    expect.objectContaining({ reason: 'INVALID_REQUEST', metadata: { field: 'acks', value: '9', range: '0,1' } }),
  );
});
