import type { Random } from '@partita/domain';
import { v7 } from 'uuid';

/** Randomness of the SDK: spreads retries and makes ids. */
export const JITTER: Random = { next: Math.random, uuid: () => v7() };
