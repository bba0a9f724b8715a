import { existsSync } from 'node:fs';
import { basename, dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';
import { anchors, linkTargets } from './markdown.ts';
import { ROOT, importsOf, isShippedSource, isTestCode, readText, repositoryFiles } from './workspace.ts';

const files = repositoryFiles();
const markdown = files.filter((path) => path.endsWith('.md'));
const manifests = files.filter((path) => /^((apps|libs|tools)\/[^/]+|proto)\/package\.json$/.test(path));

/** Longest hand-written source that is no test, in lines. */
const SOURCE_LINES_MAX = 400;

function lineCount(path: string): number {
  return readText(path).replace(/\n$/, '').split('\n').length;
}

/** Why a link of a page leads nowhere, or nothing. */
function deadLink(page: string, target: string): string | undefined {
  if (/^[a-z]+:/.test(target)) return undefined; // the network is not ours to check
  const [path = '', anchor] = target.split('#');
  const file = path === '' ? page : normalize(join(dirname(page), decodeURIComponent(path)));
  if (file.startsWith('..')) return `${page}: ${target} leaves the repository`;
  if (!existsSync(join(ROOT, file))) return `${page}: ${target} does not exist`;
  if (anchor !== undefined && file.endsWith('.md') && !anchors(readText(file)).has(anchor)) {
    return `${page}: ${target} names no heading of ${file}`;
  }
  return undefined;
}

describe('documents', () => {
  it('link only to files and headings that exist', () => {
    const dead = markdown.flatMap((page) => linkTargets(readText(page)).map((target) => deadLink(page, target)));
    expect(dead.filter((reason) => reason !== undefined)).toEqual([]);
  });

  it('name no path of one machine', () => {
    const named = markdown.flatMap((page) =>
      readText(page)
        .split('\n')
        .filter((line) => /(^|[\s`"'(=])\/(work|tmp|root|home)\//.test(line))
        .map((line) => `${page}: ${line.trim()}`),
    );
    expect(named).toEqual([]);
  });

  it('number every decision once, in docs/adr/NNNN-name.md', () => {
    const records = files.filter((path) => path.startsWith('docs/adr/') && basename(path) !== 'README.md');
    expect(records.filter((path) => !/^docs\/adr\/\d{4}-[a-z0-9-]+\.md$/.test(path))).toEqual([]);
    const numbers = records.map((path) => basename(path).slice(0, 4));
    expect(numbers.filter((number, index) => numbers.indexOf(number) !== index)).toEqual([]);
  });
});

describe('projects', () => {
  it('have exactly two configuration files, package.json and tsconfig.json', () => {
    const wrong = manifests
      .map((manifest) => dirname(manifest))
      .filter((root) => root !== 'proto')
      .map((root) => {
        const own = files.filter(
          (path) => dirname(path) === root && /(\.(jsonc?|ya?ml|toml)|\.config\.\w+|\/\.[^/]+)$/.test(path),
        );
        return `${root}: ${own.map((path) => basename(path)).join(' ')}`;
      })
      .filter((line) => !line.endsWith(': package.json tsconfig.json'));
    expect(wrong).toEqual([]);
  });

  it('import no file of another project by a relative path', () => {
    const roots = manifests.map((manifest) => `${dirname(manifest)}/`);
    const strays = files
      .filter((path) => path.endsWith('.ts') && /^(apps|libs|tools)\//.test(path))
      .flatMap((path) => importsOf(path, readText(path)))
      .filter(({ specifier }) => specifier.startsWith('.'))
      .filter(({ file, specifier }) => {
        const root = roots.find((candidate) => file.startsWith(candidate)) ?? '';
        return !normalize(join(dirname(file), specifier)).startsWith(root);
      });
    expect(strays.map(({ file, specifier }) => `${file} imports ${specifier}`)).toEqual([]);
  });
});

describe('sources', () => {
  it('that are no tests import no code of tests', () => {
    const imports = files.filter(isShippedSource).flatMap((path) => importsOf(path, readText(path)));
    const strays = imports.filter(({ specifier }) => specifier.startsWith('.') && isTestCode(specifier));
    expect(strays.map(({ file, specifier }) => `${file} imports ${specifier}`)).toEqual([]);
  });

  it(`stay within ${SOURCE_LINES_MAX} lines`, () => {
    const sources = files.filter((path) => isShippedSource(path) || /^(libs|apps)\/.*\.lua$/.test(path));
    const sizes = sources.map(lineCount).sort((a, b) => a - b);
    const median = sizes[Math.floor(sizes.length / 2)] ?? 0;
    const ninth = sizes[Math.floor(sizes.length * 0.9)] ?? 0;
    console.log(
      `${sizes.length} sources: median ${median} lines, nine of ten within ${ninth}, longest ${sizes.at(-1) ?? 0}`,
    );
    expect(sources.filter((path) => lineCount(path) > SOURCE_LINES_MAX)).toEqual([]);
  });

  it('in Lua open with a header that names KEYS, ARGV and what is returned', () => {
    const bare = files
      .filter((path) => path.endsWith('.lua'))
      .filter((path) => {
        const [header = ''] = /^(--[^\n]*\n)+/.exec(readText(path)) ?? [];
        const wanted = path.includes('/includes/') ? [/^-- \S/] : [/KEYS/, /ARGV/, /returns/i];
        return wanted.some((pattern) => !pattern.test(header));
      });
    expect(bare).toEqual([]);
  });
});

describe('the Markdown reader', () => {
  it('finds inline and reference links but none in code', () => {
    const page = 'See [a](x.md#y "t") and [b][1] not `[c](d)`.\n```\n[e](f)\n```\n[1]: z.md\n';
    expect(linkTargets(page)).toEqual(['x.md#y', 'z.md']);
  });

  it('makes anchors as GitHub does, repeated headings numbered', () => {
    expect([...anchors('# A b, `c`!\n## Same\n## Same\n')]).toEqual(['a-b-c', 'same', 'same-1']);
  });
});
