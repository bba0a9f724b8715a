/** Producer ids: UUIDs of version 7 (RFC 9562), made by clients, as 16 bytes in hex. Their own time says how old they are. */

const UUID_V7 = /^[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}$/;
const TIME_CHARS = 12;

/** True when the 16 bytes in hex are a UUID of version 7. */
export function isProducerId(hex: string): boolean {
  return UUID_V7.test(hex);
}

/** When the id was made, by its maker's clock, milliseconds UTC. */
export function producerIdTimeMs(hex: string): bigint {
  return BigInt(`0x${hex.slice(0, TIME_CHARS)}`);
}
