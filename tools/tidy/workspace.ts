/** The tree as the tidy suites see it: files that belong to the repository, projects, and what each source imports. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve, sep } from 'node:path';

export const ROOT = resolve(import.meta.dirname, '../..');

/** One Nx project. */
export interface Project {
  readonly name: string;
  /** Folder from the root, with `/`. */
  readonly root: string;
  readonly tags: readonly string[];
  /** Names of the projects it depends on by package.json or by an import, specs included. */
  readonly dependencies: readonly string[];
}

/** One import of a source file. */
export interface Import {
  /** Path of the importing file from the root. */
  readonly file: string;
  readonly specifier: string;
}

/** Files of the repository, tracked or new but not ignored, as paths from the root. */
export function repositoryFiles(): string[] {
  const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], {
    cwd: ROOT,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  return [...new Set(listed.split('\0'))].filter((path) => path !== '' && existsSync(join(ROOT, path))).sort();
}

export function readText(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

interface GraphFile {
  readonly graph: {
    readonly nodes: Record<string, { readonly data: { readonly root: string; readonly tags?: readonly string[] } }>;
    readonly dependencies: Record<string, readonly { readonly target: string }[]>;
  };
}

/** The project graph as Nx computes it, package.json dependencies and analysed imports alike. */
export function projectGraph(): Project[] {
  const folder = mkdtempSync(join(tmpdir(), 'partita-graph-'));
  try {
    const file = join(folder, 'graph.json');
    execFileSync(process.execPath, [join(ROOT, 'node_modules/nx/dist/bin/nx.js'), 'graph', `--file=${file}`], {
      cwd: ROOT,
      stdio: 'pipe',
    });
    const { graph } = JSON.parse(readFileSync(file, 'utf8')) as GraphFile;
    return Object.entries(graph.nodes).map(([name, { data }]) => ({
      name,
      root: data.root.split(sep).join('/'),
      tags: data.tags ?? [],
      dependencies: (graph.dependencies[name] ?? [])
        .map(({ target }) => target)
        .filter((target) => target in graph.nodes),
    }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const SPECIFIER =
  /^\s*(?:import|export)\b[^'";]*?from\s*'([^']+)'|^\s*import\s*'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/gm;

/** Every module that a source names in an import, a re-export or a dynamic import. */
export function importsOf(file: string, source: string): Import[] {
  return [...source.matchAll(SPECIFIER)].map(([, from, bare, dynamic]) => ({
    file,
    specifier: from ?? bare ?? dynamic ?? '',
  }));
}

/** Code that serves tests only, by its name or folder. */
export function isTestCode(path: string): boolean {
  return /\.(spec|conformance)(\.ts)?$|\/(testdata|testing)\//.test(path);
}

/** Hand-written TypeScript that ships or runs, without tests. */
export function isShippedSource(path: string): boolean {
  return path.endsWith('.ts') && !isTestCode(path) && /^(apps|libs|tools)\//.test(path);
}
