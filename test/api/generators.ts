// The built-in generators and those of the fixtures, as one registry that the threads of a worker can load too.
import { GeneratorRegistry, builtInGenerators as shipped } from '../../generators/registry.ts';
import { builtInGenerators as fixtures } from '../fixtures/generators.ts';

export const builtInGenerators = new GeneratorRegistry([...shipped.list(), ...fixtures.list()]);
export const generatorsUrl: string = import.meta.url;
