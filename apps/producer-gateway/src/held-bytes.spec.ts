import { SERVER_BUFFER_BYTES_MAX } from '@partita/domain';
import { expect, it } from 'vitest';
import { HeldBytes } from './held-bytes.ts';

it('holds so many bytes and no more, gives room back, and lets one request through whatever its size', () => {
  const held = new HeldBytes();
  held.take(SERVER_BUFFER_BYTES_MAX + 1);
  expect(() => held.take(1)).toThrow('slow down');
  held.release(SERVER_BUFFER_BYTES_MAX + 1);
  held.take(SERVER_BUFFER_BYTES_MAX - 1);
  held.take(1);
  expect(() => held.take(1)).toThrow('slow down');
});
