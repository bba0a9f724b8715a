/** Calls to whoever owns a group: any instance is asked, and what it says about the owner is followed. */
import { pause } from '@partita/client';
import { asPartitaError } from '@partita/domain';
import type { PartitaError } from '@partita/domain';
import { outcomeOf } from '@partita/rpc';
import { callUnary } from '@partita/rpc/client';
import type { GroupSite } from './group-site.ts';

const CALL_MS_MAX = 5000;
const TRY_COUNT_MAX = 10;
const RETRY_MS = 300;

/** Why an instance cannot do anything for the group at the moment; nothing has happened. */
const NOT_HERE: ReadonlySet<string> = new Set(['NOT_GROUP_OWNER', 'SERVICE_UNREACHABLE', 'SHUTTING_DOWN']);

export class OwnerError extends Error {
  /** The only failure that may have had an effect; undefined = several. */
  readonly last: PartitaError | undefined;

  constructor(message: string, last: PartitaError | undefined) {
    super(message);
    this.last = last;
  }
}

/** Rejects with OwnerError: at once when the call is refused, after some tries when nobody answers it. */
export async function callOwner<Request, Response>(
  { pool, addresses }: GroupSite,
  method: Parameters<typeof callUnary<Request, Response>>[1],
  request: Request,
): Promise<Response> {
  let hint = '';
  let isDoubtful = false;
  for (let attempt = 0; ; attempt += 1) {
    const address = hint === '' ? (addresses[attempt % addresses.length] ?? '') : hint;
    try {
      return await callUnary(pool.client(address), method, request, { deadlineMs: CALL_MS_MAX, append: true });
    } catch (thrown) {
      const error = asPartitaError(thrown);
      hint = error.reason === 'NOT_GROUP_OWNER' ? (error.metadata['address'] ?? '') : '';
      const isElsewhere = NOT_HERE.has(error.reason);
      // An owner that loses its shard says that it loads, whatever became of what was on its way to the log.
      const isOpen = error.reason === 'GROUP_LOADING' || outcomeOf(error) === 'unknown';
      if (!(isElsewhere || isOpen) || attempt >= TRY_COUNT_MAX)
        throw new OwnerError(`${error.reason}: ${error.message}`, isDoubtful ? undefined : error);
      isDoubtful ||= isOpen;
      await pause(RETRY_MS);
    }
  }
}
