/**
 * One member of the tour's group, a process of its own: `node member.ts SERVERS GROUP TOPIC BUFFER`. Joins at once, holds
 * its first record until a line `go` arrives on stdin, then prints everything that it gets (member-report.ts); leaves at
 * a line `stop`, and when stdin ends.
 */
import { createInterface } from 'node:readline';
import { connect } from '@partita/client';
import type { PartitionName, ReceivedRecord } from '@partita/client';
import { ROW_HEADER } from './flights.ts';
import { formatEvent, nowMs } from './member-report.ts';
import type { MemberEvent } from './member-report.ts';

const [servers = '', group = '', topic = '', bufferRecordCount = ''] = process.argv.slice(2);
const text = new TextDecoder();

function tell(event: MemberEvent): void {
  process.stdout.write(formatEvent(event));
}

function tellPartitions(event: 'assigned' | 'revoked', partitions: readonly PartitionName[]): void {
  tell({ event, partitions: partitions.map(({ partition }) => partition), atMs: nowMs() });
}

function tellRecord(record: ReceivedRecord): void {
  const row = record.headers.find((header) => header.name === ROW_HEADER)?.value;
  tell({
    event: 'record',
    partition: record.partition,
    offset: Number(record.offset),
    row: row === undefined ? -1 : Number(text.decode(row)),
    key: text.decode(record.key),
    value: text.decode(record.value),
    atMs: nowMs(),
  });
}

try {
  const client = await connect({ servers: servers.split(','), clientId: 'partita-tour-member' });
  const consumer = client.consumer({
    group,
    topics: [topic],
    bufferRecordCount: Number(bufferRecordCount),
    onAssigned: (partitions) => tellPartitions('assigned', partitions),
    onRevoked: (partitions) => tellPartitions('revoked', partitions),
  });
  let open = (): void => undefined;
  const gate = new Promise<void>((resolve) => (open = resolve));
  const commands = createInterface({ input: process.stdin });
  const stop = (): void => {
    // Before it leaves: whoever gets its partitions gets them later than this.
    tell({ event: 'left', atMs: nowMs() });
    open();
    void client.close();
  };
  commands.on('line', (line) => {
    if (line === 'go') open();
    if (line === 'stop') commands.close();
  });
  commands.once('close', stop);
  // A terminal sends Ctrl-C to everybody; the tour decides when its members leave.
  process.on('SIGINT', () => undefined);
  await consumer.run(async (record) => {
    await gate;
    tellRecord(record);
  });
  process.stdin.destroy();
} catch (error) {
  tell({ event: 'failed', message: error instanceof Error ? error.message : String(error) });
  process.exitCode = 1;
  process.stdin.destroy();
}
