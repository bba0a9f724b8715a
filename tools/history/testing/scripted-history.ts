/** Histories written by hand, an operation a line: each call is an invocation and its completion, unless it says less. */
import { checkHistory } from '../checker.ts';
import type { HistoryEvent, Placed } from '../history.ts';
import { Recorder } from '../recorder.ts';

interface SendDetails {
  readonly process?: number;
  /** Default `a`; undefined = the record key chooses it. */
  readonly key?: string | undefined;
  readonly recordKey?: string;
  readonly session?: string;
  readonly requestId?: string;
}

export class ScriptedHistory {
  readonly recorder: Recorder;
  #nowMs = 0;

  constructor() {
    this.recorder = new Recorder({ nowMs: () => (this.#nowMs += 1) });
  }

  get events(): readonly HistoryEvent[] {
    return this.recorder.events;
  }

  /** Names found, sorted. */
  get names(): string[] {
    return Object.keys(checkHistory(this.events).anomalies).sort();
  }

  /** Lets time pass. */
  wait(ms: number): this {
    this.#nowMs += ms;
    return this;
  }

  /** A send that was acknowledged; offset -1 = the client was not told where. */
  send(value: string | string[], offset: number | number[], details: SendDetails = {}): this {
    this.begin(value, details)('ok', offset);
    return this;
  }

  /** A send without its completion, which the returned function notes. */
  begin(
    value: string | string[],
    details: SendDetails = {},
  ): (type: 'ok' | 'fail' | 'info', offset?: number | number[]) => void {
    const { key, ...rest } = { process: 0, key: 'a', ...details };
    const told = { f: 'send' as const, value, ...rest, ...(key === undefined ? {} : { key }) };
    const op = this.recorder.invoke(told);
    return (type, offset) =>
      this.recorder.complete(op, type, offset === undefined || offset === -1 ? told : { ...told, offset });
  }

  fail(value: string, details: SendDetails = {}): this {
    this.begin(value, details)('fail');
    return this;
  }

  info(value: string, details: SendDetails = {}): this {
    this.begin(value, details)('info');
    return this;
  }

  /** A poll of the key `a`, values by offset. */
  poll(records: readonly Placed[], process = 1, type: 'ok' | 'fail' | 'info' = 'ok'): this {
    return this.pollKeys({ a: records }, process, type);
  }

  pollKeys(
    records: Readonly<Record<string, readonly Placed[]>>,
    process = 1,
    type: 'ok' | 'fail' | 'info' = 'ok',
  ): this {
    const op = this.recorder.invoke({ f: 'poll', process });
    this.recorder.complete(op, type, { f: 'poll', process, records });
    return this;
  }

  highWatermark(offset: number): this {
    const told = { f: 'poll' as const, process: 9 };
    this.recorder.complete(this.recorder.invoke(told), 'ok', { ...told, highWatermarks: { a: offset } });
    return this;
  }

  assign(keys: readonly string[], seeks: Readonly<Record<string, number>> = {}, process = 1): this {
    const told = { f: 'assign' as const, process, keys, seeks };
    this.recorder.complete(this.recorder.invoke(told), 'ok', told);
    return this;
  }

  subscribe(process: number, topics: readonly string[]): this {
    const told = { f: 'subscribe' as const, process, group: 'g', topics };
    this.recorder.complete(this.recorder.invoke(told), 'ok', told);
    return this;
  }

  /** Member `m<process>` of the group `g` gets the key `a`. */
  assigned(process: number, epoch: number, position: number, resets: readonly string[] = []): this {
    const member = `m${process}`;
    const told = { f: 'assigned' as const, process, group: 'g', member, epochs: { a: epoch } };
    this.recorder.note({ ...told, positions: { a: position }, resets });
    return this;
  }

  revoked(process: number, epoch: number): this {
    this.recorder.note({ f: 'revoked', process, group: 'g', member: `m${process}`, epochs: { a: epoch } });
    return this;
  }

  /** A poll of a member of the group. */
  consume(process: number, records: readonly Placed[], rebalanced: readonly string[] = []): this {
    const told = { f: 'poll' as const, process, group: 'g' };
    const op = this.recorder.invoke(told);
    this.recorder.complete(op, 'ok', { ...told, records: { a: records }, rebalanced });
    return this;
  }

  commit(process: number, epoch: number, offset: number, type: 'ok' | 'fail' | 'info' = 'ok'): this {
    this.beginCommit(process, epoch, offset)(type);
    return this;
  }

  /** From outside of the group. */
  resetTo(offset: number): this {
    this.beginReset(offset)('ok');
    return this;
  }

  /** One without its completion, which the returned function notes. */
  beginReset(offset: number): (type: 'ok' | 'fail' | 'info') => void {
    const told = { f: 'commit' as const, process: 8, group: 'g', offsets: { a: offset } };
    const op = this.recorder.invoke(told);
    return (type) => this.recorder.complete(op, type, told);
  }

  /** A commit without its completion, which the returned function notes. */
  beginCommit(process: number, epoch: number, offset: number): (type: 'ok' | 'fail' | 'info') => void {
    const told = { f: 'commit' as const, process, group: 'g', member: `m${process}` };
    const whole = { ...told, offsets: { a: offset }, epochs: { a: epoch } };
    const op = this.recorder.invoke(whole);
    return (type) => this.recorder.complete(op, type, whole);
  }

  crash(process: number): this {
    this.recorder.note({ f: 'crash', process });
    return this;
  }
}
