/** Keys and values as text: `utf8`, `base64` or `hex`. */
import { UsageError } from './exit-code.ts';

export const ENCODINGS = ['utf8', 'base64', 'hex'] as const;
export type Encoding = (typeof ENCODINGS)[number];

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;
const HEX = /^([0-9A-Fa-f]{2})*$/;
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Throws UsageError for text that is not in that encoding. */
export function toBytes(text: string, encoding: Encoding): Uint8Array {
  if (encoding === 'base64' && (!BASE64.test(text) || text.length % 4 !== 0))
    throw new UsageError(`"${short(text)}" is no base64`);
  if (encoding === 'hex' && !HEX.test(text))
    throw new UsageError(`"${short(text)}" is no hex: write two digits per byte`);
  return Buffer.from(text, encoding);
}

/** The text, or undefined when the bytes are no UTF-8 and `utf8` was asked for. */
export function toText(bytes: Uint8Array, encoding: Encoding): string | undefined {
  if (encoding !== 'utf8') return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(encoding);
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return undefined;
  }
}

/** Text for a terminal: one line, without control characters that could move its cursor. */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u001F\u007F-\u009F]/g, (character) => {
    if (character === '\n') return '\\n';
    if (character === '\t') return '\\t';
    if (character === '\r') return '\\r';
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
}

function short(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
