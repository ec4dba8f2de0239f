// docs/limits.md against the code: every bound that is a setting stands there, and every answer is one of the catalogue.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { settings } from '../../config/settings.ts';
import { errorCatalogue } from '../../core/errors.ts';

const page = readFileSync(new URL('../../docs/limits.md', import.meta.url), 'utf8');

test('every setting that bounds something is in the table of limits, and none that does not exist', () => {
  const bounding = /^(bytes|seconds|CPU seconds|requests|connections|streams|chunks|tries|datasets|event ranges)$/;
  const expected = Object.values(settings)
    .filter(({ unit }) => bounding.test(unit))
    .map(({ name }) => `EVOKE_${name}`);
  const named = [...page.matchAll(/`(EVOKE_[A-Z0-9_]+)`/g)].map(([, name]) => name);
  expect([...new Set(named)].sort()).toEqual([...new Set(expected)].sort());
});

test('every code in the table of limits has the status that stands before it', () => {
  const answers = [...page.matchAll(/(\d{3}) `([A-Z_]+)`/g)];
  expect(answers.length).toBeGreaterThan(20);
  for (const [, status, code] of answers) {
    expect(Object.hasOwn(errorCatalogue, code as string), code).toBe(true);
    expect(errorCatalogue[code as keyof typeof errorCatalogue].status, code).toBe(Number(status));
  }
});
