/** `partita group …`: consumer groups, their members and lag. */
import { GroupState } from '@partita/protocol';
import type { DescribeGroupResponse, GroupSummary } from '@partita/protocol';
import type { Command } from 'commander';
import { withClient } from '../connect.ts';
import type { GlobalOptions } from '../connect.ts';
import { enumWord, jsonLine, timeText } from '../output/json.ts';
import { count, fields, table } from '../output/table.ts';
import type { Terminal } from '../terminal.ts';

export function addGroupCommand(program: Command, terminal: Terminal): void {
  const group = program.command('group').description('list and describe consumer groups');
  group
    .command('list')
    .description('list groups by id')
    .action((_options: unknown, command: Command) => listGroups(command.optsWithGlobals(), terminal));
  group
    .command('describe')
    .argument('<id>')
    .description('show members, what they hold, committed offsets and lag')
    .action((id: string, _options: unknown, command: Command) =>
      describeGroup(id, command.optsWithGlobals(), terminal),
    );
}

async function listGroups(options: GlobalOptions, terminal: Terminal): Promise<void> {
  await withClient(options, terminal, async (client) => {
    const rows: string[][] = [];
    for await (const group of client.admin.listGroups()) {
      const { id, state, memberCount, epoch } = summary(group);
      if (options.json === true) await terminal.line(jsonLine(summary(group)));
      else rows.push([id, state, String(memberCount), String(epoch)]);
    }
    if (options.json === true) return;
    if (rows.length === 0) terminal.note('no groups; one begins with: partita consume TOPIC --group NAME');
    else await terminal.line(table(['GROUP', 'STATE', 'MEMBERS', 'EPOCH'], rows, terminal.colors));
  });
}

async function describeGroup(id: string, options: GlobalOptions, terminal: Terminal): Promise<void> {
  const group = await withClient(options, terminal, (client) =>
    client.admin.describeGroup(id, { signal: terminal.interrupted }),
  );
  const view = describe(group);
  if (options.json === true) return terminal.line(jsonLine(view));
  await terminal.line(
    fields([
      ['group', view.id],
      ['state', view.state],
      ['epoch', String(view.epoch)],
      ['assignor', view.assignor],
      ['owner', view.owner],
    ]),
  );
  const members = view.members.map((member) => [
    member.memberId,
    member.clientId,
    member.peer,
    member.partitions.join(' '),
  ]);
  if (members.length > 0)
    await terminal.line(`\n${table(['MEMBER', 'CLIENT', 'FROM', 'PARTITIONS'], members, terminal.colors)}`);
  const partitions = view.partitions.map((part) => [
    part.topic,
    String(part.partition),
    part.nextOffset === undefined ? '-' : String(part.nextOffset),
    String(part.highWatermark),
    count(part.lagRecords),
    part.memberId === '' ? '-' : part.memberId,
  ]);
  if (partitions.length === 0) return;
  return terminal.line(
    `\n${table(['TOPIC', 'PARTITION', 'NEXT OFFSET', 'END', 'LAG', 'MEMBER'], partitions, terminal.colors)}`,
  );
}

function summary(group: GroupSummary) {
  return {
    id: group.group,
    state: enumWord(GroupState, 'GROUP_STATE_', group.state),
    memberCount: group.memberCount,
    epoch: group.groupEpoch,
  };
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
      partitions: member.partitions.map((part) => `${part.topic}/${part.partition}`),
    })),
    partitions: group.partitions.map(({ topic, partition, nextOffset, highWatermark, lagRecords, memberId }) => ({
      topic,
      partition,
      nextOffset,
      highWatermark,
      lagRecords,
      memberId,
    })),
  };
}
