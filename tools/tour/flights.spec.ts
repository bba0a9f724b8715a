import { describe, expect, it } from 'vitest';
import { flightValue, parseFlights, readFlights } from './flights.ts';
import { worstAirports } from './worst-airports.ts';

const HEADER = 'date,delay,distance,origin,destination\n';

describe('the flights file', () => {
  const flights = readFlights();

  it('holds 20,000 flights of the first quarter of 2001 in order of time', () => {
    expect(flights).toHaveLength(20_000);
    expect(flights[0]).toEqual({
      row: 0,
      date: '2001/01/01 00:47',
      delay: 66,
      distance: 1750,
      origin: 'DTW',
      destination: 'LAS',
    });
    expect(flights.at(-1)?.date).toBe('2001/03/31 22:27');
    const dates = flights.map((flight) => flight.date);
    expect(dates).toEqual(dates.toSorted());
  });

  it('numbers its rows from 0', () => {
    expect(flights.map((flight) => flight.row)).toEqual(flights.map((_, index) => index));
  });
});

describe('reading flights', () => {
  it('takes early flights', () => {
    expect(parseFlights(`${HEADER}2001/01/01 01:24,-5,407,LAS,OAK\n`)[0]?.delay).toBe(-5);
  });

  it('refuses another header', () => {
    expect(() => parseFlights('date,delay\n')).toThrow('line 1: expected "date,delay,distance');
  });

  it('names the line that is wrong', () => {
    const csv = `${HEADER}2001/01/01 01:24,-5,407,LAS,OAK\n2001/01/01 01:39,late,256,LAS,PHX\n`;
    expect(() => parseFlights(csv)).toThrow('line 3');
  });

  it('writes a value that holds every column', () => {
    const [flight] = parseFlights(`${HEADER}2001/01/01 01:24,-5,407,LAS,OAK\n`);
    expect(JSON.parse(flightValue(flight!))).toEqual({
      date: '2001/01/01 01:24',
      delay: -5,
      distance: 407,
      origin: 'LAS',
      destination: 'OAK',
    });
  });
});

describe('the worst airports', () => {
  const many = (origin: string, delay: number, count: number) =>
    Array.from({ length: count }, () => ({ origin, delay }));

  it('are those with the highest mean delay, worst first, ties by name', () => {
    const flights = [...many('AAA', 5, 50), ...many('CCC', 20, 60), ...many('BBB', 20, 50)];
    expect(worstAirports(flights, 2)).toEqual([
      { origin: 'BBB', flightCount: 50, meanDelay: 20 },
      { origin: 'CCC', flightCount: 60, meanDelay: 20 },
    ]);
  });

  it('leave out airports with few flights', () => {
    expect(worstAirports([...many('AAA', 500, 49), ...many('BBB', 1, 50)], 5).map(({ origin }) => origin)).toEqual([
      'BBB',
    ]);
  });
});
