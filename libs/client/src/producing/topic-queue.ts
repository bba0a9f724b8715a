/** Calls whose topic's route is not known yet: found once for all of them, and handed on in their order. */
import { asPartitaError, PartitaError } from '@partita/domain';
import type { TopicRoute } from '@partita/protocol';
import { backoffDelayMs } from '@partita/rpc/client';
import { JITTER } from '../jitter.ts';
import { pause } from '../pause.ts';
import type { OutgoingCall } from './record-sender.ts';
import { mayPass } from './retried-errors.ts';

/** Finds routes; the RouteCache. */
export interface RouteFinder {
  resolve(topic: string): Promise<TopicRoute>;
}

export class TopicQueue<Call extends OutgoingCall> {
  readonly #routes: RouteFinder;
  readonly #place: (call: Call, route: TopicRoute) => void;
  /** By topic, in order. Bounded by the room of the producer. */
  readonly #calls = new Map<string, Call[]>();
  #lastError: PartitaError | undefined;
  #closed = false;

  constructor(routes: RouteFinder, place: (call: Call, route: TopicRoute) => void) {
    this.#routes = routes;
    this.#place = place;
  }

  has(topic: string): boolean {
    return this.#calls.has(topic);
  }

  add(call: Call): void {
    const waiting = this.#calls.get(call.topic);
    if (waiting !== undefined) return void waiting.push(call);
    this.#calls.set(call.topic, [call]);
    void this.#find(call.topic);
  }

  expire(nowMs: number): void {
    for (const calls of this.#calls.values()) {
      for (const { call, topic, deadlineAtMs } of calls) {
        if (deadlineAtMs <= nowMs) call.fail(tooLate(topic, this.#lastError));
      }
    }
  }

  close(): void {
    this.#closed = true;
  }

  /** Never rejects. Ends when the calls are placed, failed, or nobody waits for them any more. */
  async #find(topic: string): Promise<void> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        const route = await this.#routes.resolve(topic);
        this.#end(topic, (call) => this.#place(call, route));
        return;
      } catch (thrown) {
        const error = asPartitaError(thrown);
        this.#lastError = error;
        const isWaitedFor = this.#calls.get(topic)?.some(({ call }) => !call.isOver) ?? false;
        if (!mayPass(error) || !isWaitedFor || this.#closed) {
          this.#end(topic, ({ call }) => call.fail(error));
          return;
        }
      }
      await pause(backoffDelayMs(attempt, JITTER));
    }
  }

  #end(topic: string, each: (call: Call) => void): void {
    const calls = this.#calls.get(topic) ?? [];
    this.#calls.delete(topic);
    for (const outgoing of calls) if (!outgoing.call.isOver) each(outgoing);
  }
}

function tooLate(topic: string, last: PartitaError | undefined): PartitaError {
  const why = last === undefined ? '' : `: ${last.message}`;
  const metadata = { topic, ...(last === undefined ? {} : { last_reason: last.reason }) };
  return new PartitaError(
    'TIMED_OUT',
    `the record for "${topic}" could not be delivered within its time${why}`,
    metadata,
  );
}
