/** `partita group describe`: a group as a table or as JSON, once or again and again. */
import { pause } from '@partita/client';
import type { PartitaClient } from '@partita/client';
import { GroupState } from '@partita/protocol';
import type { DescribeGroupResponse, Duration, GroupPartition, GroupSummary } from '@partita/protocol';
import { formatDuration } from '@partita/runtime';
import { withClient } from '../connect.ts';
import type { GlobalOptions } from '../connect.ts';
import { EXIT, UsageError } from '../exit-code.ts';
import { enumWord, jsonLine, timeText } from '../output/json.ts';
import { count, fields, table } from '../output/table.ts';
import type { Terminal } from '../terminal.ts';

export const WATCH_MS_DEFAULT = 2000;
const WATCH_MS_MIN = 100;

export async function describeGroup(id: string, options: GlobalOptions, terminal: Terminal): Promise<void> {
  await terminal.line(await withClient(options, terminal, (client) => shown(client, id, options, terminal)));
}

/** Until Ctrl-C: on a terminal each picture takes the place of the one before, else they follow each other. */
export async function watchGroup(
  id: string,
  options: GlobalOptions & { readonly interval?: number },
  terminal: Terminal,
): Promise<number> {
  const intervalMs = options.interval ?? WATCH_MS_DEFAULT;
  if (intervalMs < WATCH_MS_MIN) throw new UsageError(`--interval is at least ${WATCH_MS_MIN}ms`);
  await withClient(options, terminal, async (client) => {
    for (let isFirst = true; !terminal.interrupted.aborted; isFirst = false) {
      const text = await shown(client, id, options, terminal);
      if (terminal.isScreen && options.json !== true) terminal.clear();
      else if (!isFirst && options.json !== true) await terminal.line('');
      await terminal.line(text);
      await pause(intervalMs, terminal.interrupted);
    }
  });
  return EXIT.interrupted;
}

export function summary(group: GroupSummary) {
  return {
    id: group.group,
    state: enumWord(GroupState, 'GROUP_STATE_', group.state),
    memberCount: group.memberCount,
    epoch: group.groupEpoch,
  };
}

async function shown(client: PartitaClient, id: string, options: GlobalOptions, terminal: Terminal): Promise<string> {
  const group = await client.admin.describeGroup(id, { signal: terminal.interrupted });
  const view = describe(group);
  return options.json === true ? jsonLine(view) : text(view, terminal.colors);
}

function text(view: ReturnType<typeof describe>, colors: boolean): string {
  const parts = [
    fields([
      ['group', view.id],
      ['state', view.state],
      ['epoch', String(view.epoch)],
      ['assignor', view.assignor],
      ['owner', view.owner],
      ['lag', count(view.partitions.reduce((sum, { lagRecords }) => sum + lagRecords, 0n))],
    ]),
  ];
  const members = view.members.map((member) => [
    member.memberId,
    member.clientId,
    member.peer,
    member.partitions.join(' '),
  ]);
  if (members.length > 0) parts.push(table(['MEMBER', 'CLIENT', 'FROM', 'PARTITIONS'], members, colors));
  const headings = ['TOPIC', 'PARTITION', 'NEXT OFFSET', 'END', 'LAG', 'BYTES', 'AGE', 'MEMBER'];
  const partitions = view.partitions.map((part) => [
    part.topic,
    String(part.partition),
    part.nextOffset === undefined ? '-' : String(part.nextOffset),
    String(part.highWatermark),
    part.lagBytes === undefined ? '-' : count(part.lagRecords),
    part.lagBytes === undefined ? '-' : count(part.lagBytes),
    part.lagAgeMs === undefined ? '-' : age(part.lagAgeMs),
    part.memberId === '' ? '-' : part.memberId,
  ]);
  if (partitions.length > 0) parts.push(table(headings, partitions, colors));
  return parts.join('\n\n');
}

function describe(group: DescribeGroupResponse) {
  const none: GroupSummary = { group: '', state: GroupState.GROUP_STATE_UNSPECIFIED, memberCount: 0, groupEpoch: 0 };
  return {
    ...summary(group.summary ?? none),
    assignor: group.assignor,
    owner: group.ownerAddress,
    members: group.members.map((member) => ({
      memberId: member.memberId,
      ...(member.instanceId === '' ? {} : { instanceId: member.instanceId }),
      clientId: member.clientId,
      peer: member.peer,
      joinTime: timeText(member.joinTime),
      ...(member.subscription?.topicPattern ? { topicPattern: member.subscription.topicPattern } : {}),
      partitions: member.partitions.map((part) => `${part.topic}/${part.partition}`),
    })),
    partitions: group.partitions.map(partition),
  };
}

/** What the leader did not tell is absent. */
function partition({ lagBytes, lagAge, ...part }: GroupPartition) {
  const { topic, partition: number, nextOffset, highWatermark, lagRecords, memberId } = part;
  return {
    topic,
    partition: number,
    nextOffset,
    highWatermark,
    lagRecords,
    lagBytes: lagBytes < 0n ? undefined : lagBytes,
    lagAgeMs: lagAge === undefined ? undefined : milliseconds(lagAge),
    memberId,
  };
}

function milliseconds({ seconds, nanos }: Duration): number {
  return Number(seconds) * 1000 + Math.round(nanos / 1e6);
}

/** Whole seconds from one on: more says nothing and makes the column dance. */
function age(ms: number): string {
  return formatDuration(ms < 1000 ? ms : Math.floor(ms / 1000) * 1000);
}
