/** The real clock, timers and randomness behind the ports of @partita/domain. */
import { randomBytes } from 'node:crypto';
import type { Clock, Random, Timers } from '@partita/domain';

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};

/** Longest delay that setTimeout takes; beyond it Node fires at once. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

export const systemTimers: Timers = {
  after(delayMs, work) {
    let timeout: NodeJS.Timeout;
    const arm = (leftMs: number) => {
      timeout = setTimeout(
        () => (leftMs > TIMEOUT_MS_MAX ? arm(leftMs - TIMEOUT_MS_MAX) : work()),
        Math.min(leftMs, TIMEOUT_MS_MAX),
      );
    };
    arm(delayMs);
    return { cancel: () => clearTimeout(timeout) };
  },
};

export const systemRandom: Random = {
  next: () => Math.random(),
  uuid: () => uuidV7(Date.now()),
};

/**
 * A UUID of version 7 (RFC 9562): bytes 0-5 milliseconds since 1970 big-endian, the high half of byte 6 the version, the
 * high two bits of byte 8 the variant, 74 random bits. Sorts by creation time at millisecond grain.
 */
export function uuidV7(wallMs: number): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(wallMs, 0, 6);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x70, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
