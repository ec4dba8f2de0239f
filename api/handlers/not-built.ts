// Parts of the contract that this build does not have: said so, instead of a 404 that looks like a mistake of the client's.
import { EvokeError } from '../../core/errors.ts';

export function notBuilt(): never {
  throw new EvokeError('NOT_BUILT', { detail: 'This part of the API is not built yet.' });
}
