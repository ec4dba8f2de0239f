// What can be generated.
import { z } from 'zod';
import type { JsonObject } from '../../core/derivation.ts';
import { formats } from '../../formats/representation.ts';
import { type Answer, type Input, page } from '../answer.ts';
import type { ApiDeps, Generator } from '../deps.ts';

type PageQuery = { limit: number; after?: string | undefined };

export function listGenerators({ query }: Input<unknown, PageQuery>, { registry }: ApiDeps): Answer {
  const { after = '', limit } = query;
  const sorted = registry.list().sort((a, b) => (a.name < b.name ? -1 : 1));
  const left = sorted.filter((generator) => generator.name > after);
  const items = left.slice(0, limit);
  return page(items.map(show), left.length > limit ? (items.at(-1)?.name ?? null) : null);
}

function show(generator: Generator) {
  const { name, version, description, columns, reproducibility, input, inputColumns } = generator;
  return {
    name,
    version,
    description,
    parametersSchema: parametersSchema(generator.parameters),
    columns,
    formats: Object.values(formats).map(({ name, mediaType, extension }) => ({ name, mediaType, extension })),
    reproducibility,
    input,
    ...(inputColumns === undefined ? {} : { inputColumns }),
  };
}

/** As a client writes them: everything with a default may be left out. */
function parametersSchema(parameters: z.ZodType<JsonObject>): object {
  return z.toJSONSchema(parameters, { io: 'input' });
}
