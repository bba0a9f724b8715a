import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseConfig } from './config.ts';
import { defineConfig } from './define-config.ts';
import { createLogger, LOG_LEVELS } from './logger.ts';
import { reloadLogLevel } from './reload-log-level.ts';

const SPEC = defineConfig({
  'log-level': { kind: 'choice', choices: LOG_LEVELS, default: 'info', help: 'level' },
});
let home = '';
beforeAll(() => void (home = mkdtempSync(join(tmpdir(), 'partita-reload-'))));
afterAll(() => rmSync(home, { recursive: true }));

function started() {
  const lines: string[] = [];
  const output = { write: (line: string) => void lines.push(line) };
  const logger = createLogger({ service: 'broker', instance: '1', pretty: false, output });
  const file = join(home, 'partita.json');
  const write = (content: unknown): void => writeFileSync(file, JSON.stringify(content));
  const read = () =>
    parseConfig(SPEC, { program: 'p', description: 'd', version: '1', argv: ['--config', file], env: {} });
  return { logger, write, read, lines: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

it('takes the level that the config file has now, and says so once', () => {
  const { logger, write, read, lines } = started();
  write({ 'log-level': 'debug' });
  reloadLogLevel(logger, read());
  reloadLogLevel(logger, read());
  expect(logger.level()).toBe('debug');
  expect(lines()).toMatchObject([{ msg: 'log level changed', from: 'info', to: 'debug' }]);
});

it('is heard when it quiets the log and when it makes it speak again', () => {
  const { logger, write, read, lines } = started();
  write({ 'log-level': 'silent' });
  reloadLogLevel(logger, read());
  write({ 'log-level': 'info' });
  reloadLogLevel(logger, read());
  expect(lines().map((line) => line['to'])).toEqual(['silent', 'info']);
});

it('refuses a configuration that is wrong and leaves the level as it is', () => {
  const { logger, write, read } = started();
  write({ 'log-level': 'loud' });
  expect(() => reloadLogLevel(logger, read())).toThrow(/log-level.*loud/);
  expect(logger.level()).toBe('info');
});
