/** The calls of ClusterService about reassignments: validate, call, map. */
import { PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, PartitaError } from '@partita/domain';
import type {
  CreateReassignmentRequest,
  ListReassignmentsRequest,
  ListReassignmentsResponse,
  Reassignment,
} from '@partita/protocol';
import type { ClusterModel } from '../cluster-model.ts';
import type { DirectoryPublisher } from '../directory/directory-publisher.ts';
import { moveFromMessage, reassignmentMessage } from './reassignment-messages.ts';
import type { Reassignments } from './reassignments.ts';

export interface ReassignmentMethodsOptions {
  readonly model: ClusterModel;
  readonly reassignments: Reassignments;
  readonly publisher: DirectoryPublisher;
}

/** Answers when the directory has it too, so that another coordinator would go on with it. */
export async function createReassignment(
  { model, reassignments, publisher }: ReassignmentMethodsOptions,
  { moves, validateOnly, requestId }: CreateReassignmentRequest,
  clientId: string,
): Promise<Reassignment> {
  const asked = moves.map((move) => moveFromMessage(model.state, move));
  const begun = reassignments.create({ moves: asked, requestId, reason: 'operator', validateOnly, clientId });
  if (validateOnly) return { ...reassignmentMessage(model.state, begun), reassignmentId: '' };
  await publisher.movesWritten(begun.reassignmentId);
  return reassignmentMessage(model.state, reassignments.get(begun.reassignmentId));
}

export async function cancelReassignment(
  { model, reassignments, publisher }: ReassignmentMethodsOptions,
  reassignmentId: string,
  clientId: string,
): Promise<Reassignment> {
  const ended = reassignments.cancel(reassignmentId, clientId);
  await publisher.movesWritten(reassignmentId);
  return reassignmentMessage(model.state, ended);
}

/** Newest first; the token is the last id of the page before, so those that come shift nothing. */
export function listReassignments(
  { model, reassignments }: ReassignmentMethodsOptions,
  { pageSize, pageToken }: ListReassignmentsRequest,
): ListReassignmentsResponse {
  if (pageSize < 0)
    throw new PartitaError('INVALID_REQUEST', 'page_size must be 0 (default) or more', { field: 'page_size' });
  const size = Math.min(pageSize || PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX);
  const all = reassignments.list();
  const before = pageToken === '' ? -1 : all.findIndex(({ reassignmentId }) => reassignmentId === pageToken);
  if (pageToken !== '' && before < 0)
    throw new PartitaError('INVALID_PAGE_TOKEN', 'page_token is not one of this list: begin again without it', {});
  const page = all.slice(before + 1, before + 1 + size);
  const isEnd = before + 1 + size >= all.length;
  return {
    reassignments: page.map((known) => reassignmentMessage(model.state, known)),
    nextPageToken: isEnd ? '' : (page.at(-1)?.reassignmentId ?? ''),
  };
}
