/** The comparison with Kafka and NATS, as a user runs it: each that this machine can have, and nothing that stays behind. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { run } from './command.ts';
import { LONG } from './root.ts';

const PEER_PROCESSES = /kafka\.Kafka|KafkaLoad|nats-server|\/\.nx\/peers\//;

/** Command lines of running processes that belong to a peer. */
async function peerProcesses(): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  return pids.flatMap((pid) => {
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      return PEER_PROCESSES.test(line) ? [line] : [];
    } catch {
      return [];
    }
  });
}

describe.skipIf(!LONG)('the comparison with other systems (long form only)', () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'partita-peers-'))));
  afterEach(() => rmSync(folder, { recursive: true }));

  it.for([
    { peer: 'kafka', measured: ['kafka', 'kafka-eager'] },
    { peer: 'nats', measured: ['nats'] },
  ])(
    'measures Partita and $peer in the same rounds, or says why not',
    { timeout: 600_000 },
    async ({ peer, measured }, context) => {
      const before = await peerProcesses();
      const file = join(folder, 'peers.md');
      const options = ['--peers', peer, '--seconds', '0.5', '--rounds', '1', '--json', '--report', file];
      // The first run fetches and builds.
      const { code, stdout, stderr } = await run('npm', ['run', '--silent', 'bench', '--', 'report', ...options], {
        secondsMax: 600,
      });
      expect(code, stderr).toBe(0);
      const missing = /is left out: (.*)/.exec(stderr)?.[1];
      if (missing !== undefined) context.skip(missing);
      const { results } = JSON.parse(stdout) as { results: { systems: { name: string; latency?: object }[] }[] };
      expect(results).toHaveLength(2);
      for (const { systems } of results) {
        const names = systems.filter(({ latency }) => latency !== undefined).map(({ name }) => name);
        expect(names).toEqual(['direct', 'gateway', ...measured]);
      }
      expect(readFileSync(file, 'utf8')).toContain('## Goals');
      expect(readFileSync(join(folder, 'peers.svg'), 'utf8')).toMatch(/^<svg /);
      expect(await peerProcesses()).toEqual(before);
    },
  );
});
