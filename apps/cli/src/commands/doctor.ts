/** `partita cluster doctor`: what is wrong, or will be after one more fault, and what to do about it. */
import { FindingSeverity } from '@partita/protocol';
import type { Finding } from '@partita/protocol';
import type { Command } from 'commander';
import { withClient } from '../connect.ts';
import type { GlobalOptions } from '../connect.ts';
import { EXIT } from '../exit-code.ts';
import { enumWord, jsonLine } from '../output/json.ts';
import { count } from '../output/table.ts';
import type { Terminal } from '../terminal.ts';

const HELP = `
An error: records cannot be written or read, or may be lost. A warning: one more fault and it is an error. A note: worth
knowing. The exit code is 1 when there is an error.`;

/** Findings of one kind that are shown one by one. */
const SHOWN_PER_CODE_COUNT = 10;

export function addDoctorCommand(cluster: Command, terminal: Terminal, exit: (code: number) => void): void {
  cluster
    .command('doctor')
    .description('look for what is wrong in the cluster, and say what to do')
    .addHelpText('after', HELP)
    .action((_options: unknown, command: Command) => doctor(command.optsWithGlobals<GlobalOptions>(), terminal, exit));
}

async function doctor(options: GlobalOptions, terminal: Terminal, exit: (code: number) => void): Promise<void> {
  const { findings, checkCount } = await withClient(options, terminal, ({ admin }) =>
    admin.diagnoseCluster({ signal: terminal.interrupted }),
  );
  const errors = findings.filter(({ severity }) => severity === FindingSeverity.FINDING_SEVERITY_ERROR).length;
  if (errors > 0) exit(EXIT.failed);
  if (options.json === true) {
    for (const finding of findings) await terminal.line(jsonLine({ ...finding, severity: severityWord(finding) }));
    return;
  }
  for (const text of texts(findings)) await terminal.line(text);
  const found = findings.length === 0 ? 'nothing is wrong' : `${count(findings.length)} findings, ${count(errors)} errors`;
  terminal.note(`looked at ${count(checkCount)} things: ${found}`);
}

/** Each finding with its advice; a kind that is found often is cut short. */
function texts(findings: readonly Finding[]): string[] {
  const shown = new Map<string, number>();
  const lines: string[] = [];
  for (const finding of findings) {
    const { code, subject, message, advice } = finding;
    const index = shown.get(code) ?? 0;
    shown.set(code, index + 1);
    if (index < SHOWN_PER_CODE_COUNT)
      lines.push(`${severityWord(finding).padEnd(7)}  ${subject} ${message} [${code}]${advice === '' ? '' : `\n         ${advice}`}`);
  }
  for (const [code, all] of shown)
    if (all > SHOWN_PER_CODE_COUNT) lines.push(`         and ${count(all - SHOWN_PER_CODE_COUNT)} more of ${code}`);
  return lines;
}

function severityWord({ severity }: Finding): string {
  return enumWord(FindingSeverity, 'FINDING_SEVERITY_', severity);
}
