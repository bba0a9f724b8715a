/**
 * The file `clean-shutdown`: the last broker on this directory stopped in order and closed its logs. Written as the last
 * thing before the exit, removed as the first thing at the start, so that it never speaks of an earlier run.
 *
 *     {"format_version": 1, "incarnation": 7, "boot_id": "<of the machine's start>", "log_ends": {"<topic id>/3": "1042"},
 *      "crc": "<8 hex digits, checked-json.ts>"}
 *
 * Only logs named here were closed cleanly. A file that cannot be read counts as none: recovery then verifies.
 */
import { decodeCheckedJson, encodeCheckedJson } from './checked-json.ts';
import { readFileIfExists } from './disk.ts';
import type { Disk } from './disk.ts';

const FORMAT_VERSION = 1;

export interface CleanShutdown {
  readonly incarnation: number;
  /** Boot id of the machine at the stop; undefined where the system has none. */
  readonly bootId: string | undefined;
  /** By `partitionKey`: end of each log that was closed cleanly. */
  readonly logEnds: ReadonlyMap<string, bigint>;
}

/** Writes the marker, durable on return. */
export async function writeCleanShutdown(disk: Disk, dir: string, marker: CleanShutdown): Promise<void> {
  const bytes = encodeCheckedJson({
    format_version: FORMAT_VERSION,
    incarnation: marker.incarnation,
    boot_id: marker.bootId ?? null,
    log_ends: Object.fromEntries([...marker.logEnds].map(([key, end]) => [key, String(end)])),
  });
  await disk.writeFileAtomically(`${dir}/clean-shutdown`, bytes);
}

/** Reads the marker and removes it for good; undefined after an unclean stop. */
export async function takeCleanShutdown(disk: Disk, dir: string): Promise<CleanShutdown | undefined> {
  const path = `${dir}/clean-shutdown`;
  const bytes = await readFileIfExists(disk, path);
  if (bytes !== undefined) await disk.unlink(path);
  // Also when it is gone: a start that ended between the two calls removed it, but not for good.
  await disk.syncDirectory(dir);
  return bytes === undefined ? undefined : parse(bytes);
}

/** Reads the marker and leaves it; undefined when there is none, `unreadable` when it will count as none. */
export async function readCleanShutdown(disk: Disk, dir: string): Promise<CleanShutdown | 'unreadable' | undefined> {
  const bytes = await readFileIfExists(disk, `${dir}/clean-shutdown`);
  return bytes === undefined ? undefined : (parse(bytes) ?? 'unreadable');
}

function parse(bytes: Buffer): CleanShutdown | undefined {
  const stored = decodeCheckedJson(bytes);
  const incarnation = stored?.['incarnation'];
  const bootId = stored?.['boot_id'];
  const ends = stored?.['log_ends'];
  if (stored?.['format_version'] !== FORMAT_VERSION || typeof incarnation !== 'number') return undefined;
  if (typeof ends !== 'object' || ends === null) return undefined;
  const logEnds = new Map<string, bigint>();
  for (const [key, end] of Object.entries(ends)) {
    if (typeof end !== 'string' || !/^\d{1,19}$/.test(end)) return undefined;
    logEnds.set(key, BigInt(end));
  }
  return { incarnation, bootId: typeof bootId === 'string' ? bootId : undefined, logEnds };
}
