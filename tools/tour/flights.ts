/** The flights of data/flights-2001q1.csv, and how each travels as a record. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** One line of the file. */
export interface Flight {
  /** Number of the line, from 0 for the first below the header line: the order in time. */
  readonly row: number;
  /** `YYYY/MM/DD HH:MM`. */
  readonly date: string;
  /** Minutes; negative = early. */
  readonly delay: number;
  /** Miles. */
  readonly distance: number;
  /** IATA code of the airport. The key of the record. */
  readonly origin: string;
  readonly destination: string;
}

/** Header of a record: the flight's row, decimal. */
export const ROW_HEADER = 'row';

const COLUMNS = 'date,delay,distance,origin,destination';

export function readFlights(): Flight[] {
  return parseFlights(readFileSync(join(import.meta.dirname, 'data/flights-2001q1.csv'), 'utf8'));
}

/** Takes the whole text of the file. Throws an Error that names the line where it is not as expected. */
export function parseFlights(csv: string): Flight[] {
  const [header, ...lines] = csv.replace(/\n$/, '').split('\n');
  if (header !== COLUMNS) throw new Error(`line 1: expected "${COLUMNS}", found "${header ?? ''}"`);
  return lines.map((line, row) => parseLine(line, row));
}

function parseLine(line: string, row: number): Flight {
  const match = /^(\d{4}\/\d\d\/\d\d \d\d:\d\d),(-?\d+),(\d+),(\w{3}),(\w{3})$/.exec(line);
  const [, date, delay, distance, origin, destination] = match ?? [];
  if (date === undefined || origin === undefined || destination === undefined) {
    throw new Error(`line ${row + 2}: expected ${COLUMNS}, found "${line}"`);
  }
  return { row, date, delay: Number(delay), distance: Number(distance), origin, destination };
}

/** The value of a flight's record: the columns as JSON. The row travels as a header. */
export function flightValue({ date, delay, distance, origin, destination }: Flight): string {
  return JSON.stringify({ date, delay, distance, origin, destination });
}

/** Airport and delay of a record's value. Throws an Error when it holds something else. */
export function parseFlightValue(value: string): Pick<Flight, 'origin' | 'delay'> {
  const flight: unknown = JSON.parse(value);
  if (typeof flight === 'object' && flight !== null && 'origin' in flight && 'delay' in flight) {
    const { origin, delay } = flight;
    if (typeof origin === 'string' && typeof delay === 'number') return { origin, delay };
  }
  throw new Error(`the value is no flight: ${value}`);
}
