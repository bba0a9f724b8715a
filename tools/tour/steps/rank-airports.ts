import { sameList } from '../checks.ts';
import type { Arrival } from '../checks.ts';
import { parseFlightValue } from '../flights.ts';
import type { Flight } from '../flights.ts';
import type { Stage } from '../stage.ts';
import { FLIGHT_COUNT_MIN, worstAirports } from '../worst-airports.ts';

const AIRPORT_COUNT = 5;

/** The airports with the highest mean delay, computed from what was consumed and compared with the file. */
export function rankAirports(
  { terminal, checks }: Stage,
  flights: readonly Flight[],
  arrivals: readonly Arrival[],
): void {
  terminal.step(`The worst airports by mean delay (of those with ${FLIGHT_COUNT_MIN} flights or more)`);
  const consumed = worstAirports(
    arrivals.map(({ value }) => parseFlightValue(value)),
    AIRPORT_COUNT,
  );
  const rows = consumed.map(({ origin, flightCount, meanDelay }) => [
    origin,
    `${meanDelay.toFixed(1)} min`,
    flightCount,
  ]);
  terminal.table(['airport', 'mean delay', 'flights'], rows);
  checks.push(sameList('the worst airports are those of the file', worstAirports(flights, AIRPORT_COUNT), consumed));
}
