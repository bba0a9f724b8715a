/**
 * Runs a correct log of two keys in memory, step by step, and records what its clients see: sends that overlap, that are
 * refused, or whose outcome stays unknown, some of them stored late; readers that go on, fail, seek and crash.
 */
import type { HistoryEvent, Placed } from '../history.ts';
import { Recorder } from '../recorder.ts';

/** What a step does; the numbers choose whom and what, modulo what there is. */
export interface Step {
  readonly kind: 'send' | 'complete' | 'store-late' | 'hole' | 'poll' | 'poll-fails' | 'seek' | 'crash' | 'watch';
  readonly who: number;
  readonly what: number;
}

export const STEP_KINDS: readonly Step['kind'][] = [
  'send',
  'complete',
  'store-late',
  'hole',
  'poll',
  'poll-fails',
  'seek',
  'crash',
  'watch',
];
const KEYS = ['t-0', 't-1'];
const PRODUCER_COUNT = 3;
const READER_COUNT = 2;
const POLL_COUNT_MAX = 4;

interface Open {
  readonly op: number;
  readonly told: { f: 'send'; process: number; key: string; value: string; recordKey: string };
  readonly outcome: 'ok' | 'fail' | 'info';
  readonly offset: number | undefined;
}

interface Reader {
  process: number;
  readonly positions: Map<string, number>;
}

class CorrectRun {
  readonly recorder: Recorder;
  readonly #logs = new Map<string, (string | undefined)[]>(KEYS.map((key) => [key, []]));
  readonly #open: Open[] = [];
  /** Sends of unknown outcome that may still arrive. */
  readonly #limbo: { readonly key: string; readonly value: string }[] = [];
  readonly #readers: Reader[];
  #valueCount = 0;

  constructor() {
    let nowMs = 0;
    this.recorder = new Recorder({ nowMs: () => (nowMs += 1) });
    for (let process = 0; process < PRODUCER_COUNT; process += 1) this.recorder.newProcess();
    this.#readers = Array.from({ length: READER_COUNT }, () => this.#newReader());
  }

  step({ kind, who, what }: Step): void {
    const key = KEYS[what % KEYS.length]!;
    const reader = this.#readers[who % READER_COUNT]!;
    if (kind === 'send') this.send(who % PRODUCER_COUNT, key, what);
    else if (kind === 'complete') this.#complete(what);
    else if (kind === 'store-late') this.#storeLate();
    else if (kind === 'hole') this.#logs.get(key)!.push(undefined);
    else if (kind === 'poll') this.#poll(reader, key, 1 + (what % POLL_COUNT_MAX), 'ok');
    else if (kind === 'poll-fails') this.#poll(reader, key, 1 + (what % POLL_COUNT_MAX), 'fail');
    else if (kind === 'seek') this.#assign(reader, key, what % (this.#logs.get(key)!.length + 1));
    else if (kind === 'crash') {
      this.recorder.note({ f: 'crash', process: reader.process });
      this.#readers[who % READER_COUNT] = this.#newReader();
    } else {
      const told = { f: 'poll' as const, process: 99, highWatermarks: { [key]: this.#logs.get(key)!.length } };
      this.recorder.complete(this.recorder.invoke({ f: 'poll', process: 99 }), 'ok', told);
    }
  }

  /** One in four is refused, one in four stays unknown; of those every other one is stored. */
  send(process: number, key: string, what: number): void {
    const value = `v${(this.#valueCount += 1)}`;
    const told = { f: 'send' as const, process, key, value, recordKey: `${key}-${what % 2}` };
    const op = this.recorder.invoke(told);
    const outcome = what % 4 === 2 ? 'fail' : what % 4 === 3 ? 'info' : 'ok';
    const isStored = outcome === 'ok' || (outcome === 'info' && what % 8 === 3);
    const log = this.#logs.get(key)!;
    this.#open.push({ op, told, outcome, offset: isStored ? log.push(value) - 1 : undefined });
    if (outcome === 'info' && !isStored) this.#limbo.push({ key, value });
  }

  /** Ends what is open, sends a few in sequence, and reads everything twice. */
  finish(): readonly HistoryEvent[] {
    while (this.#open.length > 0) this.#complete(0);
    for (const outcome of [0, 0, 0, 4, 4, 4, 2]) {
      this.send(0, KEYS[0]!, outcome);
      this.#complete(0);
    }
    for (let reading = 0; reading < 2; reading += 1) {
      const reader = this.#newReader();
      for (const key of KEYS) this.#poll(reader, key, Infinity, 'ok');
    }
    return this.recorder.events;
  }

  #complete(what: number): void {
    const [open] = this.#open.splice(what % Math.max(1, this.#open.length), 1);
    if (open === undefined) return;
    const { op, told, outcome, offset } = open;
    this.recorder.complete(op, outcome, outcome === 'ok' ? { ...told, offset: offset! } : told);
  }

  #storeLate(): void {
    const late = this.#limbo.shift();
    if (late !== undefined) this.#logs.get(late.key)!.push(late.value);
  }

  #newReader(): Reader {
    const reader = { process: this.recorder.newProcess(), positions: new Map<string, number>() };
    for (const key of KEYS) this.#assign(reader, key, 0);
    return reader;
  }

  #assign(reader: Reader, key: string, position: number): void {
    const told = { f: 'assign' as const, process: reader.process, keys: KEYS, seeks: { [key]: position } };
    this.recorder.complete(this.recorder.invoke(told), 'ok', told);
    reader.positions.set(key, position);
  }

  #poll(reader: Reader, key: string, countMax: number, type: 'ok' | 'fail'): void {
    const told = { f: 'poll' as const, process: reader.process };
    const op = this.recorder.invoke(told);
    const records: Placed[] = [];
    for (const [offset, value] of this.#logs.get(key)!.entries()) {
      if (offset < reader.positions.get(key)! || value === undefined || records.length >= countMax) continue;
      records.push([offset, value]);
    }
    this.recorder.complete(op, type, { ...told, records: { [key]: records } });
    if (type === 'ok' && records.length > 0) reader.positions.set(key, records.at(-1)![0] + 1);
  }
}

/** The history of a correct run. It ends with six acknowledged sends and a refused one to `t-0`, then two full readings. */
export function correctRun(steps: readonly Step[]): readonly HistoryEvent[] {
  const run = new CorrectRun();
  for (const step of steps) run.step(step);
  return run.finish();
}
