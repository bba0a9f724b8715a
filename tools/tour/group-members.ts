/** The member processes as the tour sees them: what they hold, what they received, and commands to them. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Arrival, Hold } from './checks.ts';
import { nowMs, parseEvent } from './member-report.ts';
import type { MemberEvent } from './member-report.ts';
import type { Stage } from './stage.ts';

/** Records that a member lets the service send ahead: few, so that those sent before `go` blur no figure. */
export const MEMBER_BUFFER_RECORD_COUNT = 500;
const LEAVE_MS_MAX = 15_000;

export class GroupMembers {
  /** Records received by all members; those of one member in their order. */
  readonly arrivals: Arrival[] = [];
  /** Partitions given up. */
  readonly #ended: Hold[] = [];
  /** Partitions held: `member/partition` to the hold so far. */
  readonly #held = new Map<string, Hold>();
  /** By name. */
  readonly #processes = new Map<string, ChildProcess>();
  readonly #args: readonly string[];
  readonly #left = new Set<string>();
  #failure: string | undefined;
  #wake: (() => void) | undefined;

  constructor({ servers, group, topic }: Pick<Stage, 'servers' | 'group' | 'topic'>, count: number) {
    const script = fileURLToPath(new URL('./member.ts', import.meta.url));
    this.#args = [script, servers.join(','), group, topic, String(MEMBER_BUFFER_RECORD_COUNT)];
    this.add(count);
  }

  /** Starts further members. */
  add(count: number): void {
    for (let index = 0; index < count; index += 1) {
      const name = `member ${this.#processes.size + 1}`;
      const child = spawn(process.execPath, this.#args, { stdio: ['pipe', 'pipe', 'inherit'] });
      createInterface({ input: child.stdout }).on('line', (line) => this.#onEvent(name, parseEvent(line)));
      child.once('exit', (code) => {
        if (code !== 0) this.#fail(`${name} ended with exit code ${code ?? 'none'}`);
      });
      this.#processes.set(name, child);
    }
  }

  /** Holds of now, then those that ended. A hold that goes on ends in the infinite. */
  holds(): Hold[] {
    return [...this.#held.values(), ...this.#ended];
  }

  /** Partitions per member, as held now. */
  assignment(): Map<string, number[]> {
    const assignment = new Map<string, number[]>();
    for (const { member, partition } of this.#held.values()) {
      assignment.set(
        member,
        [...(assignment.get(member) ?? []), partition].sort((a, b) => a - b),
      );
    }
    return assignment;
  }

  /** Lets all that were started read. */
  go(): void {
    for (const child of this.#processes.values()) if (isRunning(child)) child.stdin?.write('go\n');
  }

  /** Lets these leave; resolves when their processes are gone. */
  async leave(names: readonly string[]): Promise<void> {
    await Promise.all(names.map((name) => end(this.#processes.get(name))));
  }

  /**
   * Resolves true when `condition` holds, false when nothing happened for `silenceMsMax` before that. Throws an Error
   * when a member fails.
   */
  async until(condition: () => boolean, silenceMsMax: number): Promise<boolean> {
    for (;;) {
      if (this.#failure !== undefined) throw new Error(this.#failure);
      if (condition()) return true;
      if (!(await this.#nextEvent(silenceMsMax))) return false;
    }
  }

  /** Lets all members leave, and ends those that do not. */
  stop(): Promise<void> {
    return this.leave([...this.#processes.keys()]);
  }

  #onEvent(member: string, event: MemberEvent): void {
    switch (event.event) {
      case 'assigned':
        // Given to it while it left: it is another's by now.
        if (this.#left.has(member)) break;
        for (const partition of event.partitions) {
          this.#held.set(`${member}/${partition}`, { member, partition, fromMs: event.atMs, toMs: Infinity });
        }
        break;
      case 'revoked':
        for (const partition of event.partitions) this.#end(`${member}/${partition}`, event.atMs);
        break;
      case 'left':
        this.#left.add(member);
        for (const [key, hold] of this.#held) if (hold.member === member) this.#end(key, event.atMs);
        break;
      case 'record': {
        const { event: _, ...record } = event;
        this.arrivals.push({ member, ...record });
        break;
      }
      case 'failed':
        this.#fail(`${member}: ${event.message}`);
        break;
    }
    this.#wake?.();
  }

  #end(key: string, toMs: number): void {
    const hold = this.#held.get(key);
    if (hold === undefined) return;
    this.#held.delete(key);
    this.#ended.push({ ...hold, toMs });
  }

  #fail(message: string): void {
    this.#failure ??= message;
    this.#wake?.();
  }

  /** True when an event came in time. */
  #nextEvent(withinMs: number): Promise<boolean> {
    const untilMs = nowMs() + withinMs;
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve(nowMs() < untilMs);
      };
      const timer = setTimeout(end, withinMs);
      this.#wake = end;
    });
  }
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

async function end(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || !isRunning(child)) return;
  const exited = new Promise((resolve) => child.once('exit', resolve));
  const forced = setTimeout(() => child.kill('SIGKILL'), LEAVE_MS_MAX);
  child.stdin?.end('stop\n');
  await exited;
  clearTimeout(forced);
}
