/** One JSON object per line. 64-bit numbers are numbers where a double holds them exactly, else texts. */
import type { Timestamp } from '@partita/protocol';

export function jsonLine(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) => (typeof item === 'bigint' ? jsonInteger(item) : item));
}

function jsonInteger(value: bigint): number | string {
  const short = Number(value);
  return Number.isSafeInteger(short) ? short : String(value);
}

/** RFC 3339 in UTC; undefined for none. */
export function timeText(time: Timestamp | undefined): string | undefined {
  if (time === undefined) return undefined;
  return new Date(Number(time.seconds) * 1000 + time.nanos / 1e6).toISOString();
}

/** `TOPIC_STATE_ACTIVE` as `active`: the word behind the prefix of an enum's value. */
export function enumWord(names: Readonly<Record<string, number>>, prefix: string, value: number): string {
  const name = Object.keys(names).find((candidate) => names[candidate] === value);
  return name === undefined ? String(value) : name.slice(prefix.length).toLowerCase();
}
