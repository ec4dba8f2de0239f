// The client for Python: one file, to be fetched from the service that it is to talk to.
import type { Answer, HeaderList, Input } from '../answer.ts';
import { assetAnswer, readAsset } from '../assets.ts';

const file = readAsset(new URL('../../client/evoke.py', import.meta.url), 'text/x-python; charset=utf-8');
const headers: HeaderList = ['X-Content-Type-Options', 'nosniff'];

export function getPythonClient(input: Input): Answer {
  return assetAnswer(file, headers, input);
}
