/** The NATS server and the load on it, built from released Go modules, and what that needs of the machine. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fetched, folderOf, versionText } from './fetched.ts';
import type { Recipe } from './fetched.ts';

const MODULE = new URL('./nats/', import.meta.url);
/** The `go` line of go.mod. */
const GO_MINOR_MIN = 26;

const BINARIES: Recipe = {
  name: 'nats',
  sources: ['go.mod', 'go.sum', 'main.go', 'load.go'].map((name) => new URL(name, MODULE)),
  command: (folder) => ['go', 'build', '-o', `${folder}/`, '.', 'github.com/nats-io/nats-server/v2'],
  cwd: MODULE,
};

export interface NatsPrograms {
  readonly server: string;
  readonly load: string;
}

/** Why no NATS can run here, or undefined. `versions` answers for the machine. */
export function whyNoNats(versions: typeof versionText = versionText, built = folderOf(BINARIES)): string | undefined {
  if (existsSync(built)) return undefined;
  const minor = Number(/go1\.(\d+)/.exec(versions('go', 'version') ?? '')?.[1] ?? 0);
  return minor < GO_MINOR_MIN
    ? `there is no Go 1.${GO_MINOR_MIN} or later on this machine to build it with`
    : undefined;
}

/** Builds them when they are not there. */
export async function natsPrograms(): Promise<NatsPrograms> {
  const folder = await fetched(BINARIES);
  return { server: join(folder, 'nats-server'), load: join(folder, 'nats') };
}

/** Of server and client, for a report. */
export function natsVersion(goMod = readFileSync(new URL('go.mod', MODULE), 'utf8')): string {
  const version = (module: string): string => new RegExp(`${module} v(\\S+)`).exec(goMod)?.[1] ?? 'unknown';
  return `NATS server ${version('nats-server/v2')} with nats.go ${version('nats.go')}`;
}
