import { builtinModules } from 'node:module';
import { beforeAll, describe, expect, it } from 'vitest';
import { FILE_EXTRAS, LAYERS, type LayerName, PROJECT_EXTRAS, allows, isLayerName } from './layers.ts';
import {
  type Import,
  type Project,
  importsOf,
  isShippedSource,
  projectGraph,
  readText,
  repositoryFiles,
} from './workspace.ts';

let projects = new Map<string, Project>();
let shippedImports: Import[] = [];

beforeAll(() => {
  projects = new Map(projectGraph().map((project) => [project.name, project]));
  shippedImports = repositoryFiles()
    .filter(isShippedSource)
    .flatMap((path) => importsOf(path, readText(path)));
});

function layersOf({ tags }: Project): string[] {
  return tags.filter((tag) => tag.startsWith('layer:')).map((tag) => tag.slice('layer:'.length));
}

function layerOf(project: Project): LayerName {
  const [name = ''] = layersOf(project);
  if (!isLayerName(name)) throw new Error(`${project.name} has no layer of the table`);
  return name;
}

function projectOfFile(file: string): Project {
  const owner = [...projects.values()].find(({ root }) => file.startsWith(`${root}/`));
  if (owner === undefined) throw new Error(`${file} belongs to no project`);
  return owner;
}

/** `@partita/rpc/server` names the project `rpc`; `@partita/tool-dev` the project `tool-dev`. */
function workspaceProject(specifier: string): Project | undefined {
  const [, name = ''] = /^@partita\/([^/]+)/.exec(specifier) ?? [];
  return projects.get(name);
}

function packageName(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

function mayImport(from: Project, to: Project): boolean {
  return LAYERS[layerOf(from)].imports.includes(layerOf(to));
}

/** A project graph edge that may stand although the table has no such arrow. */
function isExcused(from: Project, to: Project): boolean {
  if (layerOf(to) === 'test') return true; // from specs only, which the scan of the sources below holds
  return Object.entries(FILE_EXTRAS).some(
    ([file, names]) => file.startsWith(`${from.root}/`) && names.includes(to.name),
  );
}

/** The first cycle reachable, as names, or nothing. Edges to `layer:test` come from specs and do not count. */
function findCycle(): string[] | undefined {
  const done = new Set<string>();
  const visit = (name: string, path: string[]): string[] | undefined => {
    if (path.includes(name)) return [...path.slice(path.indexOf(name)), name];
    const project = projects.get(name);
    if (done.has(name) || project === undefined) return undefined;
    for (const target of project.dependencies) {
      const to = projects.get(target);
      if (to === undefined || (layerOf(to) === 'test' && layerOf(project) !== 'tool')) continue;
      const cycle = visit(target, [...path, name]);
      if (cycle !== undefined) return cycle;
    }
    done.add(name);
    return undefined;
  };
  for (const name of projects.keys()) {
    const cycle = visit(name, []);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}

describe('the layer table', () => {
  it('gives every project exactly one layer that it knows', () => {
    const wrong = [...projects.values()].filter((project) => {
      const [name = '', ...more] = layersOf(project);
      return more.length > 0 || !isLayerName(name);
    });
    expect(wrong.map(({ name, tags }) => `${name}: ${tags.join(' ')}`)).toEqual([]);
    expect(projects.size).toBeGreaterThan(15);
  });

  it('holds for every edge of the project graph', () => {
    const broken: string[] = [];
    for (const from of projects.values()) {
      for (const target of from.dependencies) {
        const to = projects.get(target);
        if (to === undefined || mayImport(from, to) || isExcused(from, to)) continue;
        broken.push(`${from.name} (${layerOf(from)}) -> ${to.name} (${layerOf(to)})`);
      }
    }
    expect(broken).toEqual([]);
  });

  it('leaves no cycle among the projects', () => {
    expect(findCycle()).toBeUndefined();
  });

  it('holds for every import of a workspace package by code that is no test', () => {
    const broken = shippedImports.filter(({ file, specifier }) => {
      if (!specifier.startsWith('@partita/')) return false;
      const from = projectOfFile(file);
      const to = workspaceProject(specifier);
      if (to === undefined) return true;
      return !mayImport(from, to) && !(FILE_EXTRAS[file] ?? []).includes(to.name);
    });
    expect(broken.map(({ file, specifier }) => `${file} imports ${specifier}`)).toEqual([]);
  });

  it('holds for every outside package and built-in that code which is no test imports', () => {
    const broken = shippedImports.filter(({ file, specifier }) => {
      if (specifier.startsWith('.') || specifier.startsWith('@partita/')) return false;
      const from = projectOfFile(file);
      const rows = [LAYERS[layerOf(from)], PROJECT_EXTRAS[from.name]].filter((row) => row !== undefined);
      const builtin = specifier.replace(/^node:/, '');
      if (specifier.startsWith('node:') || builtinModules.includes(builtin)) {
        return !rows.some(({ builtins }) => allows(builtins, builtin));
      }
      return !rows.some(({ packages }) => allows(packages, packageName(specifier)));
    });
    expect(broken.map(({ file, specifier }) => `${file} imports ${specifier}`)).toEqual([]);
  });

  it('names every outside package in the package.json of the project that imports it', () => {
    const undeclared = shippedImports.filter(({ file, specifier }) => {
      if (specifier.startsWith('.') || specifier.startsWith('node:')) return false;
      const { root } = projectOfFile(file);
      if (root.startsWith('tools/')) return false; // tools never ship: what the root has is theirs too
      const manifest = JSON.parse(readText(`${root}/package.json`)) as { dependencies?: Record<string, string> };
      return !Object.hasOwn(manifest.dependencies ?? {}, packageName(specifier));
    });
    expect(undeclared.map(({ file, specifier }) => `${file} imports ${specifier}`)).toEqual([]);
  });
});

describe('the scan of imports', () => {
  it('sees imports, re-exports, side effects and dynamic imports, over lines too', () => {
    const source = `import a from 'a';\nimport type { B } from 'b';\nexport { c } from 'c';\nimport {\n  d,\n} from 'd';\nimport 'e';\nawait import('f');\n`;
    expect(importsOf('x.ts', source).map(({ specifier }) => specifier)).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
  });
});
