// The built-in generators, those of the fixtures, and two that are less than exactly reproducible, as one registry that the
// threads of a worker can load too.
import { GeneratorRegistry, builtInGenerators as shipped } from '../../generators/registry.ts';
import { fickle, builtInGenerators as fixtures, quick } from '../fixtures/generators.ts';

export const builtInGenerators = new GeneratorRegistry([
  ...shipped.list(),
  ...fixtures.list(),
  { ...fickle, name: 'statistical', reproducibility: 'statistical' },
  { ...quick, name: 'platform', reproducibility: 'platform' },
]);
export const generatorsUrl: string = import.meta.url;
