/** Randomness of this process behind the port of @partita/domain: jitter of back-offs and ids of requests (UUIDv7). */
import type { Random } from '@partita/domain';
import { v7 } from 'uuid';

export const processRandom: Random = { next: () => Math.random(), uuid: () => v7() };
