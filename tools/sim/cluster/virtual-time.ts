/**
 * The time of a simulated cluster. While it is installed, clocks, timers and chance of the whole process are the
 * simulation's: production code that calls `setTimeout` runs as it is. Each event runs to its end, with all promises
 * that follow, before the next one begins, so one seed is one order of events.
 */
import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import timers from 'node:timers';
import timersPromises from 'node:timers/promises';
import type { SeededRandom } from '@partita/testkit';
import { currentProcess } from './processes.ts';
import type { SimulatedProcess } from './processes.ts';
import { EventHeap } from '../core/event-heap.ts';

/** 2026-01-01; where the wall clock begins. */
const WALL_START_MS = 1_767_225_600_000;

const realSetImmediate = globalThis.setImmediate;

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly owner: SimulatedProcess | undefined;
  work: (() => void) | undefined;
}

/** What production code holds of a timer. */
class SimulatedTimeout {
  event: Event | undefined;
  readonly #time: VirtualTime;
  readonly #intervalMs: number | undefined;
  readonly #work: () => void;

  constructor(time: VirtualTime, delayMs: number, intervalMs: number | undefined, work: () => void) {
    this.#time = time;
    this.#intervalMs = intervalMs;
    this.#work = work;
    this.#arm(delayMs);
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  hasRef(): boolean {
    return true;
  }

  cancel(): void {
    if (this.event !== undefined) this.event.work = undefined;
    this.event = undefined;
  }

  #arm(delayMs: number): void {
    this.event = this.#time.after(delayMs, () => {
      this.event = undefined;
      if (this.#intervalMs !== undefined) this.#arm(this.#intervalMs);
      this.#work();
    });
  }
}

export class VirtualTime {
  readonly #random: SeededRandom;
  readonly #heap = new EventHeap<Event>();
  #order = 0;
  #nowMs = 0;
  #eventCount = 0;
  #restore: (() => void) | undefined;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** Monotonic milliseconds since the seed began. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Events run so far. */
  get eventCount(): number {
    return this.#eventCount;
  }

  /** The true wall clock. */
  get wallMs(): number {
    return WALL_START_MS + this.#nowMs;
  }

  /** Calls `work` later, in the process that asks for it. */
  after(delayMs: number, work: () => void): Event {
    return this.of(currentProcess(), delayMs, work);
  }

  /** Calls `work` later, in that process or, undefined, in none. */
  of(owner: SimulatedProcess | undefined, delayMs: number, work: () => void): Event {
    const event = { atMs: this.#nowMs + Math.max(0, delayMs), order: (this.#order += 1), owner, work };
    this.#heap.push(event);
    return event;
  }

  cancel(event: Event): void {
    event.work = undefined;
  }

  /** Resolves later, unless the process that waits is dead by then. */
  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => void this.after(delayMs, resolve));
  }

  /** Runs what happens in the next so many milliseconds, or until `isOver`. */
  async run(forMs: number, isOver: () => boolean = () => false): Promise<void> {
    const endMs = this.#nowMs + forMs;
    await settled();
    for (let next = this.#heap.first; next !== undefined && next.atMs <= endMs; next = this.#heap.first) {
      this.#heap.pop();
      const { work, owner } = next;
      if (work === undefined) continue;
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      this.#eventCount += 1;
      if (owner === undefined) work();
      else owner.run(work);
      await settled();
      if (isOver()) return;
    }
    this.#nowMs = endMs;
  }

  /** Takes clocks, timers and chance of this process over, until `restore`. */
  install(): void {
    const random = this.#random;
    const set = (delayMs: number | undefined, work: () => void, isInterval = false) => {
      const ms = Math.max(1, Number.isFinite(delayMs) ? Number(delayMs) : 1);
      return new SimulatedTimeout(this, ms, isInterval ? ms : undefined, work);
    };
    const clear = (timer: unknown) => {
      if (timer instanceof SimulatedTimeout) timer.cancel();
    };
    const fakes = {
      setTimeout: (work: (...args: unknown[]) => void, ms?: number, ...args: unknown[]) => set(ms, () => work(...args)),
      setInterval: (work: (...args: unknown[]) => void, ms?: number, ...args: unknown[]) =>
        set(ms, () => work(...args), true),
      setImmediate: (work: (...args: unknown[]) => void, ...args: unknown[]) =>
        new SimulatedTimeout(this, 0, undefined, () => work(...args)),
      clearTimeout: clear,
      clearInterval: clear,
      clearImmediate: clear,
    };
    const undo = [
      replace(globalThis, fakes),
      replace(timers, fakes),
      replace(timersPromises, {
        setTimeout: (ms: number, value: unknown) => this.sleep(ms).then(() => value),
        setImmediate: (value: unknown) => this.sleep(0).then(() => value),
      }),
      replace(Date, { now: () => Math.floor(this.wallMs + (currentProcess()?.clockOffsetMs ?? 0)) }),
      replace(performance, { now: () => this.#nowMs }),
      replace(Math, { random: () => random.word() / 2 ** 32 }),
      replace(crypto, { randomBytes: bytesOf(random), randomUUID: () => uuidOf(random) }),
    ];
    syncBuiltinESMExports();
    this.#restore = () => {
      for (const one of undo) one();
      syncBuiltinESMExports();
    };
  }

  restore(): void {
    this.#restore?.();
    this.#restore = undefined;
  }
}

/** A random UUID (version 4) of the seed. */
export function uuidOf(random: SeededRandom): string {
  const hex = bytesOf(random)(16).toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, `a${hex.slice(17, 20)}`, hex.slice(20)].join('-');
}

function bytesOf(random: SeededRandom): (count: number) => Buffer {
  return (count) => {
    const bytes = Buffer.alloc(count);
    for (let at = 0; at < count; at += 1) bytes[at] = random.word() & 255;
    return bytes;
  };
}

/** Lets every promise that can go on go on: a macrotask begins only when no microtask is left. */
function settled(): Promise<void> {
  return new Promise((resolve) => void realSetImmediate(resolve));
}

function replace(target: object, by: Readonly<Record<string, unknown>>): () => void {
  const names = Object.keys(by);
  const before = names.map((name) => Object.getOwnPropertyDescriptor(target, name));
  for (const name of names) {
    Object.defineProperty(target, name, { value: by[name], writable: true, configurable: true, enumerable: true });
  }
  return () => {
    names.forEach((name, index) => {
      const descriptor = before[index];
      if (descriptor === undefined) Reflect.deleteProperty(target, name);
      else Object.defineProperty(target, name, descriptor);
    });
  };
}
