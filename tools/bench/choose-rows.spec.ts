import { describe, expect, it } from 'vitest';
import { chooseRows } from './choose-rows.ts';

const ROWS = [{ name: 'read-4k' }, { name: 'read-64k' }, { name: 'unary' }];

describe('choosing rows', () => {
  it('takes all of them when none is named', () => {
    expect(chooseRows(ROWS, undefined)).toBe(ROWS);
  });

  it('keeps their order, by whole names and by beginnings of names', () => {
    expect(chooseRows(ROWS, 'unary,read-64k').map(({ name }) => name)).toEqual(['read-64k', 'unary']);
    expect(chooseRows(ROWS, 'read').map(({ name }) => name)).toEqual(['read-4k', 'read-64k']);
  });

  it('refuses unknown names, and beginnings that end within a word, with the choices', () => {
    expect(() => chooseRows(ROWS, 'unary,fast')).toThrow('no row is called fast; there are: read-4k, read-64k, unary');
    expect(() => chooseRows(ROWS, 'read-6')).toThrow('no row is called read-6');
  });
});
