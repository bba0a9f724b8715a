/**
 * How sure a median is: the interval that the sign test gives, between two of the values in their order. It holds for any
 * distribution, as long as the values are independent.
 */

export interface MedianInterval {
  readonly low: number;
  readonly high: number;
  /** Probability that it holds the true median: at least what was asked for. */
  readonly confidence: number;
}

/** The narrowest one; undefined when there are too few values for any. */
export function medianInterval(values: readonly number[], confidence: number): MedianInterval | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  let found: MedianInterval | undefined;
  // Of `count` values fewer than `rank` lie below the median with the probability of so few heads.
  let tail = 0;
  for (let rank = 1; 2 * rank <= sorted.length; rank += 1) {
    tail += binomialHalf(sorted.length, rank - 1);
    const [low, high] = [sorted[rank - 1], sorted[sorted.length - rank]];
    if (1 - 2 * tail < confidence || low === undefined || high === undefined) break;
    found = { low, high, confidence: 1 - 2 * tail };
  }
  return found;
}

/** Probability of so many heads of so many throws. */
function binomialHalf(throws: number, heads: number): number {
  let probability = 0.5 ** throws;
  for (let index = 1; index <= heads; index += 1) probability *= (throws - index + 1) / index;
  return probability;
}
