// Declaring a dataset: the definition is checked as a whole, so that one refusal names everything that is wrong with it.

import { timestamp } from '../../core/clock.ts';
import { checkDatasetName, type Dataset, type DatasetName } from '../../core/dataset.ts';
import { canonicalJson, type Derivation, derivationId, type JsonObject } from '../../core/derivation.ts';
import { EvokeError, type FieldError } from '../../core/errors.ts';
import { chunkTooLarge, resolveGrid } from '../../core/grid.ts';
import type { GeneratorRegistry } from '../../generators/registry.ts';
import { type Answer, type Input, json } from '../answer.ts';
import type { ApiDeps, Generator } from '../deps.ts';
import { fieldErrors } from '../field-errors.ts';
import { declaration } from '../schemas.ts';
import { datasetPathOf, describe } from './describe.ts';

/** Refused fields that the sentence names: a body may have tens of thousands. */
const namedMax = 10;

/** A declaration that was not refused. What the client left out at the top level is undefined. */
interface Declared {
  readonly generator: string;
  readonly version?: string | undefined;
  /** With all defaults filled in. */
  readonly parameters?: JsonObject | undefined;
  readonly seed: number;
  readonly events: number;
  readonly chunkEvents?: number | undefined;
}

export async function declareDataset(input: Input<DatasetName, unknown, unknown>, deps: ApiDeps): Promise<Answer> {
  const name = checkDatasetName(input.params);
  const stored = await deps.catalog.find(name);
  const declared = check(input.body, deps.registry, stored);
  if (stored !== undefined) return sameAgain(stored, declared, deps);
  const { dataset, created } = await deps.catalog.declare(define(name, declared, deps));
  if (!created) return sameAgain(dataset, declared, deps);
  return json(201, await describe(dataset, deps), ['Location', datasetPathOf(dataset)]);
}

/** @throws EvokeError DATASET_CONFLICT, naming the fields that differ */
async function sameAgain(stored: Dataset, declared: Declared, deps: ApiDeps): Promise<Answer> {
  const differing = differences(stored, declared);
  if (differing.length === 0) return json(200, await describe(stored, deps));
  throw new EvokeError('DATASET_CONFLICT', {
    detail: `${stored.scope}:${stored.name} is declared already, with another ${differing.map((error) => error.path.slice(1)).join(', ')}.`,
    hint: 'A dataset never changes: choose another name.',
    errors: differing,
  });
}

function differences(stored: Dataset, declared: Declared): FieldError[] {
  const { generator, version, parameters, seed } = stored.derivation;
  const there = { generator, version, parameters, seed, events: stored.events, chunkEvents: stored.chunkEvents };
  const differing: FieldError[] = [];
  for (const [field, value] of Object.entries(there)) {
    const given = declared[field as keyof Declared];
    const text = canonicalJson(value);
    if (given !== undefined && canonicalJson(given) !== text) {
      differing.push({ path: `/${field}`, message: `is ${text} there` });
    }
  }
  return differing;
}

/**
 * `stored`: what has the name already. Its version need not be registered any more for the same declaration to be fine.
 * @throws EvokeError INVALID_DECLARATION with every refused field; NOT_BUILT
 */
function check(body: unknown, registry: GeneratorRegistry, stored: Dataset | undefined): Declared {
  const parsed = declaration.safeParse(body);
  const errors = parsed.success ? [] : fieldErrors(parsed.error);
  const fields = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
  const { generator: name, version, parameters, chunkEvents, input } = fields;
  let filled: JsonObject | undefined;
  if (typeof name === 'string' && (version === undefined || typeof version === 'string')) {
    const generator = registry.find(name, version ?? keptVersion(stored, name, registry));
    if (generator === undefined) {
      if (!isDerivedBy(stored, name, version)) errors.push(unknownGenerator(name, version, registry));
      else if (isJsonObject(parameters)) filled = parameters;
    } else {
      if (isJsonObject(parameters)) {
        const checked = generator.parameters.safeParse(parameters);
        if (checked.success) filled = checked.data;
        else errors.push(...fieldErrors(checked.error, '/parameters'));
      }
      errors.push(...chunkErrors(generator, parameters === undefined ? {} : filled, chunkEvents));
      if (input === undefined || typeof input === 'string') errors.push(...inputErrors(generator, input));
    }
  }
  if (errors.length > 0 || !parsed.success) {
    throw new EvokeError('INVALID_DECLARATION', { detail: refusal(errors), errors });
  }
  if ('files' in parsed.data) {
    throw new EvokeError('NOT_BUILT', { detail: 'Datasets made of files cannot be declared yet: leave files out.' });
  }
  return { ...parsed.data, parameters: filled };
}

/** What a person reads first; all of it is in `errors`. */
function refusal(errors: readonly FieldError[]): string {
  const named = errors.slice(0, namedMax).map((error) => error.path || 'the body');
  const more = errors.length > namedMax ? ` and ${errors.length - namedMax} more` : '';
  return `The declaration was refused: ${named.join(', ')}${more}.`;
}

/** How large a chunk may be depends on the parameters: where those are refused, only they are. */
function chunkErrors(generator: Generator, parameters: JsonObject | undefined, chunkEvents: unknown): FieldError[] {
  if (parameters === undefined || typeof chunkEvents !== 'number' || !Number.isSafeInteger(chunkEvents)) return [];
  const { rawBytes } = generator.cost(generator.parameters.parse(parameters));
  const refused = chunkTooLarge(chunkEvents, rawBytes);
  return refused === undefined ? [] : [refused];
}

/** Parameters left at their defaults are those of the version that the stored dataset has, where that is registered. */
function keptVersion(stored: Dataset | undefined, generator: string, registry: GeneratorRegistry): string | undefined {
  if (stored?.derivation.generator !== generator) return undefined;
  return registry.find(generator, stored.derivation.version)?.version;
}

function isDerivedBy(stored: Dataset | undefined, generator: string, version: string | undefined): boolean {
  return stored?.derivation.generator === generator && (version === undefined || version === stored.derivation.version);
}

function unknownGenerator(name: string, version: string | undefined, registry: GeneratorRegistry): FieldError {
  const known = registry.find(name);
  if (known !== undefined && version !== undefined) {
    return { path: '/version', message: `${name} is registered in version ${known.version} only` };
  }
  const names = registry.list().map((generator) => generator.name);
  return { path: '/generator', message: `is none of ${names.join(', ')}` };
}

function inputErrors(generator: Generator, input: unknown): FieldError[] {
  if (generator.input === 'none') {
    return input === undefined ? [] : [{ path: '/input', message: `${generator.name} reads no other dataset` }];
  }
  if (input === undefined) return [{ path: '/input', message: `${generator.name} reads another dataset: name it` }];
  throw new EvokeError('NOT_BUILT', { detail: 'Datasets with an input cannot be declared yet.' });
}

function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function define(name: DatasetName, declared: Declared, deps: ApiDeps): Dataset {
  const { registry, chunkSeconds, clock } = deps;
  const generator = registry.find(declared.generator, declared.version);
  if (generator === undefined) throw new EvokeError('INTERNAL', { detail: 'The generator was there a moment ago.' });
  const parameters = declared.parameters ?? generator.parameters.parse({});
  const { events, chunkEvents, seed } = declared;
  const { cpuSeconds, rawBytes } = generator.cost(parameters);
  const grid = resolveGrid({ events, chunkEvents, cpuSeconds, rawBytes, chunkSeconds });
  const derivation: Derivation = { generator: generator.name, version: generator.version, parameters, seed };
  return {
    scope: name.scope,
    name: name.name,
    ...grid,
    derivation,
    derivationId: derivationId(derivation),
    columns: generator.columns,
    reproducibility: generator.reproducibility,
    declaredAt: timestamp(clock),
  };
}
