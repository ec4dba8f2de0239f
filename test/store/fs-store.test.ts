import { execFileSync } from 'node:child_process';
import { mkdir, readdir, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { nodeFiles } from '../../store/file-layer.ts';
import { FsStore } from '../../store/fs-store.ts';
import { MemoryStore } from '../../store/memory-store.ts';
import { temporaryFolder } from '../temp.ts';
import { storeSuite } from './conformance.ts';
import { faultyFiles, systemError } from './faults.ts';

storeSuite('a folder', async () => new FsStore(join(await temporaryFolder(), 'made/when/used')));

const content = Buffer.from('what is stored');

async function everything(folder: string): Promise<string[]> {
  return (await readdir(folder, { recursive: true, withFileTypes: true })).flatMap((entry) =>
    entry.isFile() ? [entry.name] : [],
  );
}

/** A store whose steps are written down as `step path`, temporary names as `~`. */
async function recording(fail: (step: string, count: number) => Error | undefined = () => undefined) {
  const root = await temporaryFolder();
  const steps: string[] = [];
  const files = faultyFiles(nodeFiles, (step, path) => {
    const shown = path.replace(root, '').replace(/\.[0-9a-f-]{36}\.part$/, '~');
    steps.push(`${step} ${shown || '/'}`);
    const error = fail(step, steps.length - 1);
    if (error !== undefined) throw error;
  });
  return { root, steps, store: new FsStore(root, files) };
}

test('a put writes under a hidden name, checks the length, syncs, renames, and syncs the folder, in this order', async () => {
  const { store, steps } = await recording();
  await store.put('a/b/object', [content, content]);
  expect(steps).toEqual([
    'makeFolder /a/b',
    'syncFolder /a',
    'syncFolder /',
    'create /a/b/~',
    'write /a/b/~',
    'write /a/b/~',
    'length /a/b/~',
    'sync /a/b/~',
    'close /a/b/~',
    'link /a/b/~',
    'rename /a/b/object',
    'syncFolder /a/b',
  ]);
  steps.length = 0;
  await store.put('a/b/other', [content]);
  expect(steps[0]).toBe('create /a/b/~');
});

test('a conditional put links its hidden file into place and removes the hidden name last', async () => {
  const { store, steps } = await recording();
  await store.put('object', [content], { ifAbsent: true });
  const order = ['sync /~', 'close /~', 'link /object', 'syncFolder /', 'remove /~'];
  expect(steps.slice(-5)).toEqual(order);
  steps.length = 0;
  expect(await store.put('object', [content], { ifAbsent: true })).toBe(false);
  // Also for the loser the object is durable when the call returns.
  expect(steps.slice(-3)).toEqual(['link /object', 'syncFolder /', 'remove /~']);
});

test('the parents of a new store are synced too', async () => {
  const steps: string[] = [];
  const base = await temporaryFolder();
  const store = new FsStore(
    join(base, 'x/y'),
    faultyFiles(nodeFiles, (step, path) => steps.push(`${step} ${path.replace(base, '')}`)),
  );
  await store.put('a/object', [content]);
  expect(steps.filter((step) => step.startsWith('syncFolder'))).toEqual([
    'syncFolder /x/y',
    'syncFolder /x',
    'syncFolder ',
    'syncFolder /x/y/a',
  ]);
});

test('a short write is noticed before anything is visible', async () => {
  const root = await temporaryFolder();
  const store = new FsStore(root, {
    ...nodeFiles,
    async create(path) {
      const file = await nodeFiles.create(path);
      return { ...file, write: (bytes) => file.write(bytes.subarray(1)) };
    },
  });
  await expect(store.put('object', [content])).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  expect(await everything(root)).toEqual([]);
});

for (const [kind, options] of [
  ['a put', {}],
  ['a conditional put', { ifAbsent: true }],
] as const) {
  test(`without space at any step, ${kind} fails, nothing is visible, and no temporary file stays`, async () => {
    const { store: good, steps: goodSteps } = await recording();
    await good.put('a/object', [content], options);
    for (let failAt = 0; failAt < goodSteps.length; failAt++) {
      const { root, store, steps } = await recording((_, count) =>
        count === failAt ? systemError('ENOSPC') : undefined,
      );
      const put = store.put('a/object', [content], options);
      if (steps[failAt]?.startsWith('remove') || goodSteps[failAt]?.startsWith('remove')) {
        // Everything is done by then: the second name stays behind, hidden, until leftovers are removed.
        expect(await put).toBe(true);
        expect(await store.removeLeftovers(-1000)).toBe(1);
        continue;
      }
      await expect(put).rejects.toMatchObject({
        code: 'STORE_UNAVAILABLE',
        details: { detail: 'The store cannot write: no space left.', systemCode: 'ENOSPC' },
      });
      expect([failAt, await everything(root)]).toEqual([failAt, []]);
      expect(await store.list('')).toEqual([]);
      expect(await store.put('a/object', [content], options)).toBe(true);
      expect((await store.get('a/object'))?.equals(content)).toBe(true);
    }
    expect.hasAssertions();
  });
}

test('without space at any step, a put that would replace an object leaves the old one', async () => {
  for (let failAt = 0; ; failAt++) {
    let armed = false;
    let count = 0;
    const { root, store } = await recording(() => (armed && count++ === failAt ? systemError('ENOSPC') : undefined));
    await store.put('a/object', [Buffer.from('old')]);
    armed = true;
    const outcome = await store.put('a/object', [content]).then(
      () => 'done',
      () => 'failed',
    );
    armed = false;
    const found = (await store.get('a/object'))?.toString();
    expect([failAt, outcome, found]).toEqual([failAt, outcome, outcome === 'failed' ? 'old' : content.toString()]);
    if (outcome === 'failed') expect(await everything(root)).toEqual(['object']);
    if (count <= failAt) break;
  }
});

test('a put that fails after another has won leaves the other in place', async () => {
  const root = await temporaryFolder();
  const other = new FsStore(root);
  let syncs = 0;
  const store = new FsStore(root, {
    ...nodeFiles,
    async syncFolder(path) {
      syncs++;
      await other.put('object', [Buffer.from('other')]);
      throw Object.assign(systemError('EIO'), { path });
    },
  });
  await expect(store.put('object', [content])).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  expect(syncs).toBe(1);
  expect((await other.get('object'))?.toString()).toBe('other');
});

test('a file that cannot be read is STORE_UNAVAILABLE, not absent', async () => {
  const { store } = await recording((step) =>
    ['read', 'info', 'list'].includes(step) ? systemError('EIO') : undefined,
  );
  await store.put('object', [content]);
  const failure = { code: 'STORE_UNAVAILABLE', retryable: true, details: { systemCode: 'EIO' } };
  await expect(store.get('object')).rejects.toMatchObject(failure);
  await expect(store.head('object')).rejects.toMatchObject(failure);
  await expect(store.list('')).rejects.toMatchObject(failure);
});

test('a failure tells the client nothing of the machine', async () => {
  const { root, store } = await recording((step) => (step === 'create' ? systemError('EACCES') : undefined));
  const error: unknown = await store.put('object', [content]).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ details: { detail: 'The store cannot write: permission denied.' } });
  expect(JSON.stringify((error as { details: object }).details)).not.toContain(root);
});

test('a mistake in the code is not taken for a failure of the disk', async () => {
  const { store } = await recording((step) => (step === 'create' ? new TypeError('a mistake') : undefined));
  await expect(store.put('object', [content])).rejects.toBeInstanceOf(TypeError);
});

test('an object that vanishes while its folder is listed is absent, and does not end the listing', async () => {
  const root = await temporaryFolder();
  for (const name of ['a', 'b', 'c', 'd']) await new FsStore(root).put(name, [content]);
  const store = new FsStore(root, {
    ...nodeFiles,
    async list(path) {
      const entries = await nodeFiles.list(path);
      await nodeFiles.remove(join(root, 'b')).catch(() => undefined);
      return entries;
    },
  });
  expect((await store.list('', { limit: 3 })).map((info) => info.name)).toEqual(['a', 'c', 'd']);
});

test('a page reads neither the folders before it nor the files behind it', async () => {
  const { store, steps } = await recording();
  for (const folder of ['a', 'b', 'c']) {
    for (let i = 0; i < 10; i++) await store.put(`${folder}/${i}`, [content]);
  }
  steps.length = 0;
  await store.list('', { after: 'b/3', limit: 2 });
  expect(steps).toEqual(['list /', 'list /b/', 'info /b/4', 'info /b/5']);
});

test('a listing page by page reads its folder once, and sees what this store itself adds meanwhile', async () => {
  const { store, steps } = await recording();
  for (const name of ['a', 'b', 'c', 'd', 'f']) await store.put(`x/${name}`, [content]);
  steps.length = 0;
  const names = async (after?: string) =>
    (await store.list('x/', { limit: 2, ...(after && { after }) })).map((info) => info.name);
  expect(await names()).toEqual(['x/a', 'x/b']);
  expect(await names('x/b')).toEqual(['x/c', 'x/d']);
  expect(await names('x/d')).toEqual(['x/f']);
  expect(steps.filter((step) => step.startsWith('list '))).toEqual(['list /x/']);
  await store.put('x/e', [content]);
  expect(await names('x/d')).toEqual(['x/e', 'x/f']);
});

test('hidden and foreign files are not objects', async () => {
  const root = await temporaryFolder();
  const store = new FsStore(root);
  await store.put('a/object', [content]);
  await writeFile(join(root, 'a', '.hidden'), 'x');
  await writeFile(join(root, 'a', 'not a name'), 'x');
  await mkdir(join(root, '.trash'));
  await writeFile(join(root, '.trash', 'object'), 'x');
  execFileSync('mkfifo', [join(root, 'a', 'pipe')]);
  expect((await store.list('')).map((info) => info.name)).toEqual(['a/object']);
});

test('a folder may be a link to another disk, even to one that leads back', async () => {
  const root = await temporaryFolder();
  const elsewhere = await temporaryFolder();
  await symlink(elsewhere, join(root, 'chunks'));
  const store = new FsStore(root);
  await store.put('chunks/a', [content]);
  expect(await everything(elsewhere)).toEqual(['a']);
  expect((await store.list('')).map((info) => info.name)).toEqual(['chunks/a']);
  await symlink(elsewhere, join(elsewhere, 'ring'));
  expect((await store.list('', { limit: 2 })).map((info) => info.name)).toEqual(['chunks/a', 'chunks/ring/a']);
});

test('a folder that somebody tidied away is made again', async () => {
  const { root, store } = await recording();
  await store.put('a/b/object', [content]);
  execFileSync('rm', ['-r', join(root, 'a')]);
  await store.put('a/b/object', [content]);
  expect((await store.get('a/b/object'))?.equals(content)).toBe(true);
});

test('leftovers of dead writers are removed when they are old, and nothing else is', async () => {
  const root = await temporaryFolder();
  const store = new FsStore(root);
  await store.put('a/object', [content]);
  const old = join(root, 'a', '.00000000-0000-4000-8000-000000000000.part');
  const young = join(root, 'a', '.11111111-0000-4000-8000-000000000000.part');
  const foreign = join(root, 'a', '.notes.part');
  for (const path of [old, young, foreign]) await writeFile(path, 'half');
  const hourAgo = Date.now() / 1000 - 3600;
  for (const path of [old, foreign, join(root, 'a', 'object')]) await utimes(path, hourAgo, hourAgo);
  expect(await store.removeLeftovers(60_000)).toBe(1);
  expect((await everything(root)).sort()).toEqual([
    '.11111111-0000-4000-8000-000000000000.part',
    '.notes.part',
    'object',
  ]);
  expect(await new FsStore(join(root, 'absent')).removeLeftovers(0)).toBe(0);
});

// Names that are never also folders: files have digits, folders letters.
const name = fc
  .tuple(fc.array(fc.constantFrom('a', 'b', 'a-', 'b.c'), { maxLength: 3 }), fc.constantFrom('0', '1', '2-', '2.x'))
  .map(([folders, file]) => [...folders, file].join('/'));
const prefix = fc
  .array(fc.constantFrom('a', 'b', 'a-', 'b.c'), { maxLength: 2 })
  .map((folders) => folders.map((f) => `${f}/`).join(''));
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ op: fc.constant('put' as const), name, text: fc.string(), ifAbsent: fc.boolean() }),
  },
  fc.record({ op: fc.constant('get' as const), name }),
  fc.record({ op: fc.constant('head' as const), name }),
  fc.record({ op: fc.constant('delete' as const), name }),
  fc.record({
    op: fc.constant('list' as const),
    prefix,
    after: fc.option(name),
    limit: fc.integer({ min: 0, max: 6 }),
  }),
);

async function run(
  store: FsStore | MemoryStore,
  one: typeof step extends fc.Arbitrary<infer T> ? T : never,
): Promise<unknown> {
  if (one.op === 'put') return store.put(one.name, [Buffer.from(one.text)], { ifAbsent: one.ifAbsent });
  if (one.op === 'get') return (await store.get(one.name))?.toString('base64');
  if (one.op === 'head') return (await store.head(one.name))?.bytes;
  if (one.op === 'delete') return store.delete(one.name);
  const page = await store.list(one.prefix, { limit: one.limit, ...(one.after === null ? {} : { after: one.after }) });
  return page.map((info) => [info.name, info.bytes]);
}

test('a folder and a memory store answer every sequence of operations alike', async () => {
  const root = await temporaryFolder();
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const folder = new FsStore(join(root, String(runs++)));
      const memory = new MemoryStore();
      for (const one of steps) expect(await run(folder, one)).toEqual(await run(memory, one));
    }),
    { numRuns: 60 },
  );
});
