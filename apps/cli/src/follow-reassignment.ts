/** Waits for moves that have begun, with a progress line. Ctrl-C leaves them to go on. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Admin } from '@partita/client';
import type { Reassignment } from '@partita/protocol';
import { jsonLine } from './output/json.ts';
import { describeReassignment, isOpen, movesTable, progressText } from './output/reassignment-json.ts';
import type { Terminal } from './terminal.ts';

const POLL_MS = 500;

export interface FollowOptions {
  readonly json?: boolean | undefined;
  /** False = only say what has begun. */
  readonly wait?: boolean | undefined;
}

/** Prints how the moves ended; true when all succeeded, or when they are not waited for. */
export async function followReassignment(
  admin: Admin,
  begun: Reassignment,
  { json, wait }: FollowOptions,
  terminal: Terminal,
): Promise<boolean> {
  const id = begun.reassignmentId;
  if (wait === false) {
    await terminal.line(json === true ? jsonLine(describeReassignment(begun)) : id);
    return true;
  }
  if (json !== true) terminal.note(`reassignment ${id}: ${begun.moves.length} moves`);
  const interrupted = terminal.interrupted;
  const tellHow = () =>
    terminal.note(`it goes on; look: partita partition move show ${id}; stop it: partita partition move cancel ${id}`);
  interrupted.addEventListener('abort', tellHow, { once: true });
  try {
    let now = begun;
    while (isOpen(now)) {
      terminal.progress(progressText(describeReassignment(now)));
      await sleep(POLL_MS, undefined, { signal: interrupted });
      now = await admin.getReassignment(id, { signal: interrupted });
    }
    const view = describeReassignment(now);
    if (json === true) await terminal.line(jsonLine(view));
    else {
      terminal.note(progressText(view));
      await terminal.line(movesTable(view, terminal.colors));
    }
    return view.state === 'succeeded';
  } finally {
    interrupted.removeEventListener('abort', tellHow);
  }
}
