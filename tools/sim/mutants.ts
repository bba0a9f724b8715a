/** Deliberate bugs, made outside of the product, each of which the simulation must find. */
import type { Disk } from '@partita/log';
import type { DiskLife } from '@partita/testkit';
import type { LogWorld } from './log-world.ts';

export interface Mutant {
  readonly name: string;
  /** Seeds within which it is found. */
  readonly seedsMax: number;
  /** Stands between the product and its disk. */
  readonly wrapDisk?: (disk: DiskLife, world: LogWorld) => Disk;
  /** Every start is taken for one after a clean stop. */
  readonly trustsEveryStart?: boolean;
  /** What checkpoint and marker say is not passed on. */
  readonly forgetsCheckpoints?: boolean;
}
