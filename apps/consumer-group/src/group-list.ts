/**
 * The list of groups: every instance answers for the shards that it serves, whoever is asked puts the answers together.
 * A shard that nobody answers for is an error, never a gap.
 */
import { asPartitaError, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, PartitaError } from '@partita/domain';
import { compareText, groupPhase } from '@partita/groups';
import type { Group } from '@partita/groups';
import { GroupServiceService, GroupState } from '@partita/protocol';
import type { GroupSummary, ListGroupsRequest, ListGroupsResponse } from '@partita/protocol';
import { callUnary } from '@partita/rpc/client';
import type { ChannelPool } from '@partita/rpc/client';
import { relayMetadata } from '@partita/rpc/server';
import type { CallContext } from '@partita/rpc/server';
import { invalid } from './consume-initial.ts';
import { ownerGone } from './group-relay.ts';
import type { GroupShards } from './group-shards.ts';

export interface ListServices {
  readonly shards: GroupShards;
  readonly pool: ChannelPool;
}

/** How long a call waits for shards that are being taken over. */
const SHARD_WAIT_MS = 5000;
const STATES = {
  EMPTY: GroupState.GROUP_STATE_EMPTY,
  RECONCILING: GroupState.GROUP_STATE_RECONCILING,
  STABLE: GroupState.GROUP_STATE_STABLE,
} as const;

export async function listGroups(
  request: ListGroupsRequest,
  context: CallContext,
  { shards, pool }: ListServices,
): Promise<ListGroupsResponse> {
  const pageSize = request.pageSize === 0 ? PAGE_SIZE_DEFAULT : request.pageSize;
  if (pageSize < 1 || pageSize > PAGE_SIZE_MAX)
    throw invalid('page_size', String(pageSize), `1..${PAGE_SIZE_MAX}, or 0`);
  const page = { pageSize, pageToken: request.pageToken };
  const after = groupOfToken(request.pageToken);
  const waitMs = Math.min(SHARD_WAIT_MS, context.deadlineMs / 2);
  const own = async (wanted: readonly number[]): Promise<GroupSummary[]> => {
    const served = await shards.served(wanted, waitMs);
    const groups = served.flatMap(({ owner }) => [...owner.state.values()]);
    return groups.filter((group) => group.value !== undefined && group.id > after).map(summaryOf);
  };
  if (request.shards.length > 0) return pageOf(await own(request.shards), pageSize);
  const answers = [...shards.placement()].map(async ([address, wanted]) => {
    if (address === '') return { groups: await own(wanted), nextPageToken: '' };
    try {
      const options = { deadlineMs: waitMs, signal: context.signal, metadata: relayMetadata(context) };
      const asked = { ...page, shards: [...wanted] };
      return await callUnary(pool.client(address), GroupServiceService.listGroups, asked, options);
    } catch (thrown) {
      throw ownerGone(asPartitaError(thrown));
    }
  });
  const all = await Promise.all(answers);
  const isMore = all.some(({ nextPageToken }) => nextPageToken !== '');
  return pageOf(
    all.flatMap(({ groups }) => groups),
    pageSize,
    isMore,
  );
}

export function summaryOf(group: Group): GroupSummary {
  const { value, members, id } = group;
  return { group: id, state: STATES[groupPhase(group)], memberCount: members.size, groupEpoch: value?.groupEpoch ?? 0 };
}

/** The first of `groups` by id. `isMore` = there are others behind them. */
function pageOf(groups: readonly GroupSummary[], size: number, isMore = false): ListGroupsResponse {
  const page = groups.toSorted((a, b) => compareText(a.group, b.group)).slice(0, size);
  const last = page.at(-1);
  const isEnd = last === undefined || (groups.length <= size && !isMore);
  return { groups: page, nextPageToken: isEnd ? '' : Buffer.from(last.group, 'utf8').toString('base64url') };
}

/** A token is the id of the last group of the page before, in base64url. */
function groupOfToken(token: string): string {
  const group = Buffer.from(token, 'base64url').toString('utf8');
  if (token === '' || (Buffer.from(group, 'utf8').toString('base64url') === token && /^[A-Za-z0-9._-]+$/.test(group)))
    return group;
  throw new PartitaError('INVALID_PAGE_TOKEN', 'the page token was not made by this list; start without one', {
    page_token: token,
  });
}
