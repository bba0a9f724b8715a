/** Every area by its name. */
import type { Area } from './area.ts';
import { balance } from './areas/balance.ts';
import { cluster } from './areas/cluster.ts';
import { compaction } from './areas/compaction.ts';
import { core } from './areas/core.ts';
import { disk } from './areas/disk.ts';
import { failover } from './areas/failover.ts';
import { fuzz } from './areas/fuzz.ts';
import { groupCore } from './areas/group-core.ts';
import { groups } from './areas/groups.ts';
import { kill } from './areas/kill.ts';
import { partitions } from './areas/partitions.ts';
import { pressure } from './areas/pressure.ts';
import { producers } from './areas/producers.ts';
import { quotas } from './areas/quotas.ts';
import { redis } from './areas/redis.ts';
import { reliability } from './areas/reliability.ts';
import { rolling } from './areas/rolling.ts';
import { start } from './areas/start.ts';
import { storage } from './areas/storage.ts';

export const AREAS: readonly Area[] = [
  start,
  kill,
  failover,
  rolling,
  balance,
  groups,
  producers,
  pressure,
  storage,
  disk,
  core,
  groupCore,
  cluster,
  compaction,
  partitions,
  quotas,
  redis,
  fuzz,
  reliability,
];
