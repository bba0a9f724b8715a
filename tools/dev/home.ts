/**
 * The home directory of a cluster on this machine, 0700:
 *
 *   launcher.pid   process id and start time of the launcher that owns the home
 *   cluster-id     UUID, made once
 *   ports.json     ports of the last start        cluster.json   there while the cluster is ready
 *   broker-N/      data of broker N               logs/          output of the services
 *   redis/         data of our own Redis, and the unpacked packages
 *   traces/        the newest traces
 *   prometheus-targets.json   the endpoints of metrics, while the cluster is ready
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemRandom } from '@partita/runtime';

/** Makes the home and takes it, or throws an Error that says who has it. */
export function takeHome(home: string): void {
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const path = join(home, 'launcher.pid');
  const owner = existsSync(path) ? readFileSync(path, 'utf8').trim() : '';
  const [pid, startTime] = owner.split(' ');
  if (pid !== undefined && pid !== '' && startTimeOf(Number(pid)) === startTime) {
    throw new Error(`a cluster already runs on ${home} (process ${pid}); stop it, or choose another --home`);
  }
  writeFileSync(path, `${process.pid} ${startTimeOf(process.pid) ?? 'unknown'}\n`);
}

export function releaseHome(home: string): void {
  rmSync(join(home, 'launcher.pid'), { force: true });
}

/** Removes the data of earlier starts, and nothing that is not ours. */
export function clearHome(home: string): void {
  const ours = /^(broker-\d+|logs|traces|cluster-id|cluster\.json|ports\.json|prometheus-targets\.json)$/;
  for (const name of readdirSync(home)) if (ours.test(name)) rmSync(join(home, name), { recursive: true, force: true });
  rmSync(join(home, 'redis', 'data'), { recursive: true, force: true });
}

/** The cluster's id, made at the first start. */
export function clusterIdOf(home: string): string {
  const path = join(home, 'cluster-id');
  if (!existsSync(path)) writeFileSync(path, `${systemRandom.uuid()}\n`);
  return readFileSync(path, 'utf8').trim();
}

/**
 * Start time of a process in clock ticks since boot, which tells it from a later one with its id; undefined = none. One
 * that has ended and was not yet waited for (state Z) is none.
 */
function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return process.platform === 'linux' ? undefined : livesElsewhere(pid);
  }
}

/** Without /proc only the id can be asked for. */
function livesElsewhere(pid: number): string | undefined {
  try {
    process.kill(pid, 0);
    return 'unknown';
  } catch {
    return undefined;
  }
}
