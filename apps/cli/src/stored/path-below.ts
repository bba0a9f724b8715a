/** Paths as commands print them. */
import { basename, relative } from 'node:path';

/** The path as seen from `root`; the name of the file where it is the root itself. */
export function pathBelow(root: string, path: string): string {
  const below = relative(root, path);
  if (below === '') return basename(path);
  return below.startsWith('..') ? path : below;
}
