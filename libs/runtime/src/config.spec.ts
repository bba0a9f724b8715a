import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, expectTypeOf, it } from 'vitest';
import type { Address } from './address.ts';
import { parseConfig } from './config.ts';
import type { ConfigResult, ParseConfigOptions } from './config.ts';
import { defineConfig } from './define-config.ts';

const SPEC = defineConfig({
  listen: { kind: 'address', default: '127.0.0.1:0', help: 'Address to serve clients on.' },
  'fetch-wait-max': { kind: 'duration', default: '5s', min: '100ms', max: 30_000, help: 'Longest wait of a fetch.' },
  'segment-bytes': { kind: 'bytes', default: 1024, min: '1KiB', help: 'Size of a segment.' },
  'broker-id': { kind: 'integer', optional: true, min: 1, help: 'Number of this broker.' },
  ratio: { kind: 'number', default: 0.5, max: 1, help: 'A share.' },
  'log-level': { kind: 'choice', choices: ['debug', 'info'], default: 'info', help: 'Lowest level that is logged.' },
  coordinators: { kind: 'list', items: 'address', default: '', help: 'Where the coordinators are.' },
  tags: { kind: 'list', optional: true, help: 'Words.' },
  'redis-url': { kind: 'text', secret: true, optional: true, help: 'Where Redis is.' },
  insecure: { kind: 'flag', help: 'Serve other machines without TLS.' },
});
type Spec = typeof SPEC;

const directory = mkdtempSync(join(tmpdir(), 'partita-config-'));
afterAll(() => rmSync(directory, { recursive: true }));

function file(content: unknown): string {
  const path = join(directory, 'c.json');
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

function parse(argv: string[], more: Partial<ParseConfigOptions<Spec>> = {}): ConfigResult<Spec> {
  return parseConfig(SPEC, {
    argv,
    env: {},
    program: 'partita-broker',
    description: 'Stores.',
    version: '1.2.3',
    ...more,
  });
}

function config(argv: string[], more: Partial<ParseConfigOptions<Spec>> = {}) {
  const result = parse(argv, more);
  if (result.kind === 'exit') throw new Error(result.stderr ?? result.stdout);
  return result;
}

/** The lines of an exit 2, without program name and the line about --help. */
function faults(argv: string[], more: Partial<ParseConfigOptions<Spec>> = {}): string[] {
  const result = parse(argv, more);
  if (result.kind === 'run') throw new Error('accepted');
  expect(result.code).toBe(2);
  expect(result.stdout).toBeUndefined();
  const lines = (result.stderr ?? '').trimEnd().split('\n');
  expect(lines.pop()).toBe('Run partita-broker --help for all options.');
  return lines.map((line) => line.replace(/^partita-broker: /, ''));
}

describe('the parsed config', () => {
  it('has typed, camelCase values in base units from the defaults, frozen', () => {
    const parsed = config([]).config;
    expect(parsed).toEqual({
      listen: { host: '127.0.0.1', port: 0 },
      fetchWaitMax: 5000,
      segmentBytes: 1024,
      brokerId: undefined,
      ratio: 0.5,
      logLevel: 'info',
      coordinators: [],
      tags: undefined,
      redisUrl: undefined,
      insecure: false,
    });
    expect(Object.isFrozen(parsed)).toBe(true);
    expectTypeOf(parsed.listen).toEqualTypeOf<Address>();
    expectTypeOf(parsed.fetchWaitMax).toEqualTypeOf<number>();
    expectTypeOf(parsed.brokerId).toEqualTypeOf<number | undefined>();
    expectTypeOf(parsed.logLevel).toEqualTypeOf<'debug' | 'info'>();
    expectTypeOf(parsed.coordinators).toEqualTypeOf<readonly Address[]>();
    expectTypeOf(parsed.tags).toEqualTypeOf<readonly string[] | undefined>();
    expectTypeOf(parsed.redisUrl).toEqualTypeOf<string | undefined>();
    expectTypeOf(parsed.insecure).toEqualTypeOf<boolean>();
  });

  it('takes flag over environment over file over default, and tells which', () => {
    const path = file({ 'fetch-wait-max': '1s', ratio: 0.25, 'segment-bytes': '1MiB' });
    const env = { PARTITA_FETCH_WAIT_MAX: '2s', PARTITA_RATIO: '0.75', PATH: '/bin' };
    const { config: parsed, sources } = config(['--config', path, '--fetch-wait-max=3s'], { env });
    expect(parsed).toMatchObject({ fetchWaitMax: 3000, ratio: 0.75, segmentBytes: 1024 ** 2 });
    expect(sources).toMatchObject({
      fetchWaitMax: 'the command line',
      ratio: 'environment PARTITA_RATIO',
      segmentBytes: `file ${path}`,
      listen: 'default',
    });
  });

  it('finds the file through PARTITA_CONFIG too', () => {
    expect(config([], { env: { PARTITA_CONFIG: file({ insecure: true }) } }).config.insecure).toBe(true);
  });

  it('has flags that are on unless they are switched off', () => {
    const spec = defineConfig({ restart: { kind: 'flag', default: true, help: 'Starts again.' } });
    const info = { program: 'p', description: 'd', version: '1' };
    const parse = (argv: string[]) => parseConfig(spec, { ...info, argv, env: {} });
    expect(parse([])).toMatchObject({ config: { restart: true } });
    expect(parse(['--no-restart'])).toMatchObject({ config: { restart: false } });
    expect(parse(['--help'])).toMatchObject({
      stdout: expect.stringContaining('On unless --no-restart is given.') as unknown,
    });
  });

  it('reads flags in every spelling', () => {
    expect(config(['--insecure']).config.insecure).toBe(true);
    expect(config(['--insecure=false']).config.insecure).toBe(false);
    expect(config(['--no-insecure'], { env: { PARTITA_INSECURE: '1' } }).config.insecure).toBe(false);
  });

  it('reads lists by comma, by repetition and from JSON arrays', () => {
    expect(config(['--tags', 'a, b', '--tags', 'c']).config.tags).toEqual(['a', 'b', 'c']);
    const path = file({ tags: ['x', 'y'], coordinators: ['[::1]:1', 'h:2'] });
    const parsed = config(['--config', path]).config;
    expect(parsed.tags).toEqual(['x', 'y']);
    expect(parsed.coordinators).toEqual([{ host: '::1', port: 1 }, { host: 'h', port: 2 }]); // prettier-ignore
  });

  it('treats an empty variable as not set', () => {
    expect(config([], { env: { PARTITA_REDIS_URL: '', PARTITA_RATIO: '' } }).config).toMatchObject({ ratio: 0.5 });
  });

  it('leaves variables of the tools and of named others alone', () => {
    const env = {
      PARTITA_HOME: '/x',
      PARTITA_SERVER: 'a',
      PARTITA_REDIS: 'system',
      PARTITA_TEST_E2E: 'on',
      PARTITA_DATA_DIR: 'd',
      PARTITA_GW_X: '1',
    };
    expect(config([], { env, ignoreEnv: ['PARTITA_DATA_DIR', 'PARTITA_GW_*'] }).kind).toBe('run');
  });
});

describe('a wrong configuration', () => {
  it.each<[string[], string]>([
    [['--fetch-wait-mx', '5s'], 'unknown option --fetch-wait-mx; did you mean --fetch-wait-max?'],
    [['--verison'], 'unknown option --verison; did you mean --version?'],
    [['--zzzzzzzzzzzz=1'], 'unknown option --zzzzzzzzzzzz; --help lists all options'],
    [['--constructor', '1'], 'unknown option --constructor; --help lists all options'],
    [['--no-ratio'], 'unknown option --no-ratio; did you mean --ratio?'],
    [['start'], 'unexpected argument "start": options are written --name value'],
    [['--ratio'], '--ratio needs a value: write --ratio VALUE'],
    [['--ratio', '--insecure'], '--ratio needs a value: write --ratio VALUE'],
    [['--help=yes'], '--help takes no value'],
    [['--config'], '--config needs a value: write --config VALUE'],
    [['--ratio', '0.1', '--ratio', '0.2'], '--ratio is given twice'],
    [['--fetch-wait-max', '90s'], '--fetch-wait-max (from the command line): "90s" is out of range: 100ms to 30s'],
    [
      ['--fetch-wait-max', '5'],
      '--fetch-wait-max (from the command line): "5" has no unit: write a number and one of ms, s, m, h, d, for example 10s',
    ],
    [
      ['--fetch-wait-max', '5MiB'],
      '--fetch-wait-max (from the command line): "5MiB" has an unknown unit "MiB": write one of ms, s, m, h, d, for example 10s',
    ],
    [['--segment-bytes', '1B'], '--segment-bytes (from the command line): "1B" is out of range: at least 1KiB'],
    [['--ratio', '2'], '--ratio (from the command line): "2" is out of range: at most 1'],
    [['--ratio', 'half'], '--ratio (from the command line): "half" is no number'],
    [['--broker-id', '1.5'], '--broker-id (from the command line): "1.5" is no whole number'],
    [['--broker-id', '-1'], '--broker-id (from the command line): "-1" is out of range: at least 1'],
    [['--log-level', 'loud'], '--log-level (from the command line): "loud" is not one of debug, info'],
    [['--insecure=maybe'], '--insecure (from the command line): "maybe" is neither true nor false'],
    [['--redis-url', ''], '--redis-url (from the command line): "" is empty'],
    [['--tags', 'a,,b'], '--tags (from the command line): "a,,b" has an empty item: separate items by one comma'],
    [
      ['--listen', '7201'],
      '--listen (from the command line): "7201" is no address: write host:port, for example 127.0.0.1:7201 or [::1]:0',
    ],
  ])('is refused on the command line: %j', (argv, fault) => {
    expect(faults(argv)).toEqual([fault]);
  });

  it('is refused in the environment, naming the nearest variable', () => {
    expect(faults([], { env: { PARTITA_LISTN: 'x' } })).toEqual([
      'unknown environment variable PARTITA_LISTN; did you mean PARTITA_LISTEN?',
    ]);
    expect(faults([], { env: { PARTITA_FETCH_WAIT_MAX: '1d' } })).toEqual([
      '--fetch-wait-max (from environment PARTITA_FETCH_WAIT_MAX): "1d" is out of range: 100ms to 30s',
    ]);
  });

  it.each<[unknown, string]>([
    [{ 'fetch-wait': '1s' }, 'unknown key "fetch-wait" in the config file PATH; --help lists all options'],
    [{ listn: '1s' }, 'unknown key "listn" in the config file PATH; did you mean listen?'],
    [
      { 'fetch-wait-max': 5 },
      '--fetch-wait-max (from file PATH): 5 has the wrong JSON type: write a string with a unit, for example "10s"',
    ],
    [{ insecure: 1 }, '--insecure (from file PATH): 1 has the wrong JSON type: write true or false'],
    [{ tags: [1] }, '--tags (from file PATH): [1] has the wrong JSON type: write an array of strings'],
    [
      { 'redis-url': { password: 'hush' } },
      '--redis-url (from file PATH): the value has the wrong JSON type: write a string',
    ],
    [{ ratio: 7 }, '--ratio (from file PATH): "7" is out of range: at most 1'],
    [[], 'the config file PATH must hold one JSON object: {"option-name": value, ...}'],
  ])('is refused in the file: %j', (content, fault) => {
    const path = file(content);
    expect(faults(['--config', path])).toEqual([fault.replace('PATH', path)]);
  });

  it('names a file that is missing or no JSON', () => {
    expect(faults(['--config', '/nowhere.json'])[0]).toMatch(/^the config file \/nowhere.json cannot be read: ENOENT/);
    expect(faults(['--config', file('{')])[0]).toMatch(/^the config file .* is no valid JSON: /);
  });

  it('is refused when it names two files', () => {
    const path = file({});
    expect(faults(['--config', path, `--config=${path}`])).toEqual(['--config is given twice']);
  });

  it('names a required option with all its spellings', () => {
    const spec = defineConfig({ 'data-dir': { kind: 'text', help: 'Where.' } });
    const result = parseConfig(spec, { argv: [], env: {}, program: 'p', description: 'd', version: '1' });
    expect(result).toEqual({
      kind: 'exit',
      code: 2,
      stderr:
        'p: --data-dir is required: give it as a flag, as PARTITA_DATA_DIR, or as "data-dir" in the config file\n' +
        'Run p --help for all options.\n',
    });
  });

  it('is told whole, not one fault at a time', () => {
    expect(faults(['--ratio', '2', '--lsten', 'x'], { env: { PARTITA_BROKER_ID: '0' } })).toHaveLength(3);
  });

  it('includes what the program checks between options', () => {
    const check: ParseConfigOptions<Spec>['check'] = (parsed) => (parsed.insecure ? 'not insecure, please' : undefined);
    expect(faults(['--insecure'], { check })).toEqual(['not insecure, please']);
    expect(config([], { check }).kind).toBe('run');
  });
});

describe('the built-in options', () => {
  it('print help with range, default and variable of each option, even beside mistakes', () => {
    const result = parse(['--nonsense', '-h']);
    expect(result).toMatchObject({ kind: 'exit', code: 0 });
    const text = result.kind === 'exit' ? result.stdout : '';
    expect(text).toContain('Usage: partita-broker [options]');
    expect(text).toContain(
      '  --fetch-wait-max DURATION\n        Longest wait of a fetch.\n        100ms to 30s. Default 5s. Environment PARTITA_FETCH_WAIT_MAX.\n',
    );
    expect(text).toContain('At least 1KiB. Default 1KiB. Environment PARTITA_SEGMENT_BYTES.');
    expect(text).toContain('One of debug, info. Default info.');
    expect(text).toContain(
      '--redis-url TEXT\n        Where Redis is.\n        Optional. Environment PARTITA_REDIS_URL.',
    );
    expect(text).toContain('--insecure\n        Serve other machines without TLS.\n        Off unless given.');
    expect(text).toContain('Default empty.');
  });

  it('print the version', () => {
    expect(parse(['--version'])).toEqual({ kind: 'exit', code: 0, stdout: 'partita-broker 1.2.3\n' });
  });

  it('print the config with sources and without secrets', () => {
    const result = parse(['--print-config', '--segment-bytes', '2048B'], {
      env: { PARTITA_REDIS_URL: 'redis://u:hush@h' },
    });
    expect(result).toMatchObject({ kind: 'exit', code: 0 });
    const text = (result.kind === 'exit' && result.stdout) || '';
    expect(text).not.toContain('hush');
    expect(text).toMatch(/^redis-url +\(hidden\) +# environment PARTITA_REDIS_URL$/m);
    expect(text).toMatch(/^segment-bytes +2KiB +# the command line$/m);
    expect(text).toMatch(/^listen +127\.0\.0\.1:0 +# default$/m);
    expect(text).toMatch(/^broker-id +\(not set\) +# default$/m);
    expect(faults(['--print-config', '--ratio', '2'])).toHaveLength(1);
  });
});

describe('defineConfig', () => {
  it('refuses what no program should declare', () => {
    expect(() => defineConfig({ fetchWait: { kind: 'flag', help: '' } })).toThrow('must be kebab-case');
    expect(() => defineConfig({ 'no-tls': { kind: 'flag', help: '' } })).toThrow('must be kebab-case');
    expect(() => defineConfig({ version: { kind: 'flag', help: '' } })).toThrow('is built in');
    expect(() => defineConfig({ a: { kind: 'integer', default: 5, max: 4, help: '' } })).toThrow(
      'the default of option "a" is invalid',
    );
    expect(() => defineConfig({ a: { kind: 'text', default: 'x', optional: true, help: '' } })).toThrow('choose one');
  });
});
