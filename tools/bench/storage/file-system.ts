/** The kind of file system (`ext4`) that holds an absolute path, by the content of /proc/mounts; `unknown` when none does. */
export function fileSystemOf(path: string, mounts: string): string {
  let found = { point: '', kind: 'unknown' };
  for (const line of mounts.split('\n')) {
    const [, point = '', kind = ''] = line.split(' ');
    const isAbove = point === '/' || path === point || path.startsWith(`${point}/`);
    // A later mount at the same place hides the earlier one.
    if (point !== '' && isAbove && point.length >= found.point.length) found = { point, kind };
  }
  return found.kind;
}
