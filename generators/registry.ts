// The generators this build carries, by name and version. Serving and planning read only what is declared here.
import { type Chain, derivationsOf } from '../core/dataset.ts';
import { sha256Hex } from '../core/derivation.ts';
import { EvokeError } from '../core/errors.ts';
import { detsim } from './detsim.ts';
import { eeMuMu } from './ee-mumu.ts';
import type { EventCost, Generator } from './generator.ts';
import { minbias } from './minbias.ts';

/** Of one event, when all of the chain is made. */
export interface ChainCost extends EventCost {
  /** CPU seconds of each link alone: the derivation's own first, then its inputs', the nearest first. Sums to `cpuSeconds`. */
  readonly links: readonly number[];
}

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

  /** Undefined where a generator of the chain is not registered. */
  costOf(chain: Chain): ChainCost | undefined {
    const links: number[] = [];
    let cost: EventCost | undefined;
    for (const { generator, version, parameters } of derivationsOf(chain).toReversed()) {
      cost = this.find(generator, version)?.cost(parameters, cost);
      if (cost === undefined) return undefined;
      links.unshift(cost.cpuSeconds);
    }
    const rawBytes = cost?.rawBytes ?? 0;
    return { rawBytes, cpuSeconds: links.reduce((sum, seconds) => sum + seconds, 0), links };
  }

  /** Whether its generators make a dataset's events again, bit for bit: what they do not is never evicted. */
  canRemake(chain: Chain): boolean {
    return derivationsOf(chain).every(
      ({ generator, version }) => this.find(generator, version)?.reproducibility === 'exact',
    );
  }

  /** Short name of the set of generators: processes that work together must agree on it. */
  fingerprint(): string {
    const names = this.list().map((generator) => `${generator.name}@${generator.version}`);
    return sha256Hex(names.sort().join(' ')).slice(0, 16);
  }
}

/** The built-in processes. */
export const builtInGenerators = new GeneratorRegistry([eeMuMu, minbias, detsim]);
