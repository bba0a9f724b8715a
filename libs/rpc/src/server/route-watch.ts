/**
 * One WatchRoutes stream: the whole state first, in frames that a plain client takes, the last one `complete`; then what
 * changes. While the caller is slow only the names of what changed are kept, and the newest state of each is sent once
 * there is room, so the memory of a watcher is bounded by the number of topics and no old state is ever sent late.
 */
import { RESPONSE_BYTES_MAX } from '@partita/domain';
import type { TopicRoute, WatchRoutesRequest, WatchRoutesResponse } from '@partita/protocol';
import type { CallContext } from './call-context.ts';
import type { DirectoryChange, DirectoryView } from './directory.ts';
import type { ServerStream } from './methods.ts';

export function watchRoutes(
  view: DirectoryView,
  request: WatchRoutesRequest,
  stream: ServerStream<WatchRoutesResponse>,
  context: CallContext,
): void {
  const watch = new RouteWatch(view, new Set(request.topics), stream);
  stream.onDrain(() => watch.flush());
  const stop = view.onChange((change) => watch.note(change));
  stream.onClose(stop);
  // A watcher reconnects, and then gets the whole state again.
  context.draining.addEventListener('abort', () => stream.end(context.draining.reason), { signal: context.signal });
  watch.start();
}

/** Frames stay below half of what a plain client takes: sizes here are of routes alone. */
const FRAME_BYTES = RESPONSE_BYTES_MAX / 2;

class RouteWatch {
  readonly #view: DirectoryView;
  /** Names that are watched; empty = all. */
  readonly #topics: ReadonlySet<string>;
  readonly #stream: ServerStream<WatchRoutesResponse>;
  /** Ids whose newest state is not sent yet. */
  readonly #pending = new Set<string>();
  readonly #pendingDeleted = new Set<string>();
  #brokersPending = false;
  #endpointsPending = false;
  /** Frames of the first state that wait for room; changes wait behind them. */
  #firstFrames: Frame[] = [];

  constructor(view: DirectoryView, topics: ReadonlySet<string>, stream: ServerStream<WatchRoutesResponse>) {
    this.#view = view;
    this.#topics = topics;
    this.#stream = stream;
  }

  start(): void {
    const { routes, brokers, endpoints } = this.#view.snapshot();
    const frames = inFrames(
      this.#view,
      routes.filter((route) => this.#watched(route)),
    );
    this.#firstFrames = frames.map(({ routes: part, bytes }, index) => ({
      bytes,
      message: {
        reset: index === 0,
        complete: index === frames.length - 1,
        routes: part,
        deletedTopicIds: [],
        brokers: index === 0 ? [...brokers] : [],
        endpoints: index === 0 ? [...endpoints] : [],
      },
    }));
    this.flush();
  }

  note(change: DirectoryChange): void {
    for (const route of change.deleted) {
      if (!this.#watched(route)) continue;
      this.#pending.delete(route.topicId);
      this.#pendingDeleted.add(route.topicId);
    }
    for (const route of change.changed) if (this.#watched(route)) this.#pending.add(route.topicId);
    this.#brokersPending ||= change.brokersChanged;
    this.#endpointsPending ||= change.endpointsChanged;
    this.flush();
  }

  flush(): void {
    while (this.#stream.writable) {
      const first = this.#firstFrames.shift();
      if (first === undefined) break;
      this.#stream.send(first.message, first.bytes);
    }
    if (!this.#stream.writable || this.#firstFrames.length > 0 || !this.#hasPending()) return;
    const { brokers, endpoints } = this.#view.snapshot();
    const changed = [...this.#pending].flatMap((id) => this.#view.routeOfId(id) ?? []);
    const frames = inFrames(this.#view, changed);
    // A change is whole by itself: its frames go together, a handful at most.
    frames.forEach(({ routes, bytes }, index) => {
      const message = {
        reset: false,
        complete: index === frames.length - 1,
        routes,
        deletedTopicIds: index === 0 ? [...this.#pendingDeleted] : [],
        brokers: index === 0 && this.#brokersPending ? [...brokers] : [],
        endpoints: index === 0 && this.#endpointsPending ? [...endpoints] : [],
      };
      this.#stream.send(message, bytes);
    });
    this.#pending.clear();
    this.#pendingDeleted.clear();
    this.#brokersPending = false;
    this.#endpointsPending = false;
  }

  #watched(route: TopicRoute): boolean {
    return this.#topics.size === 0 || this.#topics.has(route.topic);
  }

  #hasPending(): boolean {
    return this.#pending.size > 0 || this.#pendingDeleted.size > 0 || this.#brokersPending || this.#endpointsPending;
  }
}

/** A message and its size, of the routes alone. */
interface Frame {
  readonly message: WatchRoutesResponse;
  readonly bytes: number;
}

interface FramePart {
  readonly routes: TopicRoute[];
  bytes: number;
}

/** The routes in parts that fit into a frame each; at least one part. */
function inFrames(view: DirectoryView, routes: readonly TopicRoute[]): FramePart[] {
  let part: FramePart = { routes: [], bytes: 0 };
  const parts = [part];
  for (const route of routes) {
    const bytes = view.bytesOf(route);
    if (part.bytes > 0 && part.bytes + bytes > FRAME_BYTES) {
      part = { routes: [], bytes: 0 };
      parts.push(part);
    }
    part.routes.push(route);
    part.bytes += bytes;
  }
  return parts;
}
