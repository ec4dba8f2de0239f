// Run as a process of its own by crash.test.ts: puts one object of 1 MiB into the folder given, and prints how that failed.
import { EvokeError } from '../../core/errors.ts';
import { FsStore } from '../../store/fs-store.ts';

try {
  await new FsStore(process.argv[2] as string).put('object', [Buffer.alloc(1024 * 1024)]);
} catch (error) {
  if (!(error instanceof EvokeError)) throw error;
  process.stdout.write(JSON.stringify({ code: error.code, ...error.details }));
}
