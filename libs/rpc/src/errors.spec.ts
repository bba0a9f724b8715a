import { readFileSync } from 'node:fs';
import { createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { status } from '@grpc/grpc-js';
import { ERROR_REASONS, PartitaError } from '@partita/domain';
import { ErrorRule, RetryAdvice, descriptorsPath } from '@partita/protocol';
import { expect, test } from 'vitest';
import { ERROR_TABLE, isRetryable, outcomeOf, retryAdviceOf } from './errors.ts';

const ERROR_RULE_FIELD = 50611;

function rulesOfProto(): Map<string, ErrorRule> {
  const set = fromBinary(FileDescriptorSetSchema, readFileSync(descriptorsPath));
  const reasons = createFileRegistry(set).getEnum('partita.v1.ErrorReason');
  const rules = new Map<string, ErrorRule>();
  for (const value of reasons?.values ?? []) {
    const option = value.proto.options?.$unknown?.find(({ no }) => no === ERROR_RULE_FIELD);
    // The unknown field's data begin with the length of the message, a varint of one byte here or two.
    if (option === undefined) continue;
    const skip = (option.data[0] ?? 0) < 128 ? 1 : 2;
    rules.set(value.name.replace('ERROR_REASON_', ''), ErrorRule.decode(option.data.subarray(skip)));
  }
  return rules;
}

test('the table says what the options in the proto say', () => {
  const rules = rulesOfProto();
  expect([...rules.keys()].sort()).toEqual([...ERROR_REASONS].sort());
  for (const reason of ERROR_REASONS) {
    const rule = rules.get(reason)!;
    const row = ERROR_TABLE[reason];
    expect({ reason, code: status[row.code], retry: row.retry, definite: row.definite }).toEqual({
      reason,
      code: rule.grpcCode,
      retry: Object.entries(RetryAdvice)
        .find(([, value]) => value === rule.retry)?.[0]
        .replace('RETRY_ADVICE_', ''),
      definite: rule.definite,
    });
  }
});

test('only OUTCOME_UNKNOWN leaves the outcome open', () => {
  expect(ERROR_REASONS.filter((reason) => outcomeOf(new PartitaError(reason, '')) === 'unknown')).toEqual([
    'OUTCOME_UNKNOWN',
  ]);
});

test('retrying follows the advice', () => {
  expect(isRetryable(new PartitaError('NOT_LEADER', ''))).toBe(true);
  expect(retryAdviceOf(new PartitaError('NOT_LEADER', ''))).toBe('REFRESH');
  expect(isRetryable(new PartitaError('INVALID_REQUEST', ''))).toBe(false);
});
