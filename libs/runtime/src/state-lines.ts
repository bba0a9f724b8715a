/**
 * One log line for each change of state that operators ask about: of a partition, a replica, a lease, a group, a group
 * shard. Messages and field names are the same in every service; docs/operating.md shows this table. Many changes at once,
 * as when a broker goes, are lines up to a limit, and a count of the others.
 */
import { STATE_LINES_PER_SECOND_COUNT_MAX } from '@partita/domain';
import type { TimerHandle, Timers } from '@partita/domain';
import type { Logger } from './logger.ts';

interface LineShape {
  readonly service: 'coordinator' | 'broker' | 'consumer-group';
  readonly level: 'info' | 'warn';
  /** What the line tells, besides time, service, instance and, within a trace, trace_id and span_id. */
  readonly fields: readonly string[];
}

const PARTITION = ['topic', 'partition', 'epoch', 'leader', 'in_sync'] as const;

/** The lines by their messages, in the order of the documentation. */
export const STATE_LINES = {
  'partition has a leader': { service: 'coordinator', level: 'info', fields: PARTITION },
  'partition is offline': { service: 'coordinator', level: 'warn', fields: PARTITION },
  'in-sync set shrank': { service: 'coordinator', level: 'info', fields: [...PARTITION, 'left'] },
  'in-sync set grew': { service: 'coordinator', level: 'info', fields: [...PARTITION, 'joined'] },
  'lease taken': { service: 'coordinator', level: 'info', fields: ['token'] },
  'lease lost': { service: 'coordinator', level: 'warn', fields: ['token', 'holder'] },
  'lease given back': { service: 'coordinator', level: 'info', fields: ['token'] },
  'replica leads': { service: 'broker', level: 'info', fields: ['topic', 'partition', 'epoch'] },
  'replica follows': { service: 'broker', level: 'info', fields: ['topic', 'partition', 'epoch', 'leader'] },
  'broker gives up its leaders': { service: 'broker', level: 'info', fields: ['leaders'] },
  'broker leads nothing': { service: 'broker', level: 'info', fields: ['left', 'why', 'duration_ms'] },
  'replica is suspect': { service: 'broker', level: 'warn', fields: ['topic', 'partition', 'epoch'] },
  'replica is whole again': { service: 'broker', level: 'info', fields: ['topic', 'partition', 'epoch'] },
  'group shard taken': {
    service: 'consumer-group',
    level: 'info',
    fields: ['shard', 'claim_epoch', 'groups', 'records', 'duration_ms'],
  },
  'group shard lost': { service: 'consumer-group', level: 'warn', fields: ['shard', 'claim_epoch', 'reason', 'why'] },
  'group shard given up': { service: 'consumer-group', level: 'info', fields: ['shard', 'claim_epoch'] },
  'group rebalances': { service: 'consumer-group', level: 'info', fields: ['group', 'epoch', 'members', 'revoking'] },
  'group is stable': {
    service: 'consumer-group',
    level: 'info',
    fields: ['group', 'epoch', 'members', 'partitions', 'duration_ms'],
  },
  'group is empty': { service: 'consumer-group', level: 'info', fields: ['group', 'epoch'] },
  'group is gone': { service: 'consumer-group', level: 'info', fields: ['group'] },
  'member is put out': { service: 'consumer-group', level: 'info', fields: ['group', 'member', 'why'] },
} as const satisfies Readonly<Record<string, LineShape>>;

export type StateLine = keyof typeof STATE_LINES;
export type StateFields<Line extends StateLine> = Readonly<
  Record<(typeof STATE_LINES)[Line]['fields'][number], unknown>
>;

/** The message of the line that stands for those left out; its fields are `line` and `count`. */
export const LEFT_OUT = 'more changes of state than are written one by one';
const WINDOW_MS = 1000;

export class StateLines {
  readonly #logger: Pick<Logger, 'info' | 'warn'>;
  readonly #timers: Timers;
  /** Lines of the second that is running, by message. */
  readonly #counts = new Map<StateLine, number>();
  #window: TimerHandle | undefined;

  constructor(logger: Pick<Logger, 'info' | 'warn'>, timers: Timers) {
    this.#logger = logger;
    this.#timers = timers;
  }

  write<Line extends StateLine>(line: Line, fields: StateFields<Line>): void {
    this.#window ??= this.#timers.after(WINDOW_MS, () => this.flush());
    const count = (this.#counts.get(line) ?? 0) + 1;
    this.#counts.set(line, count);
    if (count <= STATE_LINES_PER_SECOND_COUNT_MAX) this.#logger[STATE_LINES[line].level](fields, line);
  }

  /** Says what was left out until now. Call it at the end. */
  flush(): void {
    this.#window?.cancel();
    this.#window = undefined;
    for (const [line, count] of this.#counts) {
      const leftOut = count - STATE_LINES_PER_SECOND_COUNT_MAX;
      if (leftOut > 0) this.#logger[STATE_LINES[line].level]({ line, count: leftOut }, LEFT_OUT);
    }
    this.#counts.clear();
  }
}
