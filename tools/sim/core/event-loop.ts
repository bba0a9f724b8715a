/** Virtual time: what is to happen happens in its order, unless whoever it happens to is paused or gone. */
import { EventHeap } from './event-heap.ts';
import type { Actor, Event } from './event-heap.ts';

export class EventLoop {
  nowMs = 0;
  steps = 0;
  #order = 0;
  readonly #heap = new EventHeap();

  /** An event of the world itself. */
  after(delayMs: number, work: () => void): void {
    this.#push(delayMs, undefined, work);
  }

  /** An event of whoever may be paused or dead by then. */
  afterOf(actor: Actor, delayMs: number, work: () => void): void {
    this.#push(delayMs, actor, work);
  }

  /** Now, or when the paused one goes on. */
  hand(actor: Actor, work: () => void): void {
    if (actor.isPaused) actor.backlog.push(this.#event(0, actor, work));
    else work();
  }

  /** A paused actor goes on: all that came in meanwhile is met in a burst, in its order. */
  catchUp(actor: Actor, backlog: readonly Event[]): void {
    for (const { life, work } of backlog) {
      this.afterOf(actor, 0, () => {
        if (life === actor.life) work();
      });
    }
  }

  /** Runs until the time, or until `isDone` says so; true when it did. */
  run(untilMs: number, isDone: () => boolean = () => false): boolean {
    for (;;) {
      if (isDone()) return true;
      const event = this.#heap.pop();
      if (event === undefined) return false;
      if (event.atMs > untilMs) {
        this.#heap.push(event);
        this.nowMs = untilMs;
        return false;
      }
      this.nowMs = event.atMs;
      this.#dispatch(event);
    }
  }

  #dispatch(event: Event): void {
    const { actor } = event;
    if (actor !== undefined) {
      if (actor.life !== event.life) return;
      if (actor.isPaused) {
        actor.backlog.push(event);
        return;
      }
    }
    this.steps += 1;
    event.work();
  }

  #push(delayMs: number, actor: Actor | undefined, work: () => void): void {
    this.#heap.push(this.#event(delayMs, actor, work));
  }

  #event(delayMs: number, actor: Actor | undefined, work: () => void): Event {
    this.#order += 1;
    return { atMs: this.nowMs + delayMs, order: this.#order, actor, life: actor?.life ?? 0, work };
  }
}
