// npm test: everything this needs, then the tests. The first argument `campaign` takes the long ones; others go to vitest.
import { ensureDependencies } from './bootstrap.mjs';
import { launch, runWithNode } from './launch.mjs';
import { ensureRedis } from './redis.mjs';

await launch(async () => {
  await ensureDependencies();
  // The tests start their own Redis each, and set what they need: nothing of the caller's settings may leak into them.
  const settings = Object.entries(process.env).filter(([name]) => name.startsWith('EVOKE_'));
  const environment = { ...process.env };
  for (const [name] of settings) delete environment[name];
  await ensureRedis({ ...environment, EVOKE_NO_INSTALL: process.env.EVOKE_NO_INSTALL });
  const [first, ...rest] = process.argv.slice(2);
  const args = first === 'campaign' ? ['--config', 'vitest.campaign.config.ts', ...rest] : process.argv.slice(2);
  return runWithNode('node_modules/vitest/vitest.mjs', ['run', ...args], { environment });
});
