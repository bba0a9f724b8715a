import { expect, test } from 'vitest';
import { count, fields, table } from './table.ts';

test('columns are aligned, numbers to the right', () => {
  const text = table(
    ['TOPIC', 'RECORDS'],
    [
      ['flights', '1,200'],
      ['x', '7'],
    ],
  );
  expect(text).toBe(['TOPIC    RECORDS', 'flights    1,200', 'x              7'].join('\n'));
});

test('headings are bold only with colours', () => {
  expect(table(['A'], [], true)).toBe('\u001B[1mA\u001B[22m');
});

test('fields are aligned, and numbers have separators', () => {
  expect(
    fields([
      ['id', '1'],
      ['state', 'up'],
    ]),
  ).toBe('id     1\nstate  up');
  expect(count(1234567n)).toBe('1,234,567');
});
