// What the services of the campaign can make: the built-in processes, and fixtures that are slow, busy, derived, or fail.
import type { Generator } from '../../../generators/generator.ts';
import { GeneratorRegistry, builtInGenerators as real } from '../../../generators/registry.ts';
import { busy, derived, exiting, failing, lethal, quick, slow } from '../../fixtures/generators.ts';

export const builtInGenerators = new GeneratorRegistry([
  ...real.list(),
  ...([quick, slow, busy, failing, exiting, lethal, derived] as Generator[]),
]);

/** For the threads of workers. */
export const generatorsUrl: string = import.meta.url;
