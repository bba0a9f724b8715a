import { Metadata, status as code } from '@grpc/grpc-js';
import { ERROR_REASONS, PartitaError } from '@partita/domain';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromRpcStatus, fromStatusObject, toRpcStatus, toStatus } from './status.ts';

const bare = (received: code, details = 'text') => ({ code: received, details, metadata: new Metadata() });

test('a PartitaError survives the way there and back, as a status and in-band', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...ERROR_REASONS),
      fc.string({ maxLength: 100 }),
      fc.dictionary(fc.stringMatching(/^[a-z][a-z_]{0,10}$/), fc.string({ maxLength: 50 })),
      fc.option(fc.integer({ min: 0, max: 100_000 }), { nil: undefined }),
      (reason, message, metadata, retryAfterMs) => {
        const error = new PartitaError(reason, message, metadata, retryAfterMs === undefined ? {} : { retryAfterMs });
        for (const back of [fromStatusObject(toStatus(error), { append: true }), fromRpcStatus(toRpcStatus(error))]) {
          expect(back).toMatchObject({ reason, message });
          expect({ ...back.metadata }).toEqual({ ...metadata });
          expect(back.retryAfterMs).toBe(retryAfterMs);
        }
      },
    ),
  );
});

test('an error that is not ours leaves as INTERNAL, without its text and with the request id', () => {
  const wire = toStatus(new TypeError('secret at /home/x.ts:3'), 'request-7');
  expect(wire.code).toBe(code.INTERNAL);
  expect(wire.details).not.toContain('secret');
  expect(fromStatusObject(wire, { append: false })).toMatchObject({
    reason: 'INTERNAL',
    metadata: { request_id: 'request-7' },
  });
});

test('texts that HTTP/2 headers cannot carry are cut and mended', () => {
  const wire = toStatus(new PartitaError('INVALID_REQUEST', `\uD800${'x'.repeat(5000)}`, { value: 'y'.repeat(5000) }));
  expect(() => encodeURI(wire.details)).not.toThrow();
  expect(wire.details.length).toBe(1024);
});

test('without our ErrorInfo the code decides', () => {
  const reasons = new Map<code, string>([
    [code.UNAVAILABLE, 'SERVICE_UNREACHABLE'],
    [code.DEADLINE_EXCEEDED, 'TIMED_OUT'],
    [code.CANCELLED, 'CANCELLED'],
    [code.RESOURCE_EXHAUSTED, 'LIMIT_EXCEEDED'],
    [code.UNIMPLEMENTED, 'NOT_IMPLEMENTED'],
    [code.UNKNOWN, 'INTERNAL'],
  ]);
  for (const [received, reason] of reasons) {
    expect(fromStatusObject(bare(received), { append: false }).reason).toBe(reason);
  }
});

test('without our ErrorInfo an append is in doubt, unless it certainly never left', () => {
  for (const received of [code.UNAVAILABLE, code.DEADLINE_EXCEEDED, code.CANCELLED, code.INTERNAL, code.UNKNOWN]) {
    expect(fromStatusObject(bare(received), { append: true }).reason).toBe('OUTCOME_UNKNOWN');
  }
  const refused = bare(code.UNAVAILABLE, 'No connection established. Last error: connect ECONNREFUSED 127.0.0.1:1');
  expect(fromStatusObject(refused, { append: true }).reason).toBe('SERVICE_UNREACHABLE');
});

test('details that are no google.rpc.Status are passed over', () => {
  const metadata = new Metadata();
  metadata.set('grpc-status-details-bin', Buffer.from([0xff, 0xff, 0xff]));
  const broken = { code: code.UNAVAILABLE, details: '', metadata };
  expect(fromStatusObject(broken, { append: false }).reason).toBe('SERVICE_UNREACHABLE');
});
