/** Every area by its name. */
import type { Area } from './area.ts';
import { fuzz } from './areas/fuzz.ts';
import { kill } from './areas/kill.ts';
import { partitions } from './areas/partitions.ts';
import { redis } from './areas/redis.ts';
import { start } from './areas/start.ts';

export const AREAS: readonly Area[] = [start, kill, redis, fuzz, partitions];
