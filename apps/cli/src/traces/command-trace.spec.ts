import { context, logs, metrics, propagation, trace } from '@opentelemetry/api';
import { OtlpSink } from '@partita/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { UsageError } from '../exit-code.ts';
import { recordedTerminal } from '../testing/recorded-terminal.ts';
import { inNewTrace, inRecordTraces } from './command-trace.ts';

const id = (index: number): string => String(index).padStart(32, '0');
const traceparent = (index: number): string => `00-${id(index)}-00f067aa0ba902b7-01`;
let sink: OtlpSink;

beforeEach(async () => {
  sink = await OtlpSink.start();
});
afterEach(() => {
  sink.stop();
  for (const api of [trace, context, propagation, metrics, logs]) api.disable();
});

const traced = () => ({ trace: true, traces: sink.endpoint.slice('http://'.length) });

describe('a command with --trace', () => {
  it('has sent its trace when it prints the id', async () => {
    const terminal = recordedTerminal();
    const answer = await inNewTrace('produce t', traced(), terminal, () => {
      expect(trace.getActiveSpan()?.isRecording()).toBe(true);
      return Promise.resolve('done');
    });
    expect(answer).toBe('done');
    const [span] = sink.spans;
    expect(span).toMatchObject({ name: 'produce t', service: 'partita-cli', parentSpanId: '', error: false });
    expect(terminal.notes).toEqual([`trace ${span?.traceId ?? ''}`]);
  });

  it('shows its failure in the trace, and fails with it', async () => {
    const terminal = recordedTerminal();
    const failing = inNewTrace('produce t', traced(), terminal, () => Promise.reject(new Error('no topic')));
    await expect(failing).rejects.toThrow('no topic');
    expect(sink.spans).toMatchObject([{ name: 'produce t', error: true }]);
  });

  it('prints each trace of what it read once, ten at most', async () => {
    const terminal = recordedTerminal();
    await inRecordTraces(traced(), terminal, (seen) => {
      for (let index = 1; index <= 30; index += 1) for (const times of [1, 2]) seen(traceparent(index * times));
      return Promise.resolve();
    });
    expect(terminal.notes.length).toBe(11);
    expect(new Set(terminal.notes).size).toBe(11);
    expect(terminal.notes[0]).toBe(`trace ${id(1)}`);
    expect(terminal.notes[10]).toContain('more traces');
    expect(sink.spans).toEqual([]);
  });

  it('says so when nothing that it read was traced', async () => {
    const terminal = recordedTerminal();
    await inRecordTraces(traced(), terminal, (seen) => Promise.resolve(seen('')));
    expect(terminal.notes.join()).toContain('none of the records was traced');
  });

  it('does not begin when nothing keeps traces, or nothing may be traced', async () => {
    let begun = false;
    const work = (): Promise<void> => Promise.resolve(void (begun = true));
    const lost = inNewTrace('x', { trace: true, home: '/nowhere' }, recordedTerminal(), work);
    await expect(lost).rejects.toMatchObject({ reason: 'SERVICE_UNREACHABLE' });
    const off = recordedTerminal('', { OTEL_SDK_DISABLED: 'true' });
    await expect(inNewTrace('x', traced(), off, work)).rejects.toBeInstanceOf(UsageError);
    expect(begun).toBe(false);
  });
});

describe('a command without --trace', () => {
  it('makes no span and prints nothing', async () => {
    const terminal = recordedTerminal();
    await inNewTrace('produce t', { traces: traced().traces }, terminal, () => Promise.resolve());
    await inRecordTraces({}, terminal, (seen) => Promise.resolve(seen(traceparent(1))));
    expect([terminal.notes, sink.spans]).toEqual([[], []]);
  });
});
