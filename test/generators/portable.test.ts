// Nothing in generators/ may depend on the engine, the machine or the time: held here by reading the sources,
// and by Biome's plugin, of which this file proves that it bites.
import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const biome = createRequire(import.meta.url).resolve('@biomejs/biome/bin/biome');

const allowedOfMath = [
  'PI',
  'abs',
  'ceil',
  'clz32',
  'floor',
  'fround',
  'imul',
  'max',
  'min',
  'round',
  'sign',
  'sqrt',
  'trunc',
];

/** Everything in a source that could make bits differ. Comments do not count. */
function unportable(source: string): string[] {
  const code = source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/\/\/.*$/gm, '');
  const ofMath = [...code.matchAll(/\bMath\b(?:\s*\??\.\s*(\w+))?/g)]
    .filter(([, name]) => name === undefined || !allowedOfMath.includes(name))
    .map(([text]) => text);
  const others = [
    ...code.matchAll(/\*\*|\b(?:Date|performance|crypto|globalThis|process|Intl|toLocale\w*|hrtime|eval|Function)\b/g),
  ].map(([text]) => text);
  return [...ofMath, ...others];
}

const violations: Record<string, string> = {
  power: 'export const x = (a: number) => a ** 2;',
  powerAssignment: 'export let x = 3;\nx **= 2;',
  pow: 'export const x = Math.pow(2, 3);',
  exp: 'export const x = Math.exp(2);',
  inside: 'export const x = Math.sqrt(Math.log(2));',
  optional: 'export const x = Math?.sin(2);',
  computed: "export const x = Math['cos'](2);",
  alias: 'const maths = Math;\nexport const x = maths.tan(2);',
  destructured: 'const { hypot } = Math;\nexport const x = hypot(2, 3);',
  global: 'export const x = globalThis.Math.cbrt(2);',
  random: 'export const x = Math.random();',
  date: 'export const x = Date.now();',
  newDate: 'export const x = new Date();',
  performance: 'export const x = performance.now();',
  crypto: 'export const x = crypto.randomUUID();',
  process: 'export const x = process.arch;',
};

const harmless = `// Math.exp and ** in a comment are fine.
export const x = Math.floor(Math.sqrt(2)) * Math.PI + Math.fround(Math.max(1, 2)) + Math.imul(2, 3);
export const magnitudes = [1, -2].map(Math.abs);
export let y = 2 * x;
y *= 3;
`;

async function sources(): Promise<string[]> {
  const names = await readdir(join(root, 'generators'), { recursive: true });
  return names.filter((name) => name.endsWith('.ts'));
}

test('no source of generators/ uses what differs between engines, machines or moments', async () => {
  const names = await sources();
  expect(names.length).toBeGreaterThan(5);
  for (const name of names) {
    expect(unportable(await readFile(join(root, 'generators', name), 'utf8')), name).toEqual([]);
  }
});

test('only maths.ts imports mathematics, and generators import nothing of the system', async () => {
  for (const name of await sources()) {
    const source = await readFile(join(root, 'generators', name), 'utf8');
    const imported = [...source.matchAll(/\bfrom\s+'([^']+)'|\bimport\s*\(?\s*'([^']+)'/g)].map(
      (match) => match[1] ?? match[2] ?? '',
    );
    const foreign = imported.filter((path) => !path.startsWith('./') && !path.startsWith('../core/') && path !== 'zod');
    expect(
      foreign.filter((path) => name !== 'maths.ts' || !path.startsWith('@stdlib/')),
      name,
    ).toEqual([]);
  }
});

test('reading the sources finds every kind of violation', () => {
  for (const [name, source] of Object.entries(violations)) expect(unportable(source), name).not.toEqual([]);
  expect(unportable(harmless)).toEqual([]);
});

test('`biome check` fails on every kind of violation in generators/, and only there', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'evoke-lint-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const config = JSON.parse(await readFile(join(root, 'biome.json'), 'utf8'));
  await writeFile(join(folder, 'biome.json'), JSON.stringify({ ...config, $schema: undefined }));
  await mkdir(join(folder, 'generators'));
  await copyFile(join(root, 'generators/portable.grit'), join(folder, 'generators/portable.grit'));
  for (const [name, source] of Object.entries(violations))
    await writeFile(join(folder, 'generators', `bad-${name}.ts`), source);
  await writeFile(join(folder, 'generators', 'good.ts'), harmless);
  await mkdir(join(folder, 'core'));
  await writeFile(join(folder, 'core', 'elsewhere.ts'), 'export const x = Math.exp(2) + Date.now();\n');

  const report = await lint(folder);
  const accused = new Set(
    report.diagnostics.filter(({ severity }) => severity === 'error').map(({ location }) => pathOf(location)),
  );
  expect([...accused].sort()).toEqual(
    Object.keys(violations)
      .map((name) => `generators/bad-${name}.ts`)
      .sort(),
  );
});

interface Report {
  readonly diagnostics: readonly {
    readonly severity: string;
    readonly location: { readonly path?: string | { readonly file?: string } };
  }[];
}

function pathOf(location: Report['diagnostics'][number]['location']): string {
  return typeof location.path === 'string' ? location.path : (location.path?.file ?? '');
}

function lint(folder: string): Promise<Report> {
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      [biome, 'lint', '--reporter=json', '--max-diagnostics=none', '.'],
      { cwd: folder },
      (_error, stdout, stderr) => {
        try {
          resolve(JSON.parse(stdout));
        } catch {
          reject(new Error(`${stdout}\n${stderr}`));
        }
      },
    );
  });
}
