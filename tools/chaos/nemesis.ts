/** Carries out a plan: injects, waits, heals, waits until the cluster has recovered, and keeps the times. */
import { setTimeout as sleep } from 'node:timers/promises';
import { machineMs } from '@partita/tool-history/clients/client-plan.ts';
import type { Stage } from './faults/fault.ts';
import type { PlannedFault, Spell } from './plan.ts';

export interface Injection {
  readonly fault: string;
  /** What was hit; undefined = nobody had the role, and nothing happened. */
  readonly target: string | undefined;
  /** What the fault itself saw that must not be; empty = nothing. */
  readonly wrong: string;
}

export interface PastSpell {
  readonly injections: readonly Injection[];
  readonly fromMs: number;
  /** All causes are gone. */
  readonly healedMs: number;
  readonly recoveredMs: number;
}

export interface NemesisOptions {
  readonly stage: Stage;
  /** Rejects when the cluster does not come back. */
  readonly recovered: () => Promise<void>;
  readonly log: (line: string) => void;
}

/** Rejects when a spell is not survived; all causes are gone then, too. */
export async function carryOut(spells: readonly Spell[], options: NemesisOptions): Promise<PastSpell[]> {
  const past: PastSpell[] = [];
  for (const spell of spells) {
    const fromMs = machineMs();
    const injections = await Promise.all(spell.faults.map((planned) => befall(planned, options)));
    const healedMs = machineMs();
    await options.recovered();
    const recoveredMs = machineMs();
    past.push({ injections, fromMs, healedMs, recoveredMs });
    options.log(`recovered ${seconds(recoveredMs - healedMs)} s after the last was healed`);
    await sleep(spell.quietMs);
  }
  return past;
}

async function befall({ fault, afterMs, lastMs }: PlannedFault, { stage, log }: NemesisOptions): Promise<Injection> {
  await sleep(afterMs);
  let injected;
  try {
    injected = await fault.inject(stage);
  } catch (error) {
    log(`${fault.name} did not happen: ${error instanceof Error ? error.message : String(error)}`);
    return { fault: fault.name, target: undefined, wrong: '' };
  }
  log(`${fault.name}: ${injected.target}`);
  await sleep(lastMs);
  const wrong = await injected.heal().catch((error: unknown) => String(error));
  log(`${fault.name} healed`);
  return { fault: fault.name, target: injected.target, wrong: wrong ?? '' };
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}
