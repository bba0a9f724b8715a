/** Mean delay per airport, from flights in any order. */

export interface AirportDelay {
  readonly origin: string;
  readonly flightCount: number;
  /** Minutes. */
  readonly meanDelay: number;
}

/** Airports with fewer flights tell little: one late plane makes them the worst. */
export const FLIGHT_COUNT_MIN = 50;

/** The `count` airports with the highest mean delay among those with enough flights, worst first; ties by name. */
export function worstAirports(
  flights: Iterable<{ readonly origin: string; readonly delay: number }>,
  count: number,
): AirportDelay[] {
  const sums = new Map<string, { flights: number; delay: number }>();
  for (const { origin, delay } of flights) {
    const sum = sums.get(origin) ?? { flights: 0, delay: 0 };
    sum.flights += 1;
    sum.delay += delay;
    sums.set(origin, sum);
  }
  return [...sums]
    .filter(([, sum]) => sum.flights >= FLIGHT_COUNT_MIN)
    .map(([origin, sum]) => ({ origin, flightCount: sum.flights, meanDelay: sum.delay / sum.flights }))
    .sort((a, b) => b.meanDelay - a.meanDelay || a.origin.localeCompare(b.origin))
    .slice(0, count);
}
