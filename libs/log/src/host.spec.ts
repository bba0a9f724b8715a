import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { createHost } from './host.ts';
import { createNodeDisk } from './node-disk.ts';

const host = createHost(createNodeDisk());

describe('this machine', () => {
  it('tells the start time of a living process, and none of a pid that nobody has', async () => {
    expect(await host.startTimeOf(process.pid)).toMatch(/^\d+$/);
    expect(await host.startTimeOf(2 ** 22 + 1)).toBeUndefined();
  });

  it.runIf(process.platform === 'linux')('counts a process that was killed and not yet reaped as gone', async () => {
    // The shell turns into a process that never reaps what the shell started.
    const parent = spawn('sh', ['-c', 'sleep 0.3 & echo $!; exec sleep 30'], { stdio: ['ignore', 'pipe', 'ignore'] });
    try {
      const [line] = (await once(parent.stdout, 'data')) as [Buffer];
      const pid = Number(line.toString());
      const state = (): string => readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.[0] ?? '';
      for (let poll = 0; poll < 200 && state() !== 'Z'; poll += 1) await sleep(10);
      expect(state()).toBe('Z');
      expect(await host.startTimeOf(pid)).toBeUndefined();
    } finally {
      parent.kill('SIGKILL');
    }
  });
});
