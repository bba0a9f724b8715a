import { SpanKind } from '@opentelemetry/api';
import { PartitaError } from '@partita/domain';
import { SpanRecorder } from '@partita/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { beginOperation, boundedNames, inCalledPart, UNTRACED } from './operation.ts';

const recorder = new SpanRecorder();
beforeEach(() => recorder.register());
afterEach(() => {
  recorder.unregister();
  recorder.clear();
});

describe('an operation', () => {
  it('is a trace of its own, and its parts are below it', async () => {
    const operation = beginOperation('follow', 'elect', 'elect');
    await operation.part('promise', { 'partita.broker.id': 1 }, () => Promise.resolve(), SpanKind.CLIENT);
    operation.end();
    const [elect] = recorder.named('elect');
    const [promise] = recorder.named('promise');
    expect(elect).toMatchObject({ parent: undefined, ended: true, attributes: { 'partita.operation': 'elect' } });
    expect(promise).toMatchObject({
      kind: SpanKind.CLIENT,
      ended: true,
      attributes: { 'partita.operation': 'elect', 'partita.broker.id': 1 },
    });
    expect(promise?.parent?.spanId).toBe(elect?.spanContext().spanId);
  });

  it('is part of the trace of a caller that waits for it where that is wanted, else not', () => {
    const outer = beginOperation('follow', 'elect', 'outer');
    outer.within(() => {
      beginOperation('follow', 'elect', 'called', { isCalled: true }).end();
      beginOperation('follow', 'elect', 'by itself').end();
    });
    outer.end();
    expect(recorder.named('called')[0]?.parent).toBeDefined();
    expect(recorder.named('by itself')[0]?.parent).toBeUndefined();
  });

  it('whose part throws has an error on that part, which has ended', async () => {
    const operation = beginOperation('roots', 'recover_broker', 'recover broker');
    const refused = new PartitaError('STORAGE_FAILED', 'no disk');
    await expect(operation.part('logs', {}, () => Promise.reject(refused))).rejects.toBe(refused);
    operation.end();
    operation.end();
    expect(recorder.named('logs')[0]).toMatchObject({ ended: true, attributes: { 'error.type': 'STORAGE_FAILED' } });
    expect(recorder.open).toEqual([]);
  });

  it('makes no span with tracing off', async () => {
    expect(beginOperation('off', 'elect', 'elect')).toBe(UNTRACED);
    expect(await UNTRACED.part('part', {}, (part) => Promise.resolve(part.isRecorded))).toBe(false);
    expect(recorder.spans).toEqual([]);
  });
});

describe('a part that another service calls for', () => {
  it('is made only inside a sampled call', async () => {
    expect(await inCalledPart('elect', 'grant promises', {}, (part) => Promise.resolve(part.isRecorded))).toBe(false);
    const call = beginOperation('follow', 'elect', 'elect');
    await call.within(() => inCalledPart('elect', 'grant promises', {}, () => Promise.resolve()));
    call.end();
    expect(recorder.named('grant promises')[0]?.parent?.spanId).toBe(recorder.named('elect')[0]?.spanContext().spanId);
  });
});

it('bounds the names that an attribute takes', () => {
  const names = boundedNames(Array.from({ length: 1000 }, () => 'x'.repeat(1000)));
  expect([names.length, names[0]?.length]).toEqual([16, 255]);
});
