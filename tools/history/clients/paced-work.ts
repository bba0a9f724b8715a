/** Work that begins at a steady pace, much of it under way at once. */
import { pause } from '@partita/client';
import type { Site } from '../site.ts';

/** How far work that was held up may rush to make up for it. */
const BEHIND_MS_MAX = 200;

export interface Pace {
  readonly intervalMs: number;
  readonly inFlightMax: number;
}

/** Begins `work` again and again until the site stops, and until all of it has ended. It never rejects. */
export async function workSteadily(
  { recorder, stopping }: Site,
  { intervalMs, inFlightMax }: Pace,
  work: (turn: number) => Promise<void>,
): Promise<void> {
  const open = new Set<Promise<void>>();
  let dueMs = performance.now();
  for (let turn = 0; !stopping.aborted && recorder.hasRoom; turn += 1) {
    const working: Promise<void> = work(turn).finally(() => open.delete(working));
    open.add(working);
    if (open.size >= inFlightMax) await Promise.race(open);
    dueMs = Math.max(dueMs + intervalMs, performance.now() - BEHIND_MS_MAX);
    await pause(Math.max(0, dueMs - performance.now()), stopping);
  }
  await Promise.all(open);
}
