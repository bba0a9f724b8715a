import { describe, expect, it } from 'vitest';
import { runCommand } from './run-command.ts';

const quiet = { secondsMax: 20, output: 'on failure' } as const;

describe('a command of a check', () => {
  it('that ends with 0 is ok', async () => {
    expect(await runCommand(['true'], quiet)).toMatchObject({ ok: true, failure: '' });
  });

  it('that fails keeps its exit code and both outputs', async () => {
    const result = await runCommand(['sh', '-c', 'echo out; echo err >&2; exit 3'], quiet);
    expect(result).toMatchObject({ ok: false, failure: 'exit code 3' });
    expect(result.output).toContain('out');
    expect(result.output).toContain('err');
  });

  it('that does not exist fails with a message', async () => {
    const result = await runCommand(['no-such-program-of-partita'], quiet);
    expect(result.failure).toContain('could not be started');
  });

  it('that overruns its limit is stopped together with what it started', async () => {
    // The command counts as ended when its outputs are closed, and the sleeping child holds them too.
    const result = await runCommand(['sh', '-c', 'sleep 60 & wait'], { ...quiet, secondsMax: 0.5 });
    expect(result).toMatchObject({ ok: false, failure: 'stopped after 0.5 s, its limit' });
    expect(result.durationMs).toBeLessThan(10_000);
  });

  it('runs on the Node of this process', async () => {
    const result = await runCommand(['sh', '-c', 'node --version; exit 1'], quiet);
    expect(result.output.trim()).toBe(process.version);
  });
});
