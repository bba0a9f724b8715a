/** `partita topic …`: what there is, where its partitions are, and how to make, change and remove it. */
import { PARTITION_COUNT_MAX, REPLICATION_FACTOR_MAX } from '@partita/domain';
import type { Command } from 'commander';
import { collect, wholeNumber } from '../arguments.ts';
import { withClient } from '../connect.ts';
import type { GlobalOptions } from '../connect.ts';
import { UsageError } from '../exit-code.ts';
import { jsonLine, timeText } from '../output/json.ts';
import { fields, table } from '../output/table.ts';
import { describe, sourceOf, stateOf } from '../output/topic-json.ts';
import type { Terminal } from '../terminal.ts';
import { parseSettings } from '../topic-settings.ts';
import { addDeleteRecordsCommand } from './delete-records.ts';
import { addUpdateTopicCommand } from './update-topic.ts';

interface CreateOptions extends GlobalOptions {
  readonly partitions: number;
  readonly replicationFactor?: number;
  readonly setting: readonly string[];
  readonly dryRun?: boolean;
}

interface ListOptions extends GlobalOptions {
  readonly prefix?: string;
  readonly internal?: boolean;
}

export function addTopicCommand(program: Command, terminal: Terminal): void {
  const topic = program
    .command('topic')
    .description('create, list, describe, change and delete topics, and their records');
  topic
    .command('create')
    .argument('<name>', 'letters, digits, `.`, `_` and `-`, at most 249')
    .description('create a topic; answers when every partition has a leader')
    .option(
      '--partitions <n>',
      'number of partitions; cannot be changed later',
      wholeNumber('--partitions', 1, PARTITION_COUNT_MAX),
      1,
    )
    .option(
      '--replication-factor <n>',
      'copies of each partition (default: min(3, brokers))',
      wholeNumber('--replication-factor', 1, REPLICATION_FACTOR_MAX),
    )
    .option(
      '--setting <name=value>',
      'a setting, may be repeated: retention_age=1h, record_bytes_max=2MiB',
      collect,
      [],
    )
    .option('--dry-run', 'check everything and create nothing')
    .addHelpText('after', '\nExample:\n  partita topic create flights --partitions 6 --setting retention_age=30d')
    .action((name: string, _options: unknown, command: Command) =>
      createTopic(name, command.optsWithGlobals<CreateOptions>(), terminal),
    );
  topic
    .command('list')
    .description('list topics by name')
    .option('--prefix <text>', 'only names that begin with this')
    .option('--internal', "Partita's own topics too")
    .action((_options: unknown, command: Command) => listTopics(command.optsWithGlobals<ListOptions>(), terminal));
  topic
    .command('describe')
    .argument('<name>', 'name or id')
    .description('show a topic, its settings and where its partitions are')
    .action((name: string, _options: unknown, command: Command) =>
      describeTopic(name, command.optsWithGlobals(), terminal),
    );
  addUpdateTopicCommand(topic, terminal);
  topic
    .command('delete')
    .argument('<name>')
    .description('delete a topic with all its records')
    .option('--yes', 'required: there is no way back')
    .action((name: string, _options: unknown, command: Command) =>
      deleteTopic(name, command.optsWithGlobals(), terminal),
    );
  addDeleteRecordsCommand(topic, terminal);
}

async function createTopic(name: string, options: CreateOptions, terminal: Terminal): Promise<void> {
  const settings = parseSettings(options.setting);
  const { partitions: partitionCount, replicationFactor, dryRun: validateOnly } = options;
  const topic = await withClient(options, terminal, (client) =>
    client.admin.createTopic(
      { name, partitionCount, replicationFactor, settings, validateOnly },
      { signal: terminal.interrupted },
    ),
  );
  const minInSync = topic.effectiveSettings.find((setting) => setting.name === 'min_in_sync_replicas')?.value;
  if (minInSync === '1' && topic.replicationFactor > 1)
    terminal.note(
      `warning: with min_in_sync_replicas 1 a record may be on one of ${topic.replicationFactor} replicas only, so that all of them are needed to elect another leader`,
    );
  if (options.json === true) return terminal.line(jsonLine(describe(topic)));
  const copies = topic.replicationFactor === 1 ? '1 replica each' : `${topic.replicationFactor} replicas each`;
  const parts = topic.partitionCount === 1 ? '1 partition' : `${topic.partitionCount} partitions`;
  return terminal.line(`${validateOnly === true ? 'could create' : 'created'} ${topic.name}: ${parts}, ${copies}`);
}

async function listTopics(options: ListOptions, terminal: Terminal): Promise<void> {
  await withClient(options, terminal, async (client) => {
    const rows: string[][] = [];
    for await (const topic of client.admin.listTopics({
      namePrefix: options.prefix,
      includeInternal: options.internal,
    })) {
      if (options.json === true) await terminal.line(jsonLine(describe(topic)));
      else rows.push([topic.name, String(topic.partitionCount), String(topic.replicationFactor), stateOf(topic)]);
    }
    if (options.json === true) return;
    if (rows.length === 0) terminal.note('no topics; create one: partita topic create NAME --partitions 6');
    else await terminal.line(table(['TOPIC', 'PARTITIONS', 'REPLICATION', 'STATE'], rows, terminal.colors));
  });
}

async function describeTopic(name: string, options: GlobalOptions, terminal: Terminal): Promise<void> {
  const topic = await withClient(options, terminal, (client) =>
    client.admin.getTopic(name, { signal: terminal.interrupted }),
  );
  if (options.json === true) return terminal.line(jsonLine(describe(topic)));
  const head = fields([
    ['topic', topic.name],
    ['id', topic.topicId],
    ['state', stateOf(topic)],
    ['partitions', String(topic.partitionCount)],
    ['replication', String(topic.replicationFactor)],
    ['created', timeText(topic.createTime) ?? '-'],
  ]);
  const settings = topic.effectiveSettings.map(({ name: setting, value, source }) => [
    setting,
    value,
    sourceOf(source),
  ]);
  const partitions = describe(topic).partitions.map((partition) => [
    String(partition.partition),
    partition.leader === 0 ? 'none' : String(partition.leader),
    String(partition.leaderEpoch),
    partition.replicas.join(','),
    partition.inSync.join(','),
    partition.state,
    `${hex(partition.hashMin)}-${hex(partition.hashMax)}`,
  ]);
  await terminal.line(head);
  await terminal.line(`\n${table(['SETTING', 'VALUE', 'SOURCE'], settings, terminal.colors)}`);
  return terminal.line(
    `\n${table(['PARTITION', 'LEADER', 'EPOCH', 'REPLICAS', 'IN SYNC', 'STATE', 'KEY HASHES'], partitions, terminal.colors)}`,
  );
}

async function deleteTopic(
  name: string,
  options: GlobalOptions & { readonly yes?: boolean },
  terminal: Terminal,
): Promise<void> {
  if (options.yes !== true)
    throw new UsageError(`this deletes ${name} with all its records; to do it: partita topic delete ${name} --yes`);
  await withClient(options, terminal, (client) => client.admin.deleteTopic(name));
  return terminal.line(options.json === true ? jsonLine({ name, deleted: true }) : `deleted ${name}`);
}

function hex(hash: number): string {
  return hash.toString(16).padStart(8, '0');
}
