/** Which faults this machine can do: networks and clocks need root, and packages that are installed where that is allowed. */
import { execFile } from 'node:child_process';
import { globSync } from 'node:fs';
import { promisify } from 'node:util';
import { whyNot } from '@partita/tool-dev/debian-package.ts';
import { createNetwork, removeNetwork } from '../network/namespaces.ts';
import { planNetwork } from '../network/network-plan.ts';
import { clockEnvironment } from './clocks.ts';

const run = promisify(execFile);
const LIBRARIES = ['/usr/lib/*/faketime/libfaketime.so.1', '/usr/lib/faketime/libfaketime.so.1'];
const HOUR_MS = 3_600_000;

export interface Abilities {
  /** Why there are no namespaces; undefined = there are. */
  readonly noNetwork: string | undefined;
  /** Why clocks cannot be set; undefined = they can, by this library. */
  readonly noClocks: string | undefined;
  readonly clockLibrary: string | undefined;
}

let known: Promise<Abilities> | undefined;

/** Tried once in a process. */
export function abilities(): Promise<Abilities> {
  known ??= find();
  return known;
}

async function find(): Promise<Abilities> {
  const noNetwork = (await whyNot(['ip', 'nsenter', 'nft'])) ?? (await whyNoNetwork());
  const noCommand = await whyNot(['faketime']);
  const clockLibrary = LIBRARIES.flatMap((pattern) => globSync(pattern))[0];
  const noClocks = noCommand ?? (await whyNoClocks(clockLibrary));
  return { noNetwork, noClocks, clockLibrary: noClocks === undefined ? clockLibrary : undefined };
}

async function whyNoNetwork(): Promise<string | undefined> {
  try {
    await createNetwork(planNetwork(process.pid, ['trial']));
    return undefined;
  } catch (error) {
    return `no network namespaces: ${String(error)}`;
  } finally {
    await removeNetwork(process.pid);
  }
}

/** The wall clock of Node must be an hour ahead, and its monotonic clock as it was. */
async function whyNoClocks(library: string | undefined): Promise<string | undefined> {
  if (library === undefined) return 'the package faketime has no libfaketime.so.1';
  const env = { ...process.env, ...clockEnvironment(library), FAKETIME: '+3600' };
  const look = 'console.log(Date.now() + " " + Number(process.hrtime.bigint() / 1000000n))';
  const { stdout } = await run(process.execPath, ['-e', look], { env });
  const [wallMs = 0, monotonicMs = 0] = stdout.trim().split(' ').map(Number);
  const isAhead = Math.abs(wallMs - Date.now() - HOUR_MS) < HOUR_MS / 2;
  const isSteady = Math.abs(monotonicMs - Number(process.hrtime.bigint() / 1_000_000n)) < HOUR_MS / 2;
  return isAhead && isSteady ? undefined : 'libfaketime does not move the clock of Node as it should';
}
