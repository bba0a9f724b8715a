/** The options of `npm run bench -- merge`. */
import { execFileSync } from 'node:child_process';
import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import type { ReportOptions } from '../bench-run.ts';

export interface MergeOptions extends ReportOptions {
  /** Clients, each with a connection of its own. */
  readonly connections: number;
  /** Length of a measured run. */
  readonly seconds: number;
  /** Pairs of runs, merging on and off. */
  readonly rounds: number;
  /** Processes that the clients are shared out to. */
  readonly processes: number;
}

/** What a process opens beside the connections: files, channels to its parent, connections to other services. */
const OTHER_FILE_COUNT = 200;

export function withMergeOptions(command: Command): Command {
  return command
    .option('--connections <n>', 'clients, each with its own connection', whole(1, 5000), 2000)
    .option('--seconds <n>', 'length of a run', whole(1, 3600), 20)
    .option('--rounds <n>', 'pairs of runs, merging on and off', whole(1, 100), 3)
    .option('--processes <n>', 'processes of clients', whole(1, 64), 4)
    .option('--json', 'prints figures as JSON instead of Markdown', false)
    .option('--report <file>', 'writes the Markdown to a file too');
}

/** Throws an Error that says what to do when a process may not open as many files as the connections need. */
export function checkOpenFiles(connections: number, limit: number = openFileLimit()): void {
  // The gateway has all of them in one process.
  const needed = connections + OTHER_FILE_COUNT;
  if (limit >= needed) return;
  throw new Error(
    `${connections} connections need ${needed} open files in the gateway's process, and the limit is ${limit}: run ulimit -n ${needed} before, or take fewer --connections`,
  );
}

/** Of a process that is started from here. */
function openFileLimit(): number {
  const text = execFileSync('/bin/sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }).trim();
  return text === 'unlimited' ? Infinity : Number(text);
}

function whole(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && text.trim() !== '' && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`expected a whole number from ${min} to ${max}`);
  };
}
