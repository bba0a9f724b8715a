/**
 * Writes a history down while it happens: in memory, up to a bound, and to a file of JSON lines where a path is given.
 * All processes of a run share one recorder, since the order of its events is what "before" means to the checker.
 */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { parseEvent } from './history.ts';
import type { EventType, HistoryEvent } from './history.ts';

const EVENT_COUNT_MAX = 4_000_000;
/** Lines are written in pieces of about this size. */
const PIECE_CHARS = 64 * 1024;

/** An event as its process knows it; the recorder adds the moment and, for a new operation, its number. */
type Told<Event extends HistoryEvent = HistoryEvent> = Event extends HistoryEvent
  ? Omit<Event, 'op' | 'type' | 'tMonoMs'>
  : never;

export interface RecorderOptions {
  /** JSON lines go there. Default: memory only. */
  readonly path?: string;
  /** Each event is in the file when the call returns, so that it outlives a kill -9 of the process. Default false. */
  readonly isJournal?: boolean;
  /** No operation begins beyond; those that are open still end. Default 4,000,000. */
  readonly eventCountMax?: number;
  /** Monotonic milliseconds. Default: performance.now. */
  readonly nowMs?: () => number;
}

/** The one of a run. Its numbers of processes and operations are unique in it. */
export class Recorder {
  readonly #events: HistoryEvent[] = [];
  readonly #eventCountMax: number;
  readonly #nowMs: () => number;
  readonly #file: number | undefined;
  readonly #pieceChars: number;
  #piece = '';
  #opCount = 0;
  #processCount = 0;

  constructor(options: RecorderOptions = {}) {
    this.#eventCountMax = options.eventCountMax ?? EVENT_COUNT_MAX;
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#pieceChars = options.isJournal === true ? 0 : PIECE_CHARS;
    this.#file = options.path === undefined ? undefined : openSync(options.path, 'w');
  }

  /** Everything so far, in order. Owned by the recorder. */
  get events(): readonly HistoryEvent[] {
    return this.#events;
  }

  /** False once the history is as long as it may be: begin nothing more. */
  get hasRoom(): boolean {
    return this.#events.length < this.#eventCountMax;
  }

  /** A number that no process had before. */
  newProcess(): number {
    return this.#processCount++;
  }

  /** Notes that an operation begins; call it before the first byte leaves. Returns its number. */
  invoke(told: Told): number {
    const op = this.#opCount++;
    this.#add(told, op, 'invoke');
    return op;
  }

  /** Notes how an operation ended. */
  complete(op: number, type: Exclude<EventType, 'invoke'>, told: Told): void {
    this.#add(told, op, type);
  }

  /** Notes what has no invocation: a client was told, or is gone. */
  note(told: Told): void {
    this.#add(told, this.#opCount++, 'ok');
  }

  /** Writes what is left to the file and closes it. */
  close(): void {
    if (this.#file === undefined) return;
    writeSync(this.#file, this.#piece);
    this.#piece = '';
    closeSync(this.#file);
  }

  #add(told: Told, op: number, type: EventType): void {
    const event: HistoryEvent = { ...told, op, type, tMonoMs: Math.round(this.#nowMs() * 1000) / 1000 };
    this.#events.push(event);
    if (this.#file === undefined) return;
    this.#piece += `${JSON.stringify(event)}\n`;
    if (this.#piece.length < this.#pieceChars) return;
    writeSync(this.#file, this.#piece);
    this.#piece = '';
  }
}

/** The history in a file of JSON lines. A last line that was cut off, as by a kill, is left out. */
export function readHistory(path: string): HistoryEvent[] {
  const lines = readFileSync(path, 'utf8').split('\n');
  lines.pop();
  return lines.filter((line) => line !== '').map(parseEvent);
}
