// The order of the house, held by a machine: who imports whom, links that lead somewhere, files that stay readable.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { settingsTable } from '../cli/settings-table.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const linesMax = 450;

/** What a room may import besides itself. `file` narrows it to one file of the room. Type imports count. */
interface Rule {
  readonly from: readonly string[];
  readonly why: string;
}

const server = ['core', 'config', 'queue', 'store', 'formats', 'generators', 'costs', 'workers', 'scheduler', 'api'];
/** Registry only: what is carried, not how it is made. */
const registry = ['generators/registry.ts', 'generators/generator.ts'];

const rules: Readonly<Record<string, Rule>> = {
  core: { from: [], why: 'the vocabulary is pure: everybody stands on it, it stands on nothing' },
  config: { from: ['core'], why: 'settings describe themselves and know no part they set' },
  queue: { from: ['core'], why: 'both sides of the queue agree on names and job data, not on how either works' },
  formats: {
    from: ['core'],
    why: 'bytes are a function of events and derivation, not of where they are kept or asked for',
  },
  store: {
    from: ['core', 'formats'],
    why: 'a store keeps and checks chunks; who makes or asks for them is not its business',
  },
  generators: {
    from: ['core', 'formats'],
    why: 'physics depends on nothing that could make it depend on chunk, worker or time',
  },
  dashboard: { from: [], why: 'the page runs in a browser, and knows the public API alone' },
  client: { from: ['core', 'formats'], why: 'a client knows the HTTP contract, not the inside of the service' },
  costs: { from: ['core', 'store'], why: 'prices and decisions are computed from what was recorded' },
  workers: {
    from: ['core', 'queue', 'generators', 'formats', 'store', 'costs'],
    why: 'a worker answers to the queue alone, so that it can run anywhere',
  },
  scheduler: { from: ['core', 'queue', 'store', 'costs', ...registry], why: 'planning must not be able to generate' },
  api: {
    from: ['core', 'scheduler', 'queue', 'store', 'formats', 'costs', ...registry],
    why: 'the edge serves and asks; generating is done by workers',
  },
  cli: { from: [...server, 'client', 'tools'], why: 'the command line brings everything together' },
  bench: { from: [...server, 'client', 'cli', 'tools', 'test'], why: 'benchmarks look at anything' },
  tools: { from: [], why: 'launchers run before anything is installed' },
};

const rooms = Object.keys(rules);

function walk(folder: string, wanted: RegExp): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory())
      return ['node_modules', 'data', '.git', 'coverage'].includes(entry.name) ? [] : walk(path, wanted);
    return wanted.test(entry.name) ? [path.split(sep).join('/')] : [];
  });
}

const sources = rooms.filter((room) => existsSync(join(root, room))).flatMap((room) => walk(room, /\.(ts|mjs|js)$/));

/**
 * Every file that a file of ours names as a module: imports and exports of values and types, dynamic imports, and, where they
 * are asked for, the URLs that threads and processes are started from. The formatter puts every statement at a line's beginning.
 */
function importsOf(text: string, withEntries = true): string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
  const patterns = [
    /^(?:import|export)\b[^'";]*?\bfrom\s+'([^']+)'/gm,
    /^import\s+'([^']+)'/gm,
    /\bimport\(\s*'([^']+)'/g,
    ...(withEntries ? [/\bnew URL\('([^']+\.(?:ts|mjs))',\s*import\.meta\.url\)/g] : []),
  ];
  return patterns.flatMap((pattern) => [...code.matchAll(pattern)].map((match) => match[1] ?? ''));
}

/** The files of ours that a file imports: paths from the root. */
function ownImports(file: string, withEntries: boolean): string[] {
  return importsOf(readFileSync(join(root, file), 'utf8'), withEntries)
    .filter((name) => name.startsWith('.') || name.endsWith('.ts'))
    .map((name) =>
      relative(root, resolve(root, dirname(file), name))
        .split(sep)
        .join('/'),
    );
}

const graph = new Map(sources.map((file) => [file, ownImports(file, true)]));

const roomOf = (file: string): string => file.split('/')[0] ?? '';

function isAllowed(file: string, imported: string): boolean {
  const [room, other] = [roomOf(file), roomOf(imported)];
  if (room === other) return true;
  if (other === 'config' && room !== 'cli' && room !== 'bench') return file === `${room}/main.ts`;
  return rules[room]?.from.some((allowed) => allowed === other || allowed === imported) ?? false;
}

test('the import graph is seen: every room that exists has files, and every imported file exists', () => {
  for (const room of rooms.filter((name) => name !== 'bench' && name !== 'tools')) {
    expect(sources.filter((file) => roomOf(file) === room).length, room).toBeGreaterThan(0);
  }
  expect([...graph.values()].flat().length).toBeGreaterThan(sources.length);
  const missing = [...graph].flatMap(([file, imports]) =>
    imports.filter((name) => !existsSync(join(root, name))).map((name) => `${file} → ${name}`),
  );
  expect(missing).toEqual([]);
});

test('the parser of imports sees values, types, several lines, re-exports, dynamic imports and thread entries, and no comments', () => {
  const text = `import a from './a.ts';
import type { B } from './b.ts';
import {
  c,
  type D,
} from './c.ts';
import './d.ts';
export { e } from './e.ts';
export type * from './f.ts';
const g = await import('./g.ts');
const h = new URL('./h.ts', import.meta.url);
// import './no.ts';
/* import './no.ts'; */`;
  expect(importsOf(text).sort()).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((name) => `./${name}.ts`));
});

test('no room imports what it may not', () => {
  const denied = [...graph].flatMap(([file, imports]) =>
    imports
      .filter((imported) => !isAllowed(file, imported))
      .map((imported) => {
        const isConfig = roomOf(imported) === 'config';
        const why = isConfig
          ? 'only main files and cli/ read settings, and hand slices down'
          : rules[roomOf(file)]?.why;
        return `${file} imports ${imported}: ${why}`;
      }),
  );
  expect(denied).toEqual([]);
});

test('no source imports a test', () => {
  const importers = [...graph].filter(
    ([file, imports]) => roomOf(file) !== 'bench' && imports.some((name) => roomOf(name) === 'test'),
  );
  expect(importers.map(([file]) => file)).toEqual([]);
});

test('no file imports itself, by whatever way round', () => {
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (file: string, path: readonly string[]): void => {
    const at = path.indexOf(file);
    if (at >= 0) cycles.push([...path.slice(at), file].join(' → '));
    if (at >= 0 || done.has(file)) return;
    // What runs in a process or thread of its own is no part of whoever starts it.
    for (const imported of ownImports(file, false)) visit(imported, [...path, file]);
    done.add(file);
  };
  for (const file of sources) visit(file, []);
  expect(cycles).toEqual([]);
});

test('the launchers and what they share need no package', () => {
  const foreign = sources
    .filter((file) => file.startsWith('tools/') && file.endsWith('.mjs'))
    .flatMap((file) => importsOf(readFileSync(join(root, file), 'utf8')).map((name) => ({ file, name })))
    .filter(({ name }) => !name.startsWith('node:') && !name.startsWith('./'));
  expect(foreign).toEqual([]);
});

test(`no file is longer than ${linesMax} lines`, () => {
  const long = [...sources, ...walk('test', /\.(ts|mjs)$/)]
    .map((file) => ({ file, lines: readFileSync(join(root, file), 'utf8').split('\n').length - 1 }))
    .filter(({ lines }) => lines > linesMax);
  expect(long).toEqual([]);
});

test('every source file opens with what it promises', () => {
  const silent = sources.filter((file) => !/^(#!.*\n)?\/\/ \S/.test(readFileSync(join(root, file), 'utf8')));
  expect(silent).toEqual([]);
});

const documents = walk('.', /\.md$/);

test('no path of one machine stands in a file', () => {
  const anyHome = /(?<![\w.])\/(?:home|root|Users|work|mnt|opt)\/[\w.-]+/;
  const found = [...sources, ...walk('.ci', /./), ...documents, 'package.json', 'biome.json'].flatMap((file) => {
    const path = anyHome.exec(readFileSync(join(root, file), 'utf8'));
    return path === null ? [] : [`${file}: ${path[0]}`];
  });
  // Tests may make up paths; this checkout's own is in none of them.
  const here = walk('test', /\.(ts|mjs)$/).filter((file) => readFileSync(join(root, file), 'utf8').includes(root));
  expect([...found, ...here]).toEqual([]);
});

test('every link in the documents leads to a file, and to a heading of it', () => {
  const broken = documents.flatMap((file) =>
    [...readFileSync(join(root, file), 'utf8').matchAll(/\]\(([^)\s]+)\)/g)]
      .map((match) => match[1] ?? '')
      .filter((link) => !/^[a-z]+:/.test(link))
      .filter((link) => !leadsSomewhere(file, link))
      .map((link) => `${file}: ${link}`),
  );
  expect(broken).toEqual([]);
});

function leadsSomewhere(file: string, link: string): boolean {
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? join(root, file) : resolve(root, dirname(file), path);
  if (!existsSync(target)) return false;
  if (anchor === undefined || !statSync(target).isFile()) return true;
  const headings = [...readFileSync(target, 'utf8').matchAll(/^#+ (.+)$/gm)].map((match) => slug(match[1] ?? ''));
  return headings.includes(anchor);
}

function slug(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}

test('docs/operate.md has the settings as they are: evoke settings prints the table', () => {
  expect(readFileSync(join(root, 'docs/operate.md'), 'utf8')).toContain(settingsTable());
});
