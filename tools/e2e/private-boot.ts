/** Processes that see a machine that was started anew, so that what a power cut does to the page cache is told to them. */
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { commandPath } from '@partita/tool-dev/debian-package.ts';

/**
 * A command to run others by: they find a new boot id where the kernel shows its own, by a bind mount in a mount
 * namespace of theirs. `file` holds the id. Needs root and `unshare`.
 */
export function anotherBoot(file: string): string[] {
  writeFileSync(file, `${randomUUID()}\n`);
  const script = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"';
  return [commandPath('unshare') ?? 'unshare', '--mount', '--', 'sh', '-c', script, file];
}
