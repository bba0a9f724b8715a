/** The alert rules: what they ask for exists, what they tell to do exists, and Prometheus' own tool runs their tests. */
import { execFile, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { anchors } from '@partita/tool-tidy/markdown.ts';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { MONITORING, ROOT } from './files.ts';
import { faultsOf, labelsOf } from './known-series.ts';
import { parsePromql } from './promql.ts';

const run = promisify(execFile);

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<'summary' | 'first' | 'runbook', string>>;
}

interface RuleTest {
  readonly alert_rule_test: readonly { readonly alertname: string; readonly exp_alerts: readonly object[] }[];
}

function yamlOf<Content>(name: string): Content {
  return parse(readFileSync(join(MONITORING, name), 'utf8')) as Content;
}

async function helpOf(command: readonly string[]): Promise<string> {
  const { stdout } = await run(process.execPath, ['apps/cli/bin/partita.js', ...command, '--help'], { cwd: ROOT });
  return stdout;
}

const rules = yamlOf<{ groups: { rules: Rule[] }[] }>('alerts.yml').groups.flatMap((group) => group.rules);
const tests = yamlOf<{ tests: RuleTest[] }>('alerts.test.yml').tests.flatMap((test) => test.alert_rule_test);

describe('the alert rules', () => {
  it('ask only for metrics, labels and values that the table of instruments has', () => {
    const faults = rules.flatMap(({ alert, expr }) => faultsOf(expr).map((fault) => `${alert}: ${fault}`));
    expect(faults).toEqual([]);
  });

  it('name in their texts only labels that the alert has', () => {
    const wrong = rules.flatMap(({ alert, expr, annotations }) =>
      Object.values(annotations)
        .flatMap((text) => [...text.matchAll(/\$labels\.(\w+)/g)])
        .filter(([, label = '']) => !labelsOf(expr).has(label))
        .map(([, label]) => `${alert}: ${label}`),
    );
    expect(wrong).toEqual([]);
  });

  it('ask for names that other software has too only in the job of the cluster', () => {
    const open = rules.flatMap(({ alert, expr }) =>
      parsePromql(expr)
        .selectors.filter(({ name }) => !name.startsWith('partita_'))
        .filter(({ matchers }) => !matchers.some(({ label, value }) => label === 'job' && value === 'partita'))
        .map(({ name }) => `${alert}: ${name}`),
    );
    expect(open).toEqual([]);
  });

  it('say how bad it is, and lead to a heading of the guide', () => {
    const guide = anchors(readFileSync(join(ROOT, 'docs/operating.md'), 'utf8'));
    for (const { alert, labels, annotations } of rules) {
      expect(['critical', 'warning'], alert).toContain(labels['severity']);
      const [page, anchor = ''] = annotations.runbook.split('#');
      expect(page, alert).toBe('docs/operating.md');
      expect([...guide], alert).toContain(anchor);
    }
  });

  it('begin with a command that there is', { timeout: 60_000 }, async () => {
    const helps = new Map<string, string>();
    for (const { alert, annotations } of rules) {
      const [npx, partita, ...words] = annotations.first.split(' ');
      expect([npx, partita], alert).toEqual(['npx', 'partita']);
      const command = words.slice(0, 2).join(' ');
      if (!helps.has(command)) helps.set(command, await helpOf(words.slice(0, 2)));
      expect(helps.get(command), alert).toContain(`Usage: partita ${command}`);
      const options = words.filter((word) => word.startsWith('--'));
      for (const option of options) expect(helps.get(command), alert).toContain(option);
    }
  });

  it('each have a test in which they fire and one in which they do not', () => {
    const names = (firing: boolean): string[] => {
      const having = tests.filter(({ exp_alerts: expected }) => expected.length > 0 === firing);
      return [...new Set(having.map(({ alertname }) => alertname))].sort();
    };
    const all = rules.map(({ alert }) => alert).sort();
    expect(new Set(all).size).toBe(all.length);
    expect(names(true)).toEqual(all);
    expect(names(false)).toEqual(all);
  });
});

const promtool = spawnSync('promtool', ['--version']).error === undefined;

describe.skipIf(!promtool)(`promtool${promtool ? '' : ' (not on this machine: apt-get install prometheus)'}`, () => {
  it.each([
    ['check', 'rules', 'alerts.yml'],
    ['check', 'config', 'prometheus.yml'],
    ['test', 'rules', 'alerts.test.yml'],
  ])('has nothing against `promtool %s %s %s`', (verb, noun, file) => {
    const { status, stdout, stderr } = spawnSync('promtool', [verb, noun, join(MONITORING, file)], {
      encoding: 'utf8',
    });
    expect(`${stdout}${stderr}`).toContain('SUCCESS');
    expect({ status, stderr }).toMatchObject({ status: 0 });
  });
});
