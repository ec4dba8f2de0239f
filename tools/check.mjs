// npm run check: the types, then format and lint; nothing more.
import { launch, runWithNode } from './launch.mjs';

await launch(async () => {
  const types = await runWithNode('node_modules/typescript/bin/tsc', ['--noEmit']);
  const style = await runWithNode('node_modules/@biomejs/biome/bin/biome', ['check', '.']);
  return types || style;
});
