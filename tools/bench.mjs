// npm run bench: the benchmarks, each a ratio in one run; arguments choose among them.
import { ensureDependencies } from './bootstrap.mjs';
import { launch, runWithNode } from './launch.mjs';
import { ensureRedis } from './redis.mjs';

await launch(async () => {
  await ensureDependencies();
  await ensureRedis();
  return runWithNode('bench/main.ts', process.argv.slice(2));
});
