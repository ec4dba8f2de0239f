// evoke check and evoke rebuild on a bucket: the same findings, the same repairs as in a folder.
import { CreateMultipartUploadCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openStore } from '../../store/open-store.ts';
import { type Ceph, startCeph } from '../ceph.ts';
import { evoke } from '../cli/one-machine.ts';
import { declare, eventsUrl, Service } from '../service.ts';

const prefix = 'care/';
let ceph: Ceph;

beforeAll(async () => {
  ceph = await startCeph();
  Object.assign(process.env, ceph.env);
}, 120_000);

afterAll(() => ceph.stop());

test('damage, unknown objects and unfinished uploads in a bucket are found and repaired, beside a running service and after it', async () => {
  const env = ceph.envOf(prefix);
  const service = await Service.start({ env });
  const { store } = await openStore(ceph.location(prefix));
  try {
    await declare(service.url, 'care:s3', { generator: 'ee_mumu', seed: 8, events: 3000, chunkEvents: 1000 });
    await (await fetch(eventsUrl(service.url, 'care:s3', '1-3000.arrows'))).arrayBuffer();
    const settings = { ...env, EVOKE_REDIS_URL: service.redis.url, EVOKE_DATA_DIR: service.dataDir };
    const well = await evoke(['check'], settings);
    expect(well, well.stderr).toMatchObject({ code: 0, stdout: expect.stringContaining('all is well') });
    expect(well.stdout).toContain('2 processes of a service work on it');
    expect((await evoke(['rebuild'], settings)).stdout).toMatch(/care:s3 +3000 +3 /);

    // As they are told to, they write what they have.
    await Promise.all(service.roles.map((role) => role.end()));
    const [first] = await store.list('chunks/');
    const name = first?.name ?? '';
    const bytes = Buffer.from((await store.get(name)) ?? Buffer.alloc(0));
    bytes[600] = (bytes[600] ?? 0) ^ 1;
    await store.put(name, [bytes]);
    await store.put('notes.txt', [Buffer.from('mine')]);
    const location = ceph.location(prefix);
    const client = new S3Client({ endpoint: ceph.endpoint, region: location.region, forcePathStyle: true });
    await client.send(
      new CreateMultipartUploadCommand({ Bucket: location.bucket, Key: `${location.prefix}chunks/half` }),
    );
    client.destroy();

    const found = JSON.parse((await evoke(['check', '--json'], settings)).stdout);
    const kinds = found.findings.map(({ kind, name: where }: { kind: string; name: string }) => [kind, where]);
    expect(kinds).toEqual([
      ['leftover', 'chunks/half'],
      ['damaged', name],
      ['unknown', 'notes.txt'],
    ]);
    expect((await evoke(['check', '--repair'], settings)).stdout.match(/Repaired:/g)).toHaveLength(2);
    await store.delete('notes.txt');
    expect(await evoke(['check'], settings)).toMatchObject({ code: 0 });
  } finally {
    await store.close();
    await service.stop();
  }
}, 180_000);
