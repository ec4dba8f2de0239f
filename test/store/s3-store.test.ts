// The suite of every store on an S3 that somebody names: TEST_S3_STORE as EVOKE_STORE, keys in AWS_ACCESS_KEY_ID and
// AWS_SECRET_ACCESS_KEY. The campaign runs it on Ceph without being asked.
import { randomUUID } from 'node:crypto';
import { onTestFinished, test } from 'vitest';
import { readConfig } from '../../config/settings.ts';
import { S3Store } from '../../store/s3-store.ts';
import { storeSuite } from './conformance.ts';

const url = process.env['TEST_S3_STORE'];

if (url === undefined) {
  test.skip('the suite on an S3: set TEST_S3_STORE=s3://BUCKET/PREFIX?endpoint=URL and AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY', () => {});
} else {
  storeSuite(`the S3 of TEST_S3_STORE`, async () => {
    const location = readConfig({ EVOKE_STORE: url }).store;
    if (location?.kind !== 's3') throw new Error('TEST_S3_STORE is not an s3:// URL');
    const prefix = `${location.prefix}evoke-test-${randomUUID()}/`;
    const store = new S3Store({ ...location, prefix });
    onTestFinished(() => emptied(new S3Store({ ...location, prefix })));
    return store;
  });
}

async function emptied(store: S3Store): Promise<void> {
  for (;;) {
    const page = await store.list('');
    if (page.length === 0) return store.close();
    await Promise.all(page.map(({ name }) => store.delete(name)));
  }
}
