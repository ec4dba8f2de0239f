// Names of objects: what the contract in store.ts allows, and nothing that could leave the store's folder.
import { EvokeError } from '../core/errors.ts';

/** What common filesystems take as one name. */
const segmentBytesMax = 255;
/** What S3 takes as a key; also ends a walk through folders linked into a ring. */
export const nameBytesMax = 1024;

const segment = /^[A-Za-z0-9_-][A-Za-z0-9_.-]*$/;

/** Whether a text may stand between two `/`. */
export function isSegment(text: string): boolean {
  return text.length <= segmentBytesMax && segment.test(text);
}

/** Whether a text is the name of an object. */
export function isName(text: string): boolean {
  return text.length <= nameBytesMax && text.split('/').every(isSegment);
}

/** @throws EvokeError INTERNAL: names are made by the service itself, so a bad one is a mistake in its code. */
export function checkName(name: string): void {
  if (!isName(name)) throw notAName(name);
}

/** The same for what a listing begins with: empty, or a name followed by `/`. @throws EvokeError INTERNAL */
export function checkPrefix(prefix: string): void {
  if (prefix === '') return;
  if (!prefix.endsWith('/')) throw notAName(prefix);
  checkName(prefix.slice(0, -1));
}

function notAName(text: string): EvokeError {
  return new EvokeError('INTERNAL', { detail: `${JSON.stringify(text.slice(0, 200))} is not the name of an object.` });
}
