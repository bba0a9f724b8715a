/** Data directories that are lost, copied and changed, as by broken disks, restored machines and mistaken operators. */
import { cpSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '@partita/tool-dev/until.ts';
import { GuestBroker } from '../cluster/guest-broker.ts';
import type { Fault, Stage } from './fault.ts';

/** A broker that is refused tries again before it gives up, and says so. */
const REFUSED_SECONDS_MAX = 60;

function dataDirOf({ cluster }: Stage, name: string): string {
  const found = cluster.file.brokers.find(({ id }) => `broker-${id}` === name);
  if (found === undefined) throw new Error(`${name} has no directory`);
  return found.dataDir;
}

/** The id of a broker with a fresh directory, for good. */
const wiped: Fault = {
  name: 'directory-wiped',
  says: 'the leader is killed, and comes back with its id and an empty directory',
  needs: [],
  mixes: false,
  inject: async (stage) => {
    const victim = await stage.roles.nameOf('leader');
    await stage.cluster.holdDown([victim]);
    rmSync(dataDirOf(stage, victim), { recursive: true, force: true });
    return { target: victim, heal: () => stage.cluster.release([victim]) };
  },
};

/** A fresh directory meanwhile, as when a disk was not mounted. */
const swapped: Fault = {
  name: 'directory-swapped',
  says: 'the leader is killed, comes back with its id and an empty directory, is killed again, and has its own one back',
  needs: [],
  mixes: false,
  inject: async (stage) => {
    const { cluster } = stage;
    const victim = await stage.roles.nameOf('leader');
    const dataDir = dataDirOf(stage, victim);
    const aside = `${dataDir}-aside`;
    await cluster.holdDown([victim]);
    renameSync(dataDir, aside);
    await cluster.release([victim]);
    const heal = async (): Promise<void> => {
      await cluster.holdDown([victim]);
      rmSync(dataDir, { recursive: true, force: true });
      renameSync(aside, dataDir);
      await cluster.release([victim]);
    };
    return { target: victim, heal };
  },
};

/** Its lock is left out, since it names a process of another machine there. */
const cloned: Fault = {
  name: 'directory-cloned',
  says: 'a copy of the directory of a running broker is started elsewhere under the same id, and has to be refused',
  needs: [],
  mixes: false,
  inject: async (stage) => {
    const { cluster, roles } = stage;
    const victim = await roles.nameOf('follower');
    const copy = join(cluster.home, `copy-of-${victim}`);
    cpSync(dataDirOf(stage, victim), copy, { recursive: true });
    rmSync(join(copy, 'lock'), { force: true });
    const guest = await GuestBroker.start(cluster, victim, copy);
    const heal = async (): Promise<void> => {
      try {
        await until(`a refusal of the copy of ${victim}`, REFUSED_SECONDS_MAX, () => /is in use/.test(guest.output));
      } finally {
        await guest.end();
        rmSync(copy, { recursive: true, force: true });
      }
    };
    return { target: `a copy of ${victim}`, heal };
  },
};

export const DIRECTORIES: readonly Fault[] = [wiped, swapped, cloned];
