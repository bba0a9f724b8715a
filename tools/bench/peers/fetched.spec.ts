import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fetched, folderOf, versionText } from './fetched.ts';
import type { Recipe } from './fetched.ts';

let root: string;
let recipe: Recipe;
let runs: number;

function commandOf(script: string): Recipe['command'] {
  return (folder) => {
    runs += 1;
    return [process.execPath, '-e', script, folder];
  };
}

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'partita-fetched-'));
  runs = 0;
  const source = join(root, 'source.xml');
  writeFileSync(source, 'version 1');
  const makes = `require('node:fs').writeFileSync(process.argv[1] + '/program', '')`;
  recipe = { name: 'thing', sources: [pathToFileURL(source)], command: commandOf(makes) };
});

afterEach(() => rmSync(root, { recursive: true }));

describe('a fetched program', () => {
  it('is made once, and again when its recipe changes', async () => {
    const folder = await fetched(recipe, join(root, 'peers'));
    expect(existsSync(join(folder, 'program'))).toBe(true);
    expect(await fetched(recipe, join(root, 'peers'))).toBe(folder);
    expect(runs).toBe(1);
    writeFileSync(join(root, 'source.xml'), 'version 2');
    expect(await fetched(recipe, join(root, 'peers'))).not.toBe(folder);
    expect(runs).toBe(2);
  });

  it('leaves nothing behind when it cannot be made, and says why', async () => {
    const fails = { ...recipe, command: commandOf('throw new Error("no network")') };
    await expect(fetched(fails, join(root, 'peers'))).rejects.toThrow('no network');
    expect(readdirSync(join(root, 'peers'))).toEqual([]);
    expect(existsSync(folderOf(fails, join(root, 'peers')))).toBe(false);
  });
});

describe('the version of a program', () => {
  it('is what it prints, or nothing where there is none', () => {
    expect(versionText(process.execPath, '--version')).toContain(process.version);
    expect(versionText('no-such-program', '--version')).toBeUndefined();
  });
});
