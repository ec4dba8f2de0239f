// npm start: everything this needs, then the one-machine service, until Ctrl-C.
import { ensureDependencies } from './bootstrap.mjs';
import { launch, runWithNode } from './launch.mjs';
import { ensureRedis } from './redis.mjs';

await launch(async () => {
  await ensureDependencies();
  await ensureRedis();
  return runWithNode('cli/main.ts', ['start', ...process.argv.slice(2)], { channel: true });
});
