/**
 * The order of versions, from everything that anyone was told: which value is at which offset of which key. It comes from
 * acknowledged sends and from all polls, failed ones too: what was seen was there. A send of unknown outcome enters when
 * somebody reads its value.
 */
import type { Findings } from './findings.ts';
import type { HistoryEvent, PollEvent, SendEvent } from './history.ts';
import { offsetsOf, recordsOf, valuesOf } from './history.ts';

/** A value and what is known of it. */
export interface ValueFacts {
  readonly value: string;
  /** `none`: only read, never sent. `info` also while the send, or a repeat of it, has no completion. */
  state: 'none' | 'ok' | 'fail' | 'info';
  /** Process that sent it; -1 for none. */
  process: number;
  /** Of the record, where records of one key have an order. */
  recordKey: string | undefined;
  /** Its place among all values sent; that of its first send, when it was repeated. */
  sentNumber: number;
  /** Sends that nobody has refused: 0 or 1, more where a request was repeated. */
  mayBeCount: number;
  /** Where it is; undefined = nobody was told. A duplicate has the first key that was seen. */
  log: KeyLog | undefined;
  /** Lowest and highest offset in `log`; equal but for duplicates. */
  firstOffset: number;
  lastOffset: number;
  /** By any poll. */
  isRead: boolean;
  /** By a poll that was ok. Monotonic milliseconds; undefined = none. */
  readMs: number | undefined;
  ackedMs: number | undefined;
}

/** The known offsets of one key. */
export class KeyLog {
  readonly key: string;
  readonly #values = new Map<number, ValueFacts>();
  #offsets: Float64Array | undefined;

  constructor(key: string) {
    this.key = key;
  }

  at(offset: number): ValueFacts | undefined {
    return this.#values.get(offset);
  }

  set(offset: number, facts: ValueFacts): void {
    this.#values.set(offset, facts);
    this.#offsets = undefined;
  }

  /** Known offsets, ascending. */
  get offsets(): Float64Array {
    this.#offsets ??= Float64Array.from(this.#values.keys()).sort();
    return this.#offsets;
  }

  /** The first known offset strictly between the two. */
  knownBetween(low: number, high: number): number | undefined {
    if (high <= low + 1) return undefined;
    const { offsets } = this;
    let from = 0;
    for (let to = offsets.length; from < to;) {
      const middle = (from + to) >>> 1;
      if ((offsets[middle] ?? Infinity) <= low) from = middle + 1;
      else to = middle;
    }
    const next = offsets[from];
    return next !== undefined && next < high ? next : undefined;
  }
}

/** All values and all keys of a history. Finds inconsistent-offsets, duplicate, aborted-read and phantom. */
export class VersionOrder {
  readonly values = new Map<string, ValueFacts>();
  readonly logs = new Map<string, KeyLog>();
  /** Records handed out by ok polls. */
  readCount = 0;
  readonly #findings: Findings;
  #sentCount = 0;

  /** Tells `findings` of values in two places, of places with two values, and of values that should not be there. */
  constructor(history: readonly HistoryEvent[], findings: Findings) {
    this.#findings = findings;
    for (const event of history) {
      if (event.f === 'send') this.#send(event);
      else if (event.f === 'poll' && event.type !== 'invoke') this.#poll(event);
    }
    for (const { state, isRead, value } of this.values.values()) {
      if (state === 'fail' && isRead) findings.add('aborted-read', `"${value}" was read, and its send had failed`);
    }
  }

  log(key: string): KeyLog {
    let log = this.logs.get(key);
    if (log === undefined) this.logs.set(key, (log = new KeyLog(key)));
    return log;
  }

  #send(event: SendEvent): void {
    const offsets = offsetsOf(event);
    for (const [index, value] of valuesOf(event).entries()) {
      const facts = this.#facts(value);
      if (event.type === 'invoke') {
        this.#sent(facts, event);
        continue;
      }
      if (event.type === 'fail') {
        facts.mayBeCount -= 1;
        if (facts.mayBeCount === 0) facts.state = 'fail';
      }
      if (event.type !== 'ok') continue;
      facts.state = 'ok';
      facts.ackedMs ??= event.tMonoMs;
      const offset = offsets[index];
      if (event.key !== undefined && offset !== undefined) this.#place(this.log(event.key), offset, facts);
    }
  }

  #sent(facts: ValueFacts, event: SendEvent): void {
    facts.mayBeCount += 1;
    if (facts.state !== 'ok') facts.state = 'info';
    if (facts.sentNumber >= 0) return;
    facts.process = event.process;
    // A request has no order with other sends.
    if (event.requestId === undefined) facts.recordKey = event.recordKey;
    facts.sentNumber = this.#sentCount++;
  }

  #poll(event: PollEvent): void {
    for (const [key, records] of recordsOf(event)) {
      const log = this.log(key);
      for (const [offset, value] of records) {
        const facts = this.#facts(value);
        if (facts.state === 'none')
          this.#findings.add('phantom', `"${value}" at ${offset} of ${key}: nobody had sent it`);
        facts.isRead = true;
        if (event.type === 'ok') {
          facts.readMs ??= event.tMonoMs;
          this.readCount += 1;
        }
        this.#place(log, offset, facts);
      }
    }
  }

  #place(log: KeyLog, offset: number, facts: ValueFacts): void {
    const there = log.at(offset);
    if (there === undefined) log.set(offset, facts);
    else if (there !== facts) {
      const both = [there.value, facts.value].sort().join('" and "');
      this.#findings.add('inconsistent-offsets', `offset ${offset} of ${log.key} has "${both}"`);
    }
    if (facts.log === undefined) {
      facts.log = log;
      facts.firstOffset = facts.lastOffset = offset;
      return;
    }
    if (facts.log === log && (offset === facts.firstOffset || offset === facts.lastOffset)) return;
    this.#findings.add('duplicate', `"${facts.value}" is in ${facts.log.key} and in ${log.key} at ${offset}`);
    if (facts.log !== log) return;
    facts.firstOffset = Math.min(facts.firstOffset, offset);
    facts.lastOffset = Math.max(facts.lastOffset, offset);
  }

  #facts(value: string): ValueFacts {
    let facts = this.values.get(value);
    if (facts !== undefined) return facts;
    facts = {
      value,
      state: 'none',
      process: -1,
      recordKey: undefined,
      sentNumber: -1,
      mayBeCount: 0,
      log: undefined,
      firstOffset: -1,
      lastOffset: -1,
      isRead: false,
      readMs: undefined,
      ackedMs: undefined,
    };
    this.values.set(value, facts);
    return facts;
  }
}
