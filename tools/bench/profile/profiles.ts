/** Profiles of the services of a cluster: asked for by its environment, written as each ends, summed up afterwards. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { ReadyFile } from '@partita/tool-dev/ready-file.ts';
import { markdownTable } from '../markdown-table.ts';
import { topFunctions } from './top-functions.ts';
import type { CpuProfile } from './top-functions.ts';

const FUNCTION_COUNT = 20;

/** Makes the folder. For the launcher of a cluster, whose services inherit it. */
export function profiledEnvironment(folder: string): Readonly<Record<string, string>> {
  mkdirSync(folder, { recursive: true });
  const options = ['--cpu-prof', `--cpu-prof-dir=${resolve(folder)}`];
  return { NODE_OPTIONS: [process.env['NODE_OPTIONS'] ?? '', ...options].join(' ').trim() };
}

/** Writes `summary.md` beside the profiles, of gateways and brokers. Returns its path. To be called when they have ended. */
export function summariseProfiles(folder: string, { gateway, broker }: ReadyFile['pids']): string {
  const files = readdirSync(folder);
  const parts = [...named('gateway', gateway), ...named('broker', broker)].map(({ name, pid }) => {
    const file = files.find((one) => one.endsWith('.cpuprofile') && one.split('.')[3] === String(pid));
    if (file === undefined) return `## ${name}\n\nIt has left no profile.\n`;
    return section(name, file, JSON.parse(readFileSync(join(folder, file), 'utf8')) as CpuProfile);
  });
  const path = join(folder, 'summary.md');
  writeFileSync(path, parts.join('\n'));
  return path;
}

function named(service: string, pids: readonly number[]): { readonly name: string; readonly pid: number }[] {
  return pids.map((pid, index) => ({ name: `${service} ${index + 1}`, pid }));
}

function section(name: string, file: string, profile: CpuProfile): string {
  const { busyMs, functions } = topFunctions(profile, FUNCTION_COUNT);
  const rows = functions.map(({ name: one, place, selfMs, share }) => [
    `\`${one}\``,
    place,
    selfMs.toFixed(0),
    `${(share * 100).toFixed(1)} %`,
  ]);
  const table = markdownTable(['function', 'where', 'self ms', 'of its time'], rows);
  return `## ${name}\n\n${(busyMs / 1000).toFixed(1)} s not idle, from its start to its end: ${file}\n\n${table}`;
}
