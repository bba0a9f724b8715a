/** What the machine gives this process, checked at start with the number needed. Warnings only: it may still do. */
import { readFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { formatBytes } from './units.ts';
import type { Logger } from './logger.ts';

/** What a process expects to need. */
export interface ResourceNeeds {
  readonly openFiles?: number;
  /** Free space on the file system of a directory that exists. */
  readonly freeSpace?: { readonly directory: string; readonly bytes: number };
}

/** Warns about each need that the machine does not meet. */
export async function checkResources(needs: ResourceNeeds, logger: Pick<Logger, 'warn'>): Promise<void> {
  const limit = openFilesLimit();
  if (needs.openFiles !== undefined && limit !== undefined && limit < needs.openFiles) {
    logger.warn(
      { openFilesLimit: limit, openFilesNeeded: needs.openFiles },
      `only ${limit} files may be open at once, ${needs.openFiles} are needed: raise the limit (ulimit -n ${needs.openFiles})`,
    );
  }
  if (needs.freeSpace === undefined) return;
  const { directory, bytes } = needs.freeSpace;
  const fileSystem = await statfs(directory);
  const free = fileSystem.bavail * fileSystem.bsize;
  if (free < bytes) {
    logger.warn(
      { directory, freeBytes: free, freeBytesNeeded: bytes },
      `only ${Math.floor(free / 1024 ** 2)}MiB are free below ${directory}, ${formatBytes(bytes)} are needed: free some space`,
    );
  }
}

/** The soft limit of open files, or undefined where /proc does not tell (no Linux). Node has raised it to the hard one. */
export function openFilesLimit(): number | undefined {
  let limits: string;
  try {
    limits = readFileSync('/proc/self/limits', 'utf8');
  } catch {
    return undefined;
  }
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(limits)?.[1];
  if (soft === undefined) return undefined;
  return soft === 'unlimited' ? Infinity : Number(soft);
}
