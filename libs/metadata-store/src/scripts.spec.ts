import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SCRIPT_CODES } from './script-codes.ts';
import { SCRIPT_NAMES, scriptSource } from './scripts.ts';

describe('the scripts', () => {
  it('are exactly the files of the folder', () => {
    const files = readdirSync(new URL('./lua/', import.meta.url)).filter((name) => name.endsWith('.lua'));
    expect(files.sort()).toEqual(SCRIPT_NAMES.map((name) => `${name}.lua`).sort());
  });

  it('have their includes in place, check the lease, and name only codes that exist', () => {
    for (const name of SCRIPT_NAMES) {
      const source = scriptSource(name);
      expect(source).not.toContain('@include');
      expect(source).toMatch(/^(?!local function).*check_(fence|lease|cluster)\(\)/m);
      for (const [, code = ''] of source.matchAll(/\bCODE\.(\w+)/g)) expect(SCRIPT_CODES).toHaveProperty(code);
    }
  });

  it('say in their header what KEYS, ARGV and the answer are', () => {
    for (const name of SCRIPT_NAMES) {
      expect(scriptSource(name)).toMatch(/-- KEYS {2}meta, lease, lease_seq, ops.*\n(--.*\n)*-- ARGV {2}/);
      expect(scriptSource(name)).toContain('-- Returns {OK');
    }
  });
});
