// Names that reach the filesystem or the object store, from every side: none of them leads out of the store, and what lies in
// the store's folder by somebody's trick does no harm beyond itself.
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseChunkKey } from '../../core/chunk.ts';
import { systemClock } from '../../core/clock.ts';
import { EvokeError } from '../../core/errors.ts';
import { Batches } from '../../store/batches.ts';
import { Catalog } from '../../store/catalog.ts';
import { chunkName } from '../../store/chunk-names.ts';
import { FsStore } from '../../store/fs-store.ts';
import { MemoryStore } from '../../store/memory-store.ts';
import { isName } from '../../store/names.ts';
import { Requests } from '../../store/requests.ts';
import type { Store } from '../../store/store.ts';
import { send, TestService } from '../api/harness.ts';
import { temporaryFolder } from '../temp.ts';
import { segment } from './hostile.ts';
import { checkAnswer, shown, speak } from './wire.ts';

const text = fc.oneof(
  segment,
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc
    .array(fc.constantFrom('..', '/', '\\', '.', 'a', ':', '\u0000', '\n', '%2f', '~', ' ', 'é', '\ud800'), {
      maxLength: 8,
    })
    .map((parts) => parts.join('')),
);

/** A store that notes what it is asked for. */
function watched(): { store: Store; names: string[] } {
  const names: string[] = [];
  const store = new Proxy<Store>(new MemoryStore(), {
    get(target, property) {
      const member = Reflect.get(target, property) as unknown;
      if (typeof member !== 'function') return member;
      return (...args: unknown[]) => {
        if (property !== 'list' && typeof args[0] === 'string') names.push(args[0]);
        return Reflect.apply(member, target, args);
      };
    },
  });
  return { store, names };
}

/** Whatever it throws is one of ours, and no mistake. */
async function ends(work: () => unknown): Promise<void> {
  try {
    await work();
  } catch (error) {
    expect(error).toBeInstanceOf(EvokeError);
    expect((error as EvokeError).code).not.toBe('INTERNAL');
  }
}

test('scopes, names and ids of any text are refused, or name an object in the folder of their kind', async () => {
  const { store, names } = watched();
  const catalog = new Catalog(store, systemClock);
  const batches = new Batches(store, systemClock);
  const requests = new Requests(store);
  await fc.assert(
    fc.asyncProperty(text, text, async (one, other) => {
      names.length = 0;
      const name = { scope: one, name: other };
      const pin = { ...name, pinnedAt: '2030-01-01T00:00:00Z', expiresAt: '2031-01-01T00:00:00Z' };
      await ends(() => catalog.find(name));
      await ends(() => catalog.isRetired(name));
      await ends(() => catalog.retire(name));
      await ends(() => catalog.pin(pin));
      await ends(() => catalog.pinOf(name));
      await ends(() => catalog.unpin(name));
      await ends(() => catalog.list({ after: name, limit: 1 }));
      await ends(() => batches.find(one));
      await ends(() => batches.wish(one, 'paused'));
      await ends(() => batches.list({ after: one, limit: 1 }));
      await ends(() => requests.find(one));
      for (const asked of names) {
        expect(isName(asked), asked).toBe(true);
        expect(asked, asked).toMatch(/^((datasets|retired|pins)\/[^/]+\/[^/]+|(batches|requests)\/[^/]+)\.json$/);
      }
    }),
    { numRuns: 500 },
  );
});

test('a chunk key of any text is refused, or names an object among the chunks', () => {
  const key = fc.oneof(
    text,
    fc.tuple(text, text, text).map((parts) => parts.join('/')),
    fc
      .tuple(
        fc.constantFrom('a'.repeat(64), '..'),
        fc.constantFrom('1', '0', '..'),
        fc.constantFrom(`${'0'.repeat(15)}1-${'9'.repeat(16)}`, '..'),
      )
      .map((parts) => parts.join('/')),
  );
  fc.assert(
    fc.property(key, (given) => {
      let name: string;
      try {
        name = chunkName(parseChunkKey(given));
      } catch (error) {
        expect(error).toBeInstanceOf(EvokeError);
        return;
      }
      expect(isName(name)).toBe(true);
      expect(name).toMatch(/^chunks\//);
    }),
    { numRuns: 2000 },
  );
});

test('a store in a folder touches nothing outside of it, whatever it is asked for', async () => {
  const outer = await temporaryFolder();
  const canary = join(outer, 'canary.json');
  await writeFile(canary, 'mine');
  const store = new FsStore(join(outer, 'store'));
  await store.put('a/b', [Buffer.from('x')]);
  const names = fc.oneof(
    text,
    fc.constantFrom(
      '../canary.json',
      'a/../../canary.json',
      '/../canary.json',
      canary,
      'a//../../canary.json',
      'a/b/../../../canary.json',
      '.',
      '..',
      '',
      'a/',
      '/',
    ),
  );
  await fc.assert(
    fc.asyncProperty(names, async (name) => {
      const tries = [
        () => store.put(name, [Buffer.from('evil')]),
        () => store.get(name),
        () => store.head(name),
        () => store.delete(name),
        () => store.list(name),
      ];
      for (const act of tries) {
        try {
          const given = await act();
          expect(String(given)).not.toContain('mine');
        } catch (error) {
          expect(error, name).toBeInstanceOf(EvokeError);
        }
      }
    }),
    { numRuns: 300 },
  );
  expect(await readFile(canary, 'utf8')).toBe('mine');
  expect((await readdir(outer)).sort()).toEqual(['canary.json', 'store']);
  for (const path of await everything(join(outer, 'store'))) expect(isName(path), path).toBe(true);
});

/** Every file under a folder, by its path from there. */
async function everything(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => relative(folder, join(entry.parentPath, entry.name)));
}

let service: TestService;
beforeAll(async () => {
  service = await TestService.start({ worker: false, env: { EVOKE_WAIT_SECONDS: '0.1' } });
  await service.declare('d', { generator: 'quick', events: 100, chunkEvents: 10 });
});
afterAll(() => service.stop());

test('what requests name in paths and bodies makes no file but those of the store', async () => {
  const json = (method: string, path: string, value: unknown) => {
    const body = Buffer.from(JSON.stringify(value));
    const head = `${method} ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
    return speak(service.url, [head, body]);
  };
  const plain = text.map((given) => given.replace(/[^\x21-\x7e]/g, ''));
  await fc.assert(
    fc.asyncProperty(plain, plain, text, async (one, other, any) => {
      const spoken = await Promise.all([
        json('PUT', `/v1/datasets/${one}/${other}`, {
          generator: 'quick',
          seed: 1,
          events: 1,
          files: { eventsPerFile: 1, lfn: any },
        }),
        json('PUT', `/v1/datasets/test/${one}/pin`, { reason: any }),
        json('POST', '/v1/batches', { dataset: `${one}:${any}` }),
        json('PATCH', `/v1/batches/${one}`, { state: 'paused' }),
        json('POST', '/v1/event-ranges', [
          { eventRangeID: any, LFN: other, scope: one, GUID: any, startEvent: 1, lastEvent: 1 },
        ]),
        json('DELETE', `/v1/requests/${one}`, ''),
      ]);
      for (const { answers, end } of spoken) {
        expect(end).not.toBe('silent');
        for (const answer of answers) checkAnswer(answer, shown(`${one} ${other} ${any}`));
      }
    }),
    { numRuns: 100 },
  );
  for (const path of await everything(service.dataDir)) {
    expect(path).toMatch(/^store\//);
    expect(isName(path), path).toBe(true);
  }
});

test('links in the store that go round, lead nowhere or out of it harm nothing but themselves, and tell nothing', async () => {
  const secret = join(await temporaryFolder(), 'secret');
  await writeFile(secret, 'root:x:0:0:the very secret');
  const store = join(service.dataDir, 'store');
  const link = async (target: string, name: string) => {
    await mkdir(dirname(join(store, name)), { recursive: true });
    await symlink(target, join(store, name));
  };
  await link(secret, 'datasets/test/leak.json');
  await link(dirname(secret), 'datasets/outside');
  await link('/etc', 'datasets/etc');
  await link('.', 'datasets/ring');
  await link('nowhere', 'datasets/test/nowhere.json');
  await link('loop.json', 'datasets/test/loop.json');
  await link('/dev/zero', 'datasets/test/endless.json');
  await link('/proc/self/environ', 'datasets/test/environ.json');
  for (const name of ['leak', 'nowhere', 'loop', 'endless', 'environ']) {
    for (const target of [`/v1/datasets/test/${name}`, `/v1/datasets/test/${name}/events/1-2`]) {
      const reply = await service.call(target);
      expect([404, 503], target).toContain(reply.status);
      expect(reply.text()).not.toMatch(/root:|secret|PATH=/);
    }
  }
  const list = await service.call('/v1/datasets');
  expect(list.status).toBe(200);
  const names = (list.json() as { items: { name: string }[] }).items.map(({ name }) => name);
  expect(names).toContain('d');
  expect((await send(service.url, '/readyz')).status).toBe(200);
  expect(await readFile(secret, 'utf8')).toBe('root:x:0:0:the very secret');
});
