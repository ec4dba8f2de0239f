// Promise 6: lost, cut or corrupt is the same as virtual. Chunks are spoilt on disk behind the service's back.
import { copyFile, readdir, readFile, truncate, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { declare, eventsUrl, Service } from '../service.ts';

let service: Service;

beforeAll(async () => {
  // No hot chunks: every answer reads the disk.
  service = await Service.start({ env: { EVOKE_MEMORY_BYTES: '0' } });
});

afterAll(() => service.stop());

const flip = (at: (length: number) => number) => async (file: string) => {
  const bytes = await readFile(file);
  const index = at(bytes.length);
  bytes[index] = (bytes[index] ?? 0) ^ 0x10;
  await writeFile(file, bytes);
};

const spoilings: [string, (file: string, other: string) => Promise<void>][] = [
  ['flipped at the front', flip(() => 12)],
  ['flipped in the middle', flip((length) => length >> 1)],
  ['flipped in the trailer', flip((length) => length - 60)],
  ['flipped in the last byte', flip((length) => length - 1)],
  ['cut by one byte', async (file) => truncate(file, (await readFile(file)).length - 1)],
  ['cut in half', async (file) => truncate(file, (await readFile(file)).length >> 1)],
  ['emptied', (file) => truncate(file, 0)],
  ['deleted', (file) => unlink(file)],
  ['replaced by its neighbour', (file, other) => copyFile(other, file)],
  ['replaced by text', (file) => writeFile(file, 'EVK1')],
  ['lengthened', async (file) => writeFile(file, Buffer.concat([await readFile(file), Buffer.from('EVK1')]))],
];

test.each(spoilings)('a chunk %s never reaches a client: it is made again, the same', async (how, spoil) => {
  const name = `damage:${how.replaceAll(' ', '_')}`;
  const dataset = await declare(service.url, name, { generator: 'ee_mumu', seed: 5, events: 1200, chunkEvents: 400 });
  const url = eventsUrl(service.url, name, '1-1200.arrows');
  const get = async (target = url) => Buffer.from(await (await fetch(target)).arrayBuffer());
  const whole = await get();

  const folder = join(service.dataDir, 'store', 'chunks', dataset.derivation, String(dataset.batchEvents));
  const [first = '', second = ''] = (await readdir(folder)).filter((file) => !file.startsWith('.')).sort();
  await spoil(join(folder, first), join(folder, second));

  expect((await get()).equals(whole)).toBe(true);
  expect((await get(eventsUrl(service.url, name, '1-400.ndjson'))).toString().trimEnd().split('\n')).toHaveLength(400);
  const again = await (await fetch(`${service.url}/v1/datasets/${name.replace(':', '/')}`)).json();
  expect(again).toMatchObject({ materializedChunks: 3 });
});
