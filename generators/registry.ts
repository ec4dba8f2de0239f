// The generators this build carries, by name and version. Serving and planning read only what is declared here.
import { sha256Hex } from '../core/derivation.ts';
import { EvokeError } from '../core/errors.ts';
import { eeMuMu } from './ee-mumu.ts';
import type { Generator } from './generator.ts';
import { minbias } from './minbias.ts';

export class GeneratorRegistry {
  readonly #byName: ReadonlyMap<string, Generator>;

  constructor(generators: readonly Generator[]) {
    this.#byName = new Map(generators.map((generator) => [generator.name, generator]));
  }

  list(): Generator[] {
    return [...this.#byName.values()];
  }

  /** The registered generator, undefined when there is none of that name or (where given) version. */
  find(name: string, version?: string): Generator | undefined {
    const generator = this.#byName.get(name);
    return generator !== undefined && (version ?? generator.version) === generator.version ? generator : undefined;
  }

  /** @throws EvokeError GENERATOR_NOT_REGISTERED */
  get(name: string, version: string): Generator {
    const generator = this.find(name, version);
    if (generator !== undefined) return generator;
    throw new EvokeError('GENERATOR_NOT_REGISTERED', {
      detail: `${name}@${version} is not among the generators of this service.`,
      hint: 'What is stored is still served. Making more needs a build that carries this version.',
    });
  }

  /** Short name of the set of generators: processes that work together must agree on it. */
  fingerprint(): string {
    const names = this.list().map((generator) => `${generator.name}@${generator.version}`);
    return sha256Hex(names.sort().join(' ')).slice(0, 16);
  }
}

/** The built-in processes. */
export const builtInGenerators = new GeneratorRegistry([eeMuMu, minbias]);
