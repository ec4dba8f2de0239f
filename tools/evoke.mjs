#!/usr/bin/env node
// npx evoke: the command line, installing first what is missing.
import { ensureDependencies } from './bootstrap.mjs';
import { launch, runWithNode } from './launch.mjs';
import { ensureRedis } from './redis.mjs';

await launch(async () => {
  await ensureDependencies();
  const args = process.argv.slice(2);
  if (args[0] === 'start') await ensureRedis();
  return runWithNode('cli/main.ts', args, { channel: true });
});
