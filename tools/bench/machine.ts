/** Where a bench ran: what one must know to compare two reports. */
import { readFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';

export interface Machine {
  /** ISO date, without the time. */
  readonly date: string;
  readonly version: string;
  readonly node: string;
  readonly cpu: string;
  readonly coreCount: number;
  readonly memoryBytes: number;
}

export function thisMachine(): Machine {
  const manifest: unknown = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'));
  return {
    date: new Date().toISOString().slice(0, 10),
    version: (manifest as { readonly version: string }).version,
    node: process.version,
    cpu: cpus()[0]?.model ?? 'unknown',
    coreCount: cpus().length,
    memoryBytes: totalmem(),
  };
}

/** The machine as one line of a report's header. */
export function machineLine(machine: Machine): string {
  const { cpu, coreCount, memoryBytes, node, version, date } = machine;
  return `- **Machine**: ${cpu}, ${coreCount} cores, ${(memoryBytes / 2 ** 30).toFixed(0)} GiB; Node ${node}; Partita ${version}; ${date}.`;
}
