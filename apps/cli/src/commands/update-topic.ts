/** `partita topic update`: other settings for a topic that is there, without a restart of anything. */
import type { Command } from 'commander';
import { REPLICATION_FACTOR_MAX } from '@partita/domain';
import { collect, wholeNumber } from '../arguments.ts';
import { withClient } from '../connect.ts';
import type { GlobalOptions } from '../connect.ts';
import { UsageError } from '../exit-code.ts';
import { jsonLine } from '../output/json.ts';
import { table } from '../output/table.ts';
import { describe, sourceOf } from '../output/topic-json.ts';
import type { Terminal } from '../terminal.ts';
import { parseSettings, resetSettings } from '../topic-settings.ts';

interface UpdateOptions extends GlobalOptions {
  readonly setting: readonly string[];
  readonly reset: readonly string[];
  readonly replicationFactor?: number;
  readonly etag?: string;
  readonly dryRun?: boolean;
}

const EXAMPLES = `
Examples:
  partita topic update flights --setting retention_age=7d --setting retention_bytes=10GiB
  partita topic update flights --reset retention_age --dry-run
  partita topic update flights --replication-factor 3 --setting min_in_sync_replicas=2`;

export function addUpdateTopicCommand(topic: Command, terminal: Terminal): void {
  topic
    .command('update')
    .argument('<name>')
    .description('change settings of a topic; brokers take them up without a restart')
    .option('--setting <name=value>', 'a new value, may be repeated: retention_age=7d', collect, [])
    .option('--reset <name>', "back to the cluster's default, may be repeated", collect, [])
    .option(
      '--replication-factor <n>',
      'replicas of each partition; they are copied in the background',
      wholeNumber('--replication-factor', 1, REPLICATION_FACTOR_MAX),
    )
    .option('--etag <etag>', 'only when the topic has not changed since `describe --json` gave this')
    .option('--dry-run', 'check everything and change nothing')
    .addHelpText('after', EXAMPLES)
    .action((name: string, _options: unknown, command: Command) =>
      updateTopic(name, command.optsWithGlobals<UpdateOptions>(), terminal),
    );
}

async function updateTopic(name: string, options: UpdateOptions, terminal: Terminal): Promise<void> {
  const given = parseSettings(options.setting);
  const reset = resetSettings(options.reset);
  const both = Object.keys(reset).find((key) => Object.hasOwn(given, key));
  if (both !== undefined) throw new UsageError('a setting is given by --setting and by --reset: which is meant?');
  const settings = { ...given, ...reset };
  const { replicationFactor } = options;
  if (Object.keys(settings).length === 0 && replicationFactor === undefined) {
    throw new UsageError('nothing to change: name it with --setting name=value, --reset name or --replication-factor n');
  }
  const topic = await withClient(options, terminal, ({ admin }) =>
    admin.updateTopic(
      name,
      { settings, replicationFactor, etag: options.etag, validateOnly: options.dryRun },
      { signal: terminal.interrupted },
    ),
  );
  if (options.json === true) return terminal.line(jsonLine(describe(topic)));
  const changed = new Set(
    Object.keys(settings).map((key) => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)),
  );
  const rows = topic.effectiveSettings
    .filter((setting) => changed.has(setting.name))
    .map((setting) => [setting.name, setting.value, sourceOf(setting.source)]);
  if (replicationFactor !== undefined) rows.unshift(['replication_factor', String(topic.replicationFactor), 'topic']);
  await terminal.line(`${options.dryRun === true ? 'could change' : 'changed'} ${topic.name}:`);
  return terminal.line(table(['SETTING', 'VALUE', 'SOURCE'], rows, terminal.colors));
}
