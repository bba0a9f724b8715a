import { describe, expect, it } from 'vitest';
import { fileSystemOf } from './file-system.ts';

const MOUNTS = `/dev/vda / ext4 rw 0 0
tmpfs /tmp tmpfs rw 0 0
/dev/vdb /tmp/disk xfs rw 0 0
/dev/vdc /tmp/disk btrfs rw 0 0
`;

describe('the file system of a path', () => {
  it.each([
    ['/data', 'ext4'],
    ['/tmp', 'tmpfs'],
    ['/tmp/diskette', 'tmpfs'],
    ['/tmp/disk/logs', 'btrfs'],
  ])('of %s is that of the innermost mount, the last one there: %s', (path, kind) => {
    expect(fileSystemOf(path, MOUNTS)).toBe(kind);
  });

  it('is unknown where nothing is mounted', () => {
    expect(fileSystemOf('/data', '')).toBe('unknown');
  });
});
