// The body of a declaration, checked as a whole, so that one refusal names everything that is wrong with it.

import type { Dataset, DatasetName, Files } from '../../core/dataset.ts';
import type { JsonObject } from '../../core/derivation.ts';
import { EvokeError, type FieldError } from '../../core/errors.ts';
import { chunkTooLarge } from '../../core/grid.ts';
import type { EventCost } from '../../generators/generator.ts';
import type { GeneratorRegistry } from '../../generators/registry.ts';
import type { ApiDeps, Generator } from '../deps.ts';
import { fieldErrors } from '../field-errors.ts';
import { declaration } from '../schemas.ts';
import { fileErrors } from './declared-files.ts';
import { inputOf } from './declared-input.ts';

/** Refused fields that the sentence names: a body may have tens of thousands. */
const namedMax = 10;

/** A declaration that was not refused. What the client left out at the top level is undefined. */
export interface Declared {
  readonly generator: string;
  readonly version?: string | undefined;
  /** With all defaults filled in. */
  readonly parameters?: JsonObject | undefined;
  readonly seed: number;
  readonly events: number;
  readonly chunkEvents?: number | undefined;
  /** `scope:name` */
  readonly input?: string | undefined;
  readonly files?: Files | undefined;
}

/** A declaration, with the dataset that it reads where it is a new one. */
export interface Checked {
  readonly declared: Declared;
  readonly source: Dataset | undefined;
}

/** What is said of a dataset, as far as it can be read: any value. */
type Fields = Readonly<Partial<Record<keyof Declared, unknown>>>;

type CheckDeps = Pick<ApiDeps, 'registry' | 'catalog' | 'chainLinks'>;

/**
 * `stored`: what has the name already. Its generators need not be registered any more for the same declaration to be fine,
 * and what became of its input since does not matter.
 * @throws EvokeError INVALID_DECLARATION with every refused field, STORE_UNAVAILABLE
 */
export async function checkDeclaration(
  body: unknown,
  { name, stored }: { readonly name: DatasetName; readonly stored: Dataset | undefined },
  deps: CheckDeps,
): Promise<Checked> {
  const parsed = declaration.safeParse(body);
  const errors = parsed.success ? [] : fieldErrors(parsed.error);
  const fields: Fields = typeof body === 'object' && body !== null ? body : {};
  const isRefused = (field: string) => errors.some(({ path }) => path === field || path.startsWith(`${field}/`));
  const made = await checkMaking(fields, isRefused('/input'), stored, deps);
  errors.push(...made.errors);
  if (stored === undefined && fields.files !== undefined && !isRefused('/files') && !isRefused('/events')) {
    errors.push(...(await fileErrors(name, fields as { files: Files; events: number }, deps)));
  }
  if (errors.length > 0 || !parsed.success) {
    throw new EvokeError('INVALID_DECLARATION', { detail: refusal(errors), errors });
  }
  return { declared: { ...parsed.data, parameters: made.parameters }, source: made.source };
}

interface Making {
  readonly errors: readonly FieldError[];
  readonly parameters?: JsonObject | undefined;
  readonly source?: Dataset | undefined;
}

/** Generator, parameters, input and size of a chunk: each is held against the one before. */
async function checkMaking(
  fields: Fields,
  isInputRefused: boolean,
  stored: Dataset | undefined,
  deps: CheckDeps,
): Promise<Making> {
  const { registry } = deps;
  const { generator: name, version, parameters, chunkEvents, events, input } = fields;
  if (typeof name !== 'string' || (version !== undefined && typeof version !== 'string')) return { errors: [] };
  const generator = registry.find(name, version ?? keptVersion(stored, name, registry));
  if (generator === undefined) {
    if (!isDerivedBy(stored, name, version)) return { errors: [unknownGenerator(name, version, registry)] };
    return { errors: [], parameters: isJsonObject(parameters) ? parameters : undefined };
  }
  const errors: FieldError[] = [];
  let filled: JsonObject | undefined;
  if (isJsonObject(parameters)) {
    const checked = generator.parameters.safeParse(parameters);
    if (checked.success) filled = checked.data;
    else errors.push(...fieldErrors(checked.error, '/parameters'));
  }
  const misplaced = inputError(generator, input, stored);
  if (misplaced !== undefined) errors.push(misplaced);
  let source: Dataset | undefined;
  if (generator.input === 'required' && stored === undefined && typeof input === 'string' && !isInputRefused) {
    const wanted = { name: input, generator, events: Number.isSafeInteger(events) ? Number(events) : undefined };
    const found = await inputOf(wanted, deps);
    errors.push(...found.errors);
    source = found.dataset;
  }
  if (generator.input === 'none' || source !== undefined) {
    const inputCost = source && registry.costOf(source);
    errors.push(...chunkErrors(generator, parameters === undefined ? {} : filled, inputCost, chunkEvents));
  }
  return { errors, parameters: filled, source };
}

/** What a person reads first; all of it is in `errors`. */
function refusal(errors: readonly FieldError[]): string {
  const paths = [...new Set(errors.map((error) => error.path || 'the body'))];
  const named = paths.slice(0, namedMax);
  const more = paths.length > namedMax ? ` and ${paths.length - namedMax} more` : '';
  return `The declaration was refused: ${named.join(', ')}${more}.`;
}

/** How large a chunk may be depends on parameters and input: where those are refused, only they are. */
function chunkErrors(
  generator: Generator,
  parameters: JsonObject | undefined,
  inputCost: EventCost | undefined,
  chunkEvents: unknown,
): FieldError[] {
  if (parameters === undefined || typeof chunkEvents !== 'number' || !Number.isSafeInteger(chunkEvents)) return [];
  const { rawBytes } = generator.cost(generator.parameters.parse(parameters), inputCost);
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

/** An input that is named without need, or not named; a declared dataset has one that need not be named again. */
function inputError(generator: Generator, input: unknown, stored: Dataset | undefined): FieldError | undefined {
  if (generator.input === 'none') {
    return input === undefined ? undefined : { path: '/input', message: `${generator.name} reads no other dataset` };
  }
  if (input !== undefined || stored !== undefined) return undefined;
  return { path: '/input', message: `${generator.name} reads another dataset: name it` };
}

function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
