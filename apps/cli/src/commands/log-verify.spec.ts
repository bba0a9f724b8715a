import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runCommand } from '../program.ts';
import { recordedTerminal } from '../testing/recorded-terminal.ts';
import { DELETED_ID, StoredDirectory, TOPIC_ID } from '../testing/stored-directory.ts';
import type { PlannedRecords, StoredPlan } from '../testing/stored-directory.ts';

let stored: StoredDirectory;

beforeEach(() => {
  stored = new StoredDirectory();
});

afterEach(() => stored.remove());

const RECORDS: PlannedRecords = [
  ['BOS', 'delayed'],
  ['SFO', 'x'.repeat(400)],
];

function batches(count: number, epoch = 1): StoredPlan['batches'] {
  return Array.from({ length: count }, () => ({ records: RECORDS, epoch }));
}

/** Runs `log verify` with --json: the exit code, and findings as `severity check path[:position]`. */
async function verify(dir = stored.dir, ...options: string[]) {
  const terminal = recordedTerminal();
  const code = await runCommand(['log', 'verify', dir, '--json', ...options], terminal);
  const lines = terminal.lines.map((line) => JSON.parse(line) as Record<string, string | undefined>);
  const findings = lines.filter((line) => line['summary'] === undefined);
  const bad = findings.filter(({ severity }) => severity !== 'ok');
  return {
    code,
    notes: terminal.notes.join('\n'),
    summary: lines.find((line) => line['summary'] !== undefined)?.['summary'],
    ok: findings.filter(({ severity }) => severity === 'ok').map(({ path }) => path),
    bad: bad.map(({ severity, check, path, position }) =>
      [severity, check, position === undefined ? path : `${path}:${position}`].join(' '),
    ),
    text: bad.map(({ message }) => message).join('\n'),
  };
}

const P = `${TOPIC_ID}/0`;
const LOG = `${P}/${'0'.repeat(20)}.log`;
const IDX = `${P}/${'0'.repeat(20)}.idx`;

/** Where the batches of a segment file of the fixture begin, and where it ends. */
function positions(path: string): number[] {
  const bytes = readFileSync(path);
  const found = [111];
  for (let at = 111; at < bytes.length; found.push(at)) {
    const [a = 0, b = 0, c = 0, d = 0] = bytes.subarray(at + 1, at + 5);
    at += 5 + ((a & 0x7f) | ((b & 0x7f) << 7) | ((c & 0x7f) << 14) | (d << 21));
  }
  return found;
}

describe('a directory that is in order', () => {
  test('is ok after a clean stop, whole or in parts', async () => {
    await stored.make({ batches: [...batches(120), ...batches(120, 2)], segmentBytesMax: 64 * 1024 });
    const whole = await verify(stored.dir, '--deep');
    expect(whole).toMatchObject({ code: 0, bad: [] });
    expect(whole.ok).toEqual([
      'storage.json',
      'clean-shutdown',
      'checkpoint',
      'meta.journal',
      `${TOPIC_ID}/topic.config`,
      P,
    ]);
    expect(whole.summary).toMatchObject({ partitions: 1, segments: 3, batches: 241, records: 481, damage: 0 });
    expect(await verify(join(stored.dir, TOPIC_ID))).toMatchObject({ code: 0, bad: [] });
    expect(await verify(stored.partition)).toMatchObject({ code: 0, bad: [] });
    expect(await verify(stored.firstLog)).toMatchObject({ code: 0, bad: [] });
    expect(await verify(stored.dir, '--partition', P)).toMatchObject({ code: 0, bad: [] });
  });

  test('is ok after an unclean stop, which is noted', async () => {
    await stored.make({ clean: false, batches: batches(5) });
    expect(await verify()).toMatchObject({ code: 0, bad: ['note clean-shutdown clean-shutdown'] });
  });

  test('is named as in use while its broker lives', async () => {
    await stored.make({ batches: batches(1) });
    const stat = readFileSync(`/proc/${process.pid}/stat`, 'latin1');
    const startTime = stat.slice(stat.lastIndexOf(') ') + 2).split(' ')[19];
    writeFileSync(join(stored.dir, 'lock'), JSON.stringify({ pid: process.pid, start_time: startTime }));
    const { code, text } = await verify(stored.partition);
    expect([code, text]).toEqual([0, expect.stringContaining(`process ${process.pid} runs a broker here`)]);
    writeFileSync(join(stored.dir, 'lock'), JSON.stringify({ pid: process.pid, start_time: '1' }));
    expect((await verify()).bad).toEqual(['note lock lock']);
  });
});

describe('usage', () => {
  test('what is not there, or not of Partita, is exit code 4', async () => {
    expect(await verify(join(stored.dir, 'none'))).toMatchObject({
      code: 4,
      notes: expect.stringContaining('NOT_FOUND'),
    });
    mkdirSync(join(stored.dir, 'other'));
    writeFileSync(join(stored.dir, 'other', 'notes.txt'), 'x');
    expect(await verify(join(stored.dir, 'other'))).toMatchObject({ code: 4 });
    expect(await verify(join(stored.dir, 'other', 'notes.txt'))).toMatchObject({ code: 4 });
    await stored.make({ batches: batches(1) });
    expect(await verify(stored.dir, '--partition', `${TOPIC_ID}/7`)).toMatchObject({ code: 4 });
    expect(await verify(stored.dir, '--partition', 'flights')).toMatchObject({ code: 2 });
  });

  test('Ctrl-C is exit code 130', async () => {
    await stored.make({ batches: batches(1) });
    const terminal = recordedTerminal();
    terminal.interrupt();
    expect(await runCommand(['log', 'verify', stored.dir], terminal)).toBe(130);
  });

  test('text has a line per finding and a summary', async () => {
    await stored.make({ batches: batches(2) });
    const terminal = recordedTerminal();
    expect(await runCommand(['log', 'verify', stored.partition], terminal)).toBe(0);
    expect(terminal.lines).toEqual([
      expect.stringMatching(/^ok {6}topic-config .* topic flights, version 1, 1 partitions$/),
      expect.stringMatching(/^ok {6}partition .* 1 segments, 3 batches, 5 records, offsets 0 to 5$/),
      expect.stringMatching(
        /^1 partitions, 1 segments, 3 batches, 5 records, [\d,]+ bytes in .* s: no damage, 0 notes$/,
      ),
    ]);
  });
});

describe('batches', () => {
  test('any flipped byte of a cleanly closed log is damage, at the batch that holds it', async () => {
    await stored.make({ batches: batches(6) });
    const whole = readFileSync(stored.firstLog);
    const starts = positions(stored.firstLog);
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), async (at, mask) => {
        stored.tamper(stored.firstLog, () => {
          const copy = Buffer.from(whole);
          copy[at] = (copy[at] ?? 0) ^ mask;
          return copy;
        });
        const start = at < 111 ? 0 : starts.findLast((position) => position <= at);
        for (const dir of [stored.dir, stored.firstLog]) {
          const { code, bad } = await verify(dir);
          expect(code).toBe(1);
          const path = dir === stored.dir ? LOG : `${'0'.repeat(20)}.log`;
          const check = at < 111 ? 'segment-header' : 'batch';
          // A batch that is lost at the end makes the log end too early.
          expect(bad.filter((line) => !line.includes('log-end'))).toEqual([`damage ${check} ${path}:${start}`]);
        }
      }),
      { numRuns: 100 },
    );
  });

  test('every damaged place is named, and the walk goes on behind each', async () => {
    await stored.make({ batches: batches(8) });
    const starts = positions(stored.firstLog);
    stored.tamper(stored.firstLog, (bytes) => {
      bytes.fill(0, starts[2], starts[4]);
      bytes[(starts[7] ?? 0) - 1] = 0;
      return bytes;
    });
    const { bad, summary } = await verify();
    expect(bad).toEqual([`damage batch ${LOG}:${starts[2]}`, `damage batch ${LOG}:${starts[6]}`]);
    expect(summary).toMatchObject({ batches: 7 });
  });

  test('a batch of another partition does not count here', async () => {
    await stored.make({ batches: batches(3) });
    renameSync(stored.partition, join(stored.dir, TOPIC_ID, '1'));
    const { code, bad, text } = await verify(join(stored.dir, TOPIC_ID, '1'));
    expect(code).toBe(1);
    expect(bad.slice(0, 2)).toEqual([
      `damage segment-header ${'0'.repeat(20)}.log:0`,
      `damage batch ${'0'.repeat(20)}.log:111`,
    ]);
    expect(text).toContain('it was moved or copied here');
  });

  test('one that is missing is damage, unless the log was compacted', async () => {
    await stored.make({ batches: batches(4) });
    const starts = positions(stored.firstLog);
    rmSync(join(stored.dir, IDX));
    stored.tamper(stored.firstLog, (bytes) => Buffer.concat([bytes.subarray(0, starts[2]), bytes.subarray(starts[3])]));
    const { bad, text } = await verify();
    expect(bad).toEqual([`note index ${IDX}`, `damage offsets ${LOG}`]);
    expect(text).toContain('2 offsets in 1 places have no batch, the first at 3');
    writeFileSync(join(stored.partition, 'compaction'), '');
    expect((await verify()).bad).toEqual([
      `note partition ${TOPIC_ID}/0/compaction`,
      `note index ${IDX}`,
      `note offsets ${LOG}`,
    ]);
  });

  test('one that comes twice is damage', async () => {
    await stored.make({ batches: batches(4) });
    const starts = positions(stored.firstLog);
    stored.tamper(stored.firstLog, (bytes) => Buffer.concat([bytes, bytes.subarray(starts[3], starts[4])]));
    expect((await verify()).bad).toContain(`damage offsets ${LOG}:${starts[5]}`);
  });
});

describe('the end of a log', () => {
  test('a torn tail above what was known as synced is a note, below it damage', async () => {
    await stored.make({ clean: false, batches: batches(3) });
    appendFileSync(stored.firstLog, Buffer.alloc(300, 7));
    const torn = await verify();
    expect([torn.code, torn.text]).toEqual([0, expect.stringContaining('a torn write of 300 bytes')]);
    truncateSync(stored.firstLog, (positions(stored.firstLog).at(-2) ?? 0) - 1);
    const cut = await verify();
    expect([cut.code, cut.text]).toEqual([1, expect.stringContaining('cut short')]);
    expect(cut.bad).toContain(`damage log-end ${P}`);
  });
});

describe('other files', () => {
  test.each([
    ['storage.json', 'damage storage storage.json'],
    ['checkpoint', 'note checkpoint checkpoint'],
    ['clean-shutdown', 'note clean-shutdown clean-shutdown'],
    ['meta.journal.0', 'damage journal meta.journal'],
    [`${TOPIC_ID}/topic.config`, `damage topic-config ${TOPIC_ID}/topic.config`],
  ])('%s is read with care', async (name, expected) => {
    await stored.make({ batches: batches(2) });
    stored.tamper(join(stored.dir, name), (bytes) => bytes.fill(0xff, 0, 30));
    expect((await verify()).bad).toContain(expected);
  });

  test('an index that says something else than the log is damage, one that is cut or broken is made again', async () => {
    await stored.make({ batches: batches(200) });
    const whole = readFileSync(join(stored.dir, IDX));
    writeFileSync(join(stored.dir, IDX), whole.subarray(0, 100));
    expect(await verify()).toMatchObject({ code: 0, bad: [`note index ${IDX}:80`] });
    writeFileSync(join(stored.dir, IDX), whole);
    stored.tamper(join(stored.dir, IDX), (bytes) => bytes.fill(1, 40, 44));
    expect(await verify()).toMatchObject({ code: 0, bad: [`note index ${IDX}:40`] });
    writeFileSync(join(stored.dir, IDX), whole);
    const starts = positions(stored.firstLog);
    truncateSync(stored.firstLog, starts.at(-2));
    expect((await verify()).bad).toEqual([`damage index ${IDX}:${whole.length - 40}`, `damage log-end ${P}`]);
    const other = new StoredDirectory();
    await other.make({ batches: batches(200, 3) });
    copyFileSync(join(other.dir, IDX), join(stored.dir, IDX));
    other.remove();
    expect((await verify()).bad).toContain(`damage index ${IDX}:40`);
  });

  test('a snapshot that says something else than the log is damage, one that is gone is made again', async () => {
    await stored.make({ batches: [...batches(120), ...batches(120, 2)], segmentBytesMax: 64 * 1024 });
    const [second = '', third = ''] = readdirSync(stored.partition).filter((name) => name.endsWith('.snapshot'));
    rmSync(join(stored.partition, second));
    expect(await verify()).toMatchObject({ code: 0, bad: [`note snapshot ${P}/${second}`] });
    stored.tamper(join(stored.partition, third), (bytes) => bytes.fill(0, 16, 20));
    expect(await verify()).toMatchObject({
      code: 0,
      bad: [`note snapshot ${P}/${second}`, `note snapshot ${P}/${third}`],
    });
    rmSync(join(stored.partition, `${'0'.repeat(20)}.log`));
    const { bad } = await verify();
    expect(bad).toContain(`damage snapshot ${P}/${third}`);
  });

  test('a segment that is gone is damage', async () => {
    await stored.make({ batches: batches(240), segmentBytesMax: 64 * 1024 });
    const [, second = ''] = readdirSync(stored.partition).filter((name) => name.endsWith('.log'));
    rmSync(join(stored.partition, second));
    const { code, bad, text } = await verify();
    expect(code).toBe(1);
    expect(text).toContain('have no batch');
    expect(bad).toContain(`note leftover ${P}/${second.replace('.log', '.idx')}`);
  });

  test('replicas without files, files without a replica, and leftovers', async () => {
    await stored.make({ batches: batches(2) });
    renameSync(stored.partition, join(stored.dir, TOPIC_ID, '9'));
    mkdirSync(join(stored.dir, DELETED_ID));
    writeFileSync(join(stored.dir, 'checkpoint.new'), '');
    writeFileSync(join(stored.dir, TOPIC_ID, '9', 'x.new'), '');
    const { bad } = await verify();
    expect(bad).toEqual(
      expect.arrayContaining([
        `damage log-end ${P}`,
        `note leftover ${TOPIC_ID}/9`,
        `note leftover ${DELETED_ID}`,
        'note leftover checkpoint.new',
        `note leftover ${TOPIC_ID}/9/x.new`,
      ]),
    );
  });

  test('without a journal no replica counts', async () => {
    await stored.make({ batches: batches(2) });
    rmSync(join(stored.dir, 'meta.journal.0'));
    expect((await verify()).bad).toContain('damage journal meta.journal');
  });
});
