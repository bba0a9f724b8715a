/** Where a process spent its time, by the functions that were running themselves: from a .cpuprofile as V8 writes it. */

/** What is used of the format: a tree of calls, and which of its nodes was found running at each sample. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    /** `lineNumber` counts from 0. */
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[];
}

export interface FunctionTime {
  /** `#send`, or what V8 calls its own work: `(garbage collector)`. */
  readonly name: string;
  /** `libs/rpc/src/x.ts:12`, `node:internal/x:3`; empty for V8's own. */
  readonly place: string;
  readonly selfMs: number;
  /** Of the time in which the thread was not idle. */
  readonly share: number;
}

export interface ProfileSummary {
  /** How long the thread was not idle. */
  readonly busyMs: number;
  /** Those that took longest, the longest first. */
  readonly functions: readonly FunctionTime[];
}

const IDLE = '(idle)';

export function topFunctions({ nodes, samples, timeDeltas }: CpuProfile, count: number): ProfileSummary {
  const selfMs = new Map<string, number>();
  const keys = new Map(nodes.map(({ id, callFrame }) => [id, keyOf(callFrame)]));
  for (const [index, id] of samples.entries()) {
    const key = keys.get(id) ?? '';
    selfMs.set(key, (selfMs.get(key) ?? 0) + Math.max(0, timeDeltas[index] ?? 0) / 1000);
  }
  selfMs.delete(JSON.stringify([IDLE, '']));
  const busyMs = [...selfMs.values()].reduce((sum, ms) => sum + ms, 0);
  const functions = [...selfMs]
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, count)
    .map(([key, ms]) => {
      const [name, place] = JSON.parse(key) as [string, string];
      return { name, place, selfMs: ms, share: ms / busyMs };
    });
  return { busyMs, functions };
}

/** Name and place, in one string. */
function keyOf({ functionName, url, lineNumber }: CpuProfile['nodes'][number]['callFrame']): string {
  const name = functionName === '' ? 'anonymous' : functionName;
  return JSON.stringify([name, url === '' ? '' : `${shortened(url)}:${lineNumber + 1}`]);
}

/** From the folder of the repository on, or from the package on. */
function shortened(url: string): string {
  const [, inPackage] = /^.*\/node_modules\/(.+)$/.exec(url) ?? [];
  if (inPackage !== undefined) return inPackage;
  const [, inTree] = /^.*?\/((?:apps|libs|tools)\/.+)$/.exec(url) ?? [];
  return inTree ?? url;
}
