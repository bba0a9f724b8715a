/**
 * A process of the simulated cluster, from its start to its death. What it does is done in its own asynchronous context, so
 * that timers, connections and disks know whose they are, through every await. The dead do nothing any more: whatever
 * would wake them is dropped. One that stands still is woken later, all at once.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { ClusterDisk } from './cluster-disk.ts';
import type { Network } from './network.ts';
import type { ReplicaActor } from './services.ts';

const context = new AsyncLocalStorage<SimulatedProcess>();

/** The process that runs now; undefined in the simulation's own code. */
export function currentProcess(): SimulatedProcess | undefined {
  return context.getStore();
}

/** What the world gives to the processes of a machine. */
export interface Machine {
  readonly network: Network;
  /** The disk as this process sees it; undefined for those that need none. */
  readonly disk?: ClusterDisk;
  /** Of the machine's start. */
  readonly bootId: string;
  /** Told of each replica that the process opens. */
  readonly onReplica?: (actor: ReplicaActor) => void;
}

export class SimulatedProcess {
  /** `broker-1`, `coordinator-2`, `clients`. */
  readonly name: string;
  /** IP address of its machine. */
  readonly host: string;
  readonly machine: Machine;
  /** By how much its wall clock is ahead of the true one. */
  clockOffsetMs = 0;
  #isAlive = true;
  #isPaused = false;
  #late: (() => void)[] = [];
  readonly #atDeath: (() => void)[] = [];

  constructor(name: string, host: string, machine: Machine) {
    this.name = name;
    this.host = host;
    this.machine = machine;
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Does the work in this process: never when it is dead, later when it stands still. */
  run(work: () => void): void {
    if (!this.#isAlive) return;
    if (this.#isPaused) this.#late.push(work);
    else context.run(this, work);
  }

  /** Begins work in this process that is waited for from outside. */
  begin<Result>(work: () => Promise<Result>): Promise<Result> {
    return context.run(this, work);
  }

  pause(): void {
    this.#isPaused = true;
  }

  /** Goes on; what came meanwhile comes now, one by one as `soon` has it. */
  resume(soon: (work: () => void) => void): void {
    this.#isPaused = false;
    const late = this.#late;
    this.#late = [];
    for (const work of late) soon(work);
  }

  onDeath(work: () => void): void {
    this.#atDeath.push(work);
  }

  die(): void {
    if (!this.#isAlive) return;
    this.#isAlive = false;
    this.#late = [];
    for (const work of this.#atDeath) work();
  }
}
