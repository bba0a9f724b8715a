import { afterEach, beforeEach, expect, test } from 'vitest';
import { runCommand } from '../program.ts';
import { recordedTerminal } from '../testing/recorded-terminal.ts';
import { SmallCluster } from '../testing/small-cluster.ts';

let cluster: SmallCluster;

beforeEach(async () => {
  cluster = new SmallCluster();
  await cluster.start();
});

afterEach(() => cluster.close());

async function update(...options: string[]) {
  const terminal = recordedTerminal('', { PARTITA_SERVER: cluster.address });
  const code = await runCommand(['topic', 'update', 't', ...options], terminal);
  return { code, text: terminal.lines.join('\n'), notes: terminal.notes.join('\n') };
}

test('sends what changes and no more, and prints what is in force now', async () => {
  const { code, text } = await update('--setting', 'retention_age=7d', '--reset', 'retention-bytes', '--etag', 'e1');
  expect(code).toBe(0);
  expect(text).toContain('changed t:');
  expect(text).toMatch(/retention_age\s+7d\s+topic/);
  expect(text).not.toContain('flush');
  expect(cluster.updates).toMatchObject([
    {
      topic: { name: 't', etag: 'e1', settings: { retentionAge: { seconds: 604_800n, nanos: 0 } } },
      updateMask: ['settings.retention_age', 'settings.retention_bytes'],
      validateOnly: false,
    },
  ]);
});

test('only checks with --dry-run', async () => {
  const { text } = await update('--setting', 'flush=os', '--dry-run');
  expect(text).toContain('could change t:');
  expect(cluster.updates).toMatchObject([{ validateOnly: true }]);
});

test('answers in JSON', async () => {
  const { text } = await update('--setting', 'retention_age=7d', '--json');
  expect(JSON.parse(text)).toMatchObject({ name: 't', settings: { retention_age: { value: '7d', source: 'topic' } } });
});

test.each([
  [[], 'nothing to change'],
  [['--setting', 'flush=os', '--reset', 'flush'], 'which is meant?'],
  [['--reset', 'flsh'], 'did you mean flush?'],
  [['--setting', 'retention_age=soon'], 'setting retention_age'],
])('refuses %j', async (options, why) => {
  const { code, notes } = await update(...options);
  expect(code).toBe(2);
  expect(notes).toContain(why);
  expect(cluster.updates).toEqual([]);
});
