// npm run check: the types, those of the page's plain JavaScript too, then format and lint; nothing more.
import { launch, runWithNode } from './launch.mjs';

await launch(async () => {
  const types = await runWithNode('node_modules/typescript/bin/tsc', ['--noEmit']);
  const page = await runWithNode('node_modules/typescript/bin/tsc', ['--noEmit', '--project', 'dashboard']);
  const style = await runWithNode('node_modules/@biomejs/biome/bin/biome', ['check', '.']);
  return types || page || style;
});
