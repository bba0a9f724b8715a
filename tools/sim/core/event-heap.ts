/** Events by virtual time; those of one moment in the order in which they were scheduled, so that a run is the same each time. */

/** Whoever may be paused or gone when an event for it is due. */
export interface Actor {
  /** Grows with each start: events for an earlier life are dropped. */
  readonly life: number;
  readonly isPaused: boolean;
  /** Events that came due while it was paused. */
  readonly backlog: Event[];
}

export interface Event {
  readonly atMs: number;
  readonly order: number;
  /** Undefined = for the world itself. */
  readonly actor: Actor | undefined;
  readonly life: number;
  readonly work: () => void;
}

/** What decides the order. */
type Timed = Pick<Event, 'atMs' | 'order'>;

export class EventHeap<Item extends Timed = Event> {
  readonly #events: Item[] = [];

  get size(): number {
    return this.#events.length;
  }

  /** The next one, which stays. */
  get first(): Item | undefined {
    return this.#events[0];
  }

  push(event: Item): void {
    const events = this.#events;
    let at = events.length;
    events.push(event);
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = events[above];
      if (parent === undefined || isBefore(parent, event)) break;
      events[at] = parent;
      at = above;
    }
    events[at] = event;
  }

  pop(): Item | undefined {
    const events = this.#events;
    const first = events[0];
    const last = events.pop();
    if (first === undefined || last === undefined || events.length === 0) return first;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      let child = events[below];
      if (child === undefined) break;
      const right = events[below + 1];
      if (right !== undefined && isBefore(right, child)) {
        below += 1;
        child = right;
      }
      if (isBefore(last, child)) break;
      events[at] = child;
      at = below;
    }
    events[at] = last;
    return first;
  }
}

function isBefore(a: Timed, b: Timed): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
