/** TopicService: validate, call, map. A coordinator that is not active passes every call on to the one that is. */
import { settingKeyOf, visibleTopic } from '@partita/cluster';
import type { TopicSettings, UpdateTopicCommand } from '@partita/cluster';
import { isInternalTopic, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, PartitaError } from '@partita/domain';
import { TopicServiceService, TopicState } from '@partita/protocol';
import type {
  CreateTopicRequest,
  ListTopicsRequest,
  ListTopicsResponse,
  Topic,
  UpdateTopicRequest,
} from '@partita/protocol';
import { implement, unary } from '@partita/rpc/server';
import type { Implementation, RelayChoice } from '@partita/rpc/server';
import type { AuditLog } from '../directory/audit-log.ts';
import type { ClusterModel } from '../cluster-model.ts';
import { settingsFromMessage } from './setting-messages.ts';
import type { TopicCreations, TopicRequest } from './topic-creation.ts';
import type { TopicDeletions } from './topic-deletion.ts';
import { topicMessage } from './topic-messages.ts';
import type { TopicUpdates } from './topic-updates.ts';

export interface TopicServiceOptions {
  readonly model: ClusterModel;
  readonly creations: TopicCreations;
  readonly deletions: TopicDeletions;
  readonly updates: TopicUpdates;
  readonly audit: AuditLog;
  readonly relay: RelayChoice;
}

export function topicService(options: TopicServiceOptions): Implementation<TopicServiceService> {
  const { model, deletions, audit, relay } = options;
  return implement(TopicServiceService, {
    createTopic: unary(async (request, { clientId }) => ({ topic: await create(options, request, clientId) }), {
      relay,
    }),
    getTopic: unary(
      (request) => ({
        topic: topicMessage(model.state, visibleTopic(model.state, required('topic', request.topic)), true),
      }),
      { relay },
    ),
    listTopics: unary((request) => list(model, request), { relay }),
    updateTopic: unary(async (request, { clientId }) => ({ topic: await update(options, request, clientId) }), {
      relay,
    }),
    deleteTopic: unary(
      async (request, { clientId }) => {
        const deleted = await deletions.delete(required('topic', request.topic), request.etag);
        audit.note('topic_delete', deleted.name, clientId, { topicId: deleted.definition.topicId });
        return { topic: { ...topicMessage(model.state, deleted, false), state: TopicState.TOPIC_STATE_DELETING } };
      },
      { relay },
    ),
  });
}

async function create(
  { model, creations, audit }: TopicServiceOptions,
  request: CreateTopicRequest,
  clientId: string,
): Promise<Topic> {
  const topic = requiredTopic(request.topic);
  const wanted: TopicRequest = {
    name: topic.name,
    partitionCount: topic.partitionCount,
    replicationFactor: topic.replicationFactor,
    settings: settingsFromMessage(topic.settings),
    requestId: request.requestId,
    internal: false,
  };
  if (request.validateOnly) {
    creations.check(wanted);
    return topic;
  }
  const topicId = await creations.create(wanted);
  const created = visibleTopic(model.state, topicId);
  const { replicationFactor } = created.definition;
  audit.note('topic_create', created.name, clientId, {
    topicId,
    partitions: created.partitions.length,
    replicationFactor,
  });
  return topicMessage(model.state, created, true);
}

async function update(
  { model, updates, audit }: TopicServiceOptions,
  request: UpdateTopicRequest,
  clientId: string,
): Promise<Topic> {
  const topic = requiredTopic(request.topic);
  const paths = request.updateMask ?? [];
  if (paths.length === 0) {
    throw new PartitaError(
      'INVALID_REQUEST',
      'update_mask names nothing to change: give paths such as settings.retention_age',
      {
        field: 'update_mask',
      },
    );
  }
  const settingsAfter = masked(
    paths.filter((path) => path !== FACTOR_PATH),
    settingsFromMessage(topic.settings),
  );
  const replicationFactorAfter = paths.includes(FACTOR_PATH) ? topic.replicationFactor : undefined;
  const name = required('topic.name', topic.name);
  const command: UpdateTopicCommand = { name, etag: topic.etag, settingsAfter, replicationFactorAfter };
  if (!request.validateOnly) {
    const updated = await updates.update(command);
    const { topicId, version } = updated.definition;
    audit.note('topic_update', updated.name, clientId, { topicId, version: Number(version), paths: paths.join(',') });
    return topicMessage(model.state, updated, true);
  }
  const definition = updates.check(command);
  return topicMessage(model.state, { ...visibleTopic(model.state, definition.topicId), definition }, true);
}

const FACTOR_PATH = 'replication_factor';

/** What the paths change. `settings` alone stands for every setting. */
function masked(paths: readonly string[], given: TopicSettings): (before: TopicSettings) => TopicSettings {
  const names = paths.map((path) => {
    if (path === 'settings') return undefined;
    if (path === 'partition_count') {
      throw new PartitaError(
        'PARTITION_COUNT_FIXED',
        'partition_count is fixed: more partitions would send keys elsewhere and break their order. Create a topic with more partitions',
        { field: path },
      );
    }
    const key = path.startsWith('settings.') ? settingKeyOf(path.slice('settings.'.length)) : undefined;
    if (key !== undefined) return key;
    throw new PartitaError(
      'INVALID_SETTING',
      `update_mask names "${path}", which cannot be changed: give replication_factor, or paths such as settings.retention_age`,
      {
        setting: path,
      },
    );
  });
  if (names.includes(undefined)) return () => given;
  const changed = Object.fromEntries(names.flatMap((key) => (key === undefined ? [] : [[key, given[key]]])));
  return (before) =>
    Object.fromEntries(Object.entries({ ...before, ...changed }).filter(([, value]) => value !== undefined));
}

/** Pages are by name; the token is the last name of the page before, so topics that come and go shift nothing. */
function list(model: ClusterModel, request: ListTopicsRequest): ListTopicsResponse {
  if (request.pageSize < 0) {
    throw new PartitaError('INVALID_REQUEST', 'page_size must be 0 (default) or more', { field: 'page_size' });
  }
  const size = Math.min(request.pageSize || PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX);
  const after = pageStart(request);
  const found = [...model.state.topics()]
    .filter(({ name, life }) => life === 'active' && name.startsWith(request.namePrefix) && name > after)
    .filter(({ name }) => request.includeInternal || !isInternalTopic(name))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const page = found.slice(0, size);
  const last = page.at(-1);
  return {
    topics: page.map((topic) => topicMessage(model.state, topic, request.includePartitions)),
    nextPageToken: last === undefined || found.length <= size ? '' : pageToken(request, last.name),
  };
}

/** Base64url of `<filter>\n<last name>`: a token for another filter is known. */
function pageToken(request: ListTopicsRequest, lastName: string): string {
  return Buffer.from(`${filterOf(request)}\n${lastName}`).toString('base64url');
}

function pageStart(request: ListTopicsRequest): string {
  if (request.pageToken === '') return '';
  const [filter, lastName] = Buffer.from(request.pageToken, 'base64url').toString().split('\n');
  if (filter === filterOf(request) && lastName !== undefined) return lastName;
  throw new PartitaError('INVALID_PAGE_TOKEN', 'page_token is not one of this list: begin again without it', {});
}

function filterOf({ includeInternal, namePrefix }: ListTopicsRequest): string {
  return JSON.stringify([includeInternal, namePrefix]);
}

function requiredTopic(topic: Topic | undefined): Topic {
  if (topic !== undefined) return topic;
  throw new PartitaError('INVALID_REQUEST', 'topic is required', { field: 'topic' });
}

function required(field: string, value: string): string {
  if (value !== '') return value;
  throw new PartitaError('INVALID_REQUEST', `${field} is required`, { field });
}
