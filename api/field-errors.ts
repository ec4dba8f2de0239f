// What zod refuses, as the contract lists it: one entry per refused field, with a JSON pointer (RFC 6901).
import type { z } from 'zod';
import type { FieldError } from '../core/errors.ts';

/** `at` is the pointer of the value that was parsed; '' for the whole body. */
export function fieldErrors(error: z.ZodError, at = ''): FieldError[] {
  return error.issues.flatMap((issue) => {
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({ path: pointer([...issue.path, key], at), message: 'is not a known field' }));
    }
    return [{ path: pointer(issue.path, at), message: issue.message }];
  });
}

function pointer(path: readonly PropertyKey[], at: string): string {
  return at + path.map((key) => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}
