/** Key-hash ranges: each partition of a topic owns a part of 0..2^32-1, and together they cover it without overlap. */
import { invariant } from '@partita/domain';

/** Part of the hash space, both ends inclusive. */
export interface KeyRange {
  readonly hashMin: number;
  readonly hashMax: number;
}

const HASH_COUNT = 2 ** 32;

/** `count` ranges in order, as even as whole numbers allow. */
export function evenKeyRanges(count: number): KeyRange[] {
  invariant(Number.isInteger(count) && count >= 1, `a topic has at least one key range, not ${count}`);
  // 2^32 * 10,000 stays far below 2^53: the products are exact.
  const start = (index: number) => Math.floor((HASH_COUNT * index) / count);
  return Array.from({ length: count }, (_, index) => ({ hashMin: start(index), hashMax: start(index + 1) - 1 }));
}
