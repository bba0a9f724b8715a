import { describe, expect, it } from 'vitest';
import { cpuTimeMs, cpuTimeOf } from './cpu-time.ts';

describe('CPU time', () => {
  it('is that of user and kernel, whatever the process is called', () => {
    expect(cpuTimeOf('7 (a ) b) S 1 7 7 0 -1 4194560 90 0 0 0 250 30 0 0 20 0 11 0 9')).toBe(2800);
  });

  it('of a process that works grows', () => {
    const before = cpuTimeMs([process.pid]);
    for (const startMs = performance.now(); performance.now() - startMs < 60;);
    expect(cpuTimeMs([process.pid])).toBeGreaterThan(before);
  });
});
