/** `partita partition producers`: the producer sessions that a partition's leader remembers. */
import type { ProducerSession } from '@partita/protocol';
import type { Command } from 'commander';
import { withClient } from '../connect.ts';
import type { GlobalOptions } from '../connect.ts';
import { jsonLine } from '../output/json.ts';
import { table } from '../output/table.ts';
import type { Terminal } from '../terminal.ts';

const HELP = `
A session is remembered for 24 hours after its last batch, at most 10,000 of them; requests with an id for 10 minutes.

Example:
  partita partition producers flights 3`;

export function addProducersCommand(partition: Command, terminal: Terminal, number: (text: string) => number): void {
  partition
    .command('producers')
    .argument('<topic>')
    .argument('<partition>', 'number of the partition', number)
    .description('list the producer sessions that the leader remembers, the oldest id first')
    .addHelpText('after', HELP)
    .action((topic: string, index: number, _options: unknown, command: Command) =>
      listProducers(topic, index, command.optsWithGlobals<GlobalOptions>(), terminal),
    );
}

async function listProducers(
  topic: string,
  partition: number,
  options: GlobalOptions,
  terminal: Terminal,
): Promise<void> {
  const sessions: ProducerSession[] = [];
  let requestCount = 0;
  await withClient(options, terminal, async ({ admin }) => {
    const pages = admin.describeProducers(topic, partition, { signal: terminal.interrupted });
    for await (const page of pages) {
      sessions.push(...page.producers);
      ({ requestCount } = page);
    }
  });
  if (options.json === true) {
    for (const session of sessions) await terminal.line(jsonLine(view(session)));
  } else if (sessions.length > 0) {
    const rows = sessions.map((session) => {
      const { producerId, producerEpoch, lastSequence, lastOffset, lastAppend } = view(session);
      return [producerId, String(producerEpoch), String(lastSequence), String(lastOffset), lastAppend];
    });
    const heads = ['PRODUCER', 'EPOCH', 'LAST SEQUENCE', 'LAST OFFSET', 'LAST APPEND'];
    await terminal.line(table(heads, rows, terminal.colors));
  }
  const requests = requestCount === 0 ? '' : `, and ${requestCount} requests with an id`;
  terminal.note(`${topic}/${partition} remembers ${sessions.length} producer sessions${requests}`);
}

function view({ producerId, producerEpoch, lastSequence, lastOffset, lastAppendTimeMs }: ProducerSession) {
  const hex = Buffer.from(producerId).toString('hex');
  return {
    producerId: hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
    producerEpoch,
    lastSequence,
    lastOffset,
    lastAppend: new Date(Number(lastAppendTimeMs)).toISOString(),
  };
}
