/** The member processes as the tour sees them: what they hold, what they received, and commands to them. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Arrival, Hold } from './checks.ts';
import { nowMs, parseEvent } from './member-report.ts';
import type { MemberEvent } from './member-report.ts';
import { MEMBER_COUNT } from './stage.ts';
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
  readonly #processes: ChildProcess[] = [];
  #failure: string | undefined;
  #wake: (() => void) | undefined;

  constructor(stage: Stage) {
    const script = fileURLToPath(new URL('./member.ts', import.meta.url));
    for (let index = 1; index <= MEMBER_COUNT; index += 1) {
      const name = `member ${index}`;
      const args = [script, stage.servers.join(','), stage.group, stage.topic, String(MEMBER_BUFFER_RECORD_COUNT)];
      const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
      createInterface({ input: child.stdout }).on('line', (line) => this.#onEvent(name, parseEvent(line)));
      child.once('exit', (code) => {
        if (code !== 0) this.#fail(`${name} ended with exit code ${code ?? 'none'}`);
      });
      this.#processes.push(child);
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

  go(): void {
    for (const child of this.#processes) child.stdin?.write('go\n');
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
  async stop(): Promise<void> {
    await Promise.all(
      this.#processes.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const exited = new Promise((resolve) => child.once('exit', resolve));
        const forced = setTimeout(() => child.kill('SIGKILL'), LEAVE_MS_MAX);
        child.stdin?.end('stop\n');
        await exited;
        clearTimeout(forced);
      }),
    );
  }

  #onEvent(member: string, event: MemberEvent): void {
    switch (event.event) {
      case 'assigned':
        for (const partition of event.partitions) {
          this.#held.set(`${member}/${partition}`, { member, partition, fromMs: event.atMs, toMs: Infinity });
        }
        break;
      case 'revoked':
        for (const partition of event.partitions) this.#end(`${member}/${partition}`, event.atMs);
        break;
      case 'left':
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
