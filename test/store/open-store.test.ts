import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { systemClock } from '../../core/clock.ts';
import { Catalog } from '../../store/catalog.ts';
import { FsStore } from '../../store/fs-store.ts';
import { MemoryStore } from '../../store/memory-store.ts';
import { openStore } from '../../store/open-store.ts';
import { S3Store } from '../../store/s3-store.ts';
import { evoke, OneMachine } from '../cli/one-machine.ts';
import { temporaryFolder } from '../temp.ts';
import { bucket, faultyS3 } from './s3-faults.ts';

test('a store in files is opened with its folder made, and remembers how much it may take', async () => {
  const folder = join(await temporaryFolder(), 'made/when/opened');
  const opened = await openStore({ kind: 'file', folder });
  expect(opened.store).toBeInstanceOf(FsStore);
  expect(await readdir(folder)).toEqual([]);
  const capacityBytes = await opened.capacityBytes();
  expect(JSON.parse(await readFile(join(folder, 'capacity.json'), 'utf8'))).toEqual({ capacityBytes });
});

test('a store in S3 is opened with a look into its bucket, and takes a terabyte unless told otherwise', async () => {
  const { port, lines, objects } = await faultyS3();
  const location = {
    kind: 's3',
    bucket,
    prefix: 'p/',
    endpoint: `http://127.0.0.1:${port}`,
    region: 'us-east-1',
  } as const;
  const opened = await openStore(location);
  expect(opened.store).toBeInstanceOf(S3Store);
  expect(lines).toEqual(['LIST p/']);
  expect(await opened.capacityBytes()).toBe(1e12);
  expect([...objects.keys()]).toEqual(['p/capacity.json']);
  await opened.store.close();
});

test('a folder that cannot be made is named, with the reason', async () => {
  const file = join(await temporaryFolder(), 'taken');
  await writeFile(file, '');
  for (const folder of [file, join(file, 'below')]) {
    await expect(openStore({ kind: 'file', folder })).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      message: `file:${folder}: The store cannot write: something that is no folder is in the way.`,
    });
  }
});

test('a store that ignores the conditions of puts is not worked with', async () => {
  const store = new MemoryStore();
  const put = store.put.bind(store);
  expect(await new Catalog(store, systemClock).identity()).toMatch(/^[0-9a-f-]{36}$/);
  vi.spyOn(store, 'put').mockImplementation((name, parts) => put(name, parts));
  await expect(new Catalog(store, systemClock).identity()).rejects.toMatchObject({
    code: 'STORE_UNAVAILABLE',
    details: { hint: expect.stringContaining('If-None-Match') },
  });
});

const down = {
  EVOKE_STORE: 's3://nobody/x?endpoint=http://127.0.0.1:1',
  AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
  AWS_SECRET_ACCESS_KEY: 'wJalrXUtnFEMIK7MDENG',
};
const words =
  /^evoke: s3:\/\/nobody\/x\/ at http:\/\/127\.0\.0\.1:1: The store cannot list: it cannot be reached \(ECONNREFUSED\)\. Is the S3 server up.*\n$/;

test('a role whose S3 cannot be reached ends with one line that says so', async () => {
  const env = { ...down, EVOKE_REDIS_URL: 'redis://127.0.0.1:1' };
  const ends = await Promise.all(['worker', 'api', 'scheduler'].map((role) => evoke([role], env)));
  for (const end of ends) expect(end).toMatchObject({ code: 1, stderr: expect.stringMatching(words) });
});

test('a service whose S3 cannot be reached does not come up, says why in one line, and leaves nothing running', async () => {
  const service = await OneMachine.start({ env: down });
  expect(await service.ended()).toBe(1);
  expect(service.stderr).toMatch(words);
  expect(service.running()).toEqual([]);
});
