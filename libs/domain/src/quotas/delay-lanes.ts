/**
 * Work that waits for its time, in lanes: within a lane nothing overtakes. How much waits is bounded, for the process and for
 * whoever brings a bound of its own.
 */
import type { Clock, TimerHandle, Timers } from '../ports.ts';

/** How much may wait, and does. */
export class DelayRoom {
  readonly #countMax: number;
  readonly #bytesMax: number;
  #count = 0;
  #bytes = 0;

  constructor(countMax: number, bytesMax: number) {
    this.#countMax = countMax;
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** One always fits, whatever its size. */
  fits(bytes: number): boolean {
    return this.#count === 0 || (this.#count < this.#countMax && this.#bytes + bytes <= this.#bytesMax);
  }

  take(bytes: number): void {
    this.#count += 1;
    this.#bytes += bytes;
  }

  release(bytes: number): void {
    this.#count -= 1;
    this.#bytes -= bytes;
  }
}

/** Something that waits. */
export interface Delayed {
  readonly bytes: number;
  readonly room: DelayRoom | undefined;
  /** Called once; must not throw. */
  readonly go: () => void;
}

interface Waiting extends Delayed {
  readonly dueAtMs: number;
}

interface Lane {
  readonly queue: Waiting[];
  timer: TimerHandle | undefined;
}

export class DelayLanes {
  readonly #clock: Clock;
  readonly #timers: Timers;
  /** Those with something in them. */
  readonly #lanes = new Map<string, Lane>();
  readonly room: DelayRoom;

  constructor(clock: Clock, timers: Timers, room: DelayRoom) {
    this.#clock = clock;
    this.#timers = timers;
    this.room = room;
  }

  get isEmpty(): boolean {
    return this.#lanes.size === 0;
  }

  /** When the last of the lane is due; undefined when nothing waits in it. */
  lastDueAtMs(name: string): number | undefined {
    return this.#lanes.get(name)?.queue.at(-1)?.dueAtMs;
  }

  fits({ bytes, room }: Pick<Delayed, 'bytes' | 'room'>): boolean {
    return this.room.fits(bytes) && (room === undefined || room.fits(bytes));
  }

  /** Goes at `dueAtMs`, or when those before it in the lane have gone. `fits` was true. */
  push(name: string, delayed: Delayed, dueAtMs: number): void {
    this.room.take(delayed.bytes);
    delayed.room?.take(delayed.bytes);
    let lane = this.#lanes.get(name);
    if (lane === undefined) this.#lanes.set(name, (lane = { queue: [], timer: undefined }));
    const { queue } = lane;
    queue.push({ ...delayed, dueAtMs: Math.max(dueAtMs, queue.at(-1)?.dueAtMs ?? 0) });
    if (queue.length === 1) this.#arm(name, lane);
  }

  #arm(name: string, lane: Lane): void {
    const [first] = lane.queue;
    if (first === undefined) return;
    const delayMs = Math.max(0, first.dueAtMs - this.#clock.monotonicMs());
    lane.timer = this.#timers.after(Math.ceil(delayMs), () => this.#release(name, lane));
  }

  #release(name: string, lane: Lane): void {
    const nowMs = this.#clock.monotonicMs();
    for (let first = lane.queue[0]; first !== undefined && first.dueAtMs <= nowMs; first = lane.queue[0]) {
      this.room.release(first.bytes);
      first.room?.release(first.bytes);
      // Still in the lane: what comes of it now waits behind those that wait already.
      first.go();
      lane.queue.shift();
    }
    if (lane.queue.length === 0) this.#lanes.delete(name);
    else this.#arm(name, lane);
  }
}
