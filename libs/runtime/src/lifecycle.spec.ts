import { fork, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';

const SERVICE = fileURLToPath(new URL('./testdata/service.ts', import.meta.url));
const children: ChildProcess[] = [];

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

interface Run {
  readonly child: ChildProcess;
  readonly messages: unknown[];
  readonly lines: Record<string, unknown>[];
  /** Resolves at the first line with this message. */
  seen(message: string): Promise<Record<string, unknown>>;
  exit(): Promise<number | null>;
}

function run(...modes: string[]): Run {
  const child = fork(SERVICE, modes, { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  children.push(child);
  const lines: Record<string, unknown>[] = [];
  const messages: unknown[] = [];
  let rest = '';
  child.on('message', (message) => messages.push(message));
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop() ?? '';
    for (const part of parts) lines.push(JSON.parse(part) as Record<string, unknown>);
    child.emit('lines');
  });
  // Not 'close': Node does not emit it once the parent has disconnected the channel.
  const ended = child.stdout === null ? [] : [once(child.stdout, 'end')];
  const closed = Promise.all([once(child, 'exit'), ...ended]);
  return {
    child,
    messages,
    lines,
    async seen(message) {
      for (;;) {
        const line = lines.find((candidate) => candidate['msg'] === message);
        if (line !== undefined) return line;
        await Promise.race([
          once(child, 'lines'),
          closed.then(() => Promise.reject(new Error(`ended without "${message}"`))),
        ]);
      }
    },
    async exit() {
      await closed;
      return child.exitCode;
    },
  };
}

const texts = (service: Run) => service.lines.map((line) => line['msg']);

describe('a process that serves', () => {
  it('tells log and parent that it is ready, and on SIGTERM drains, closes, flushes and exits 0', async () => {
    const service = run();
    expect(await service.seen('ready')).toMatchObject({
      level: 'info',
      address: '127.0.0.1:1',
      peerAddress: '127.0.0.1:2',
      metricsAddress: '127.0.0.1:3',
    });
    service.child.kill('SIGTERM');
    expect(await service.exit()).toBe(0);
    const stopping = ['stopping', 'draining', 'closing', 'telemetry flushed', 'stopped'];
    expect(texts(service)).toEqual(['ready', 'telemetry knows', ...stopping]);
    const addresses = { address: '127.0.0.1:1', peerAddress: '127.0.0.1:2', metricsAddress: '127.0.0.1:3' };
    expect(service.messages).toEqual([{ type: 'ready', name: 'test', pid: service.child.pid, ...addresses }]);
  });

  it('exits at once with 1 on a second signal', async () => {
    const service = run('drain-hangs');
    await service.seen('ready');
    service.child.kill('SIGINT');
    await service.seen('draining');
    service.child.kill('SIGINT');
    expect(await service.exit()).toBe(1);
    expect(texts(service).at(-1)).toBe('second signal: exiting at once');
  });

  it('cuts a drain off at its deadline and still closes and exits 0', async () => {
    const service = run('drain-hangs');
    await service.seen('ready');
    service.child.kill('SIGTERM');
    expect(await service.exit()).toBe(0);
    expect(texts(service)).toContain('drain did not end in time; going on without it');
    expect(texts(service)).toContain('closing');
  });

  it.each(['drain-fails', 'close-hangs'])('exits 1 when it cannot stop cleanly: %s', async (mode) => {
    const service = run(mode);
    await service.seen('ready');
    service.child.kill('SIGTERM');
    expect(await service.exit()).toBe(1);
    expect(texts(service)).toContain('closing');
  });

  it('reloads on SIGHUP, and a failed reload changes nothing', async () => {
    const service = run('reload-fails');
    await service.seen('ready');
    service.child.kill('SIGHUP');
    await service.seen('reload failed; the settings are as before');
    service.child.kill('SIGTERM');
    expect(await service.exit()).toBe(0);
  });

  it('ends a start in progress properly when the signal comes early', async () => {
    const service = run('slow-start');
    await service.seen('starting slowly');
    service.child.kill('SIGTERM');
    expect(await service.exit()).toBe(0);
    expect(texts(service)).toEqual([
      'starting slowly',
      'stopping',
      'draining',
      'closing',
      'telemetry flushed',
      'stopped',
    ]);
    expect(service.messages).toEqual([]);
  });

  it('can stop itself while it starts', async () => {
    const service = run('stop-at-once');
    expect(await service.exit()).toBe(0);
    expect(texts(service)).toContain('closing');
  });

  it('stops when its parent is gone, if told so', async () => {
    const service = run('parent-gone');
    await service.seen('ready');
    service.child.disconnect();
    expect(await service.exit()).toBe(0);
    expect(await service.seen('stopping')).toMatchObject({ reason: 'the parent process is gone' });
  });

  it('serves on without its parent otherwise', async () => {
    const service = run();
    await service.seen('ready');
    service.child.disconnect();
    service.child.kill('SIGHUP');
    await service.seen('reloaded');
  });

  it('needs no parent that listens', async () => {
    const child = spawn(process.execPath, [SERVICE], { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    await once(child.stdout, 'data');
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([0, null]);
  });
});

describe('a process that fails', () => {
  it.each([
    ['port-taken', 2, 'the port is taken'],
    ['refused', 4, 'broker 1 is already in this cluster'],
    ['fails-later', 3, 'locked'],
    ['start-crashes', 1, 'crashed; this is a bug or a fault of the machine'],
    ['uncaught', 1, 'crashed; this is a bug or a fault of the machine'],
    ['unhandled', 1, 'crashed; this is a bug or a fault of the machine'],
  ])('logs the reason as fatal and exits with the code: %s', async (mode, code, message) => {
    const service = run(mode);
    expect(await service.exit()).toBe(code);
    expect(service.lines.at(-1)).toMatchObject({ level: 'fatal', exitCode: code, msg: message });
  });
});
