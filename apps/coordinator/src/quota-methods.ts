/** The calls of ClusterService about quotas: validate, call, map. */
import { changeQuota, quotaKey } from '@partita/cluster';
import { PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, PartitaError } from '@partita/domain';
import type { Quota } from '@partita/domain';
import type {
  ListQuotasRequest,
  ListQuotasResponse,
  Quota as QuotaMessage,
  UpdateQuotaRequest,
} from '@partita/protocol';
import { quotaFromMessage, quotaMessage } from '@partita/rpc';
import type { SettingsDesk } from './balance/settings-desk.ts';
import type { ClusterModel } from './cluster-model.ts';
import type { AuditLog } from './directory/audit-log.ts';

export interface QuotaMethodsOptions {
  readonly model: ClusterModel;
  readonly desk: SettingsDesk;
  readonly audit: AuditLog;
}

/** Answers when the directory has it too. */
export async function updateQuota(
  { model, desk, audit }: QuotaMethodsOptions,
  { quota: message, validateOnly }: UpdateQuotaRequest,
  clientId: string,
): Promise<QuotaMessage> {
  if (message === undefined) throw new PartitaError('INVALID_REQUEST', 'quota is required', { field: 'quota' });
  const quota = quotaFromMessage(message);
  const before = model.state.settings().version;
  if (validateOnly) changeQuota(model.state, quota);
  else {
    const { version } = await desk.decide(({ state }) => changeQuota(state, quota));
    const { produceBytesPerSecond, consumeBytesPerSecond } = quota;
    if (version !== before)
      audit.note('quota_update', resourceOf(quota), clientId, { produceBytesPerSecond, consumeBytesPerSecond });
  }
  return quotaMessage(quota);
}

function resourceOf({ clientId, topic }: Quota): string {
  const parts = [...(topic === '' ? [] : [`topic ${topic}`]), ...(clientId === '' ? [] : [`client ${clientId}`])];
  return parts.length === 0 ? 'each client' : parts.join(', ');
}

/** The token names the last of the page before, so those that come and go shift nothing. */
export function listQuotas(
  { model }: Pick<QuotaMethodsOptions, 'model'>,
  { pageSize, pageToken }: ListQuotasRequest,
): ListQuotasResponse {
  if (pageSize < 0)
    throw new PartitaError('INVALID_REQUEST', 'page_size must be 0 (default) or more', { field: 'page_size' });
  const size = Math.min(pageSize || PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX);
  const after = pageToken === '' ? undefined : keyOfToken(pageToken);
  const { quotas } = model.state.settings();
  const left = after === undefined ? quotas : quotas.filter((quota) => quotaKey(quota) > after);
  const page = left.slice(0, size);
  const last = page.at(-1);
  return {
    quotas: page.map(quotaMessage),
    nextPageToken: last === undefined || left.length <= size ? '' : tokenOf(last),
  };
}

function tokenOf(quota: Quota): string {
  return Buffer.from(quotaKey(quota)).toString('base64url');
}

function keyOfToken(token: string): string {
  const key = Buffer.from(token, 'base64url').toString();
  if (key.includes('\0')) return key;
  throw new PartitaError('INVALID_PAGE_TOKEN', 'page_token is not one of this list: begin again without it', {});
}
