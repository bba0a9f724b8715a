/** `npm run bench -- storage`: the log beside plain writes and reads, on the disk of --dir, in a process of its own. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { progress, publish } from '../bench-run.ts';
import type { BenchOptions, BenchRun } from '../bench-run.ts';
import { LoadProcess } from '../child-process.ts';
import { chooseRows } from '../choose-rows.ts';
import { thisMachine } from '../machine.ts';
import { figuresOf, runRounds } from '../rounds.ts';
import { fileSystemOf } from './file-system.ts';
import { storageHeader, storageTables } from './report.ts';
import type { StorageReport } from './report.ts';
import { STORAGE_ROWS } from './rows.ts';
import { THREAD_POOL_SIZE } from './workload.ts';

export interface StorageOptions extends BenchOptions {
  /** Where the files are written, in a directory of their own. */
  readonly dir: string;
}

export async function benchStorage({ options, cleanUps }: BenchRun<StorageOptions>): Promise<void> {
  const rows = chooseRows(STORAGE_ROWS, options.rows);
  const { rounds, seconds, dir } = options;
  const directory = mkdtempSync(join(resolve(dir), 'partita-bench-'));
  cleanUps.add(() => rmSync(directory, { recursive: true, force: true }));
  const fileSystem = fileSystemOf(directory, readFileSync('/proc/mounts', 'utf8'));
  const facts = { ...thisMachine(), rounds, seconds, fileSystem };
  const load = await LoadProcess.start(
    { kind: 'storage', directory },
    { UV_THREADPOOL_SIZE: String(THREAD_POOL_SIZE) },
  );
  cleanUps.add(() => load.ended());
  const reports: StorageReport[] = [];
  for (const row of rows) {
    progress(row.name);
    const side = (name: 'ours' | 'raw') => () => load.run({ load: `${row.name} ${name}`, topic: '', seconds });
    const pairs = await runRounds(rounds, { ours: side('ours'), raw: side('raw') });
    reports.push({ row, figures: figuresOf(pairs) });
  }
  publish(options, {
    header: storageHeader(facts),
    tables: storageTables(reports),
    figures: { facts, rows: reports.map(({ row, figures }) => ({ name: row.name, ...figures })) },
  });
}
