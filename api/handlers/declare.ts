// Declaring a dataset: created once, the same again is fine, and another definition under its name is refused.

import { timestamp } from '../../core/clock.ts';
import { checkDatasetName, type Dataset, type DatasetName, weakest } from '../../core/dataset.ts';
import { canonicalJson, type Derivation, derivationId, type Json } from '../../core/derivation.ts';
import { EvokeError, type FieldError } from '../../core/errors.ts';
import { resolveGrid } from '../../core/grid.ts';
import { type Answer, type Input, json } from '../answer.ts';
import type { ApiDeps } from '../deps.ts';
import { checkDeclaration, type Declared } from './declaration.ts';
import { inputsFrom } from './declared-input.ts';
import { datasetPathOf, describe } from './describe.ts';

export async function declareDataset(input: Input<DatasetName, unknown, unknown>, deps: ApiDeps): Promise<Answer> {
  const name = checkDatasetName(input.params);
  const stored = await deps.catalog.find(name);
  const { declared, source } = await checkDeclaration(input.body, { name, stored }, deps);
  if (stored !== undefined) return sameAgain(stored, declared, deps);
  const { dataset, created } = await deps.catalog.declare(define(name, declared, source, deps));
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
  const { events, chunkEvents, files } = stored;
  const input = stored.inputs?.[0]?.dataset;
  const there = {
    generator,
    version,
    parameters,
    seed,
    events,
    chunkEvents,
    input,
    files: files && { eventsPerFile: files.eventsPerFile, lfn: files.lfn },
  };
  const differing: FieldError[] = [];
  for (const [field, value] of Object.entries(there)) {
    const given = declared[field as keyof Declared] as Json | undefined;
    if (given === undefined) continue;
    const text = value === undefined ? undefined : canonicalJson(value);
    if (canonicalJson(given) !== text) {
      differing.push({ path: `/${field}`, message: text === undefined ? 'is not declared there' : `is ${text} there` });
    }
  }
  return differing;
}

function define(name: DatasetName, declared: Declared, source: Dataset | undefined, deps: ApiDeps): Dataset {
  const { registry, chunkSeconds, clock } = deps;
  const generator = registry.find(declared.generator, declared.version);
  if (generator === undefined) throw new EvokeError('INTERNAL', { detail: 'The generator was there a moment ago.' });
  const parameters = declared.parameters ?? generator.parameters.parse({});
  const { events, chunkEvents, seed, files } = declared;
  const derivation: Derivation = {
    generator: generator.name,
    version: generator.version,
    parameters,
    seed,
    ...(source === undefined ? {} : { input: source.derivationId }),
  };
  const chain = { derivation, ...(source === undefined ? {} : { inputs: inputsFrom(source) }) };
  const cost = registry.costOf(chain);
  if (cost === undefined) throw new EvokeError('INTERNAL', { detail: 'The chain was registered a moment ago.' });
  // A chunk may have to be made with all that it is derived from.
  const { cpuSeconds, rawBytes } = cost;
  return {
    scope: name.scope,
    name: name.name,
    ...resolveGrid({ events, chunkEvents, cpuSeconds, rawBytes, chunkSeconds }),
    ...chain,
    derivationId: derivationId(derivation),
    columns: generator.columns,
    reproducibility: weakest([generator.reproducibility, ...(source === undefined ? [] : [source.reproducibility])]),
    ...(files === undefined ? {} : { files }),
    declaredAt: timestamp(clock),
  };
}
