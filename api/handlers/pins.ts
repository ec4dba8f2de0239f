// Pins: a dataset whose chunks stay until it expires.
import { timestamp } from '../../core/clock.ts';
import type { DatasetName, Pin } from '../../core/dataset.ts';
import { EvokeError } from '../../core/errors.ts';
import { type Answer, type Input, json, noContent } from '../answer.ts';
import type { ApiDeps } from '../deps.ts';

const pinnedMs = 30 * 24 * 3600 * 1000;

type PinBody = { expiresAt?: string | undefined; reason?: string | undefined } | undefined;

export async function putPin({ params, body }: Input<DatasetName, unknown, PinBody>, deps: ApiDeps): Promise<Answer> {
  const { scope, name } = await deps.catalog.get(params);
  const now = deps.clock.now();
  const expiresAtMs = body?.expiresAt === undefined ? now + pinnedMs : Date.parse(body.expiresAt);
  if (!(expiresAtMs > now)) {
    throw new EvokeError('INVALID_BODY', {
      detail: 'The pin was refused: it would have expired already.',
      errors: [{ path: '/expiresAt', message: 'is not in the future' }],
    });
  }
  const pin: Pin = {
    scope,
    name,
    pinnedAt: timestamp(deps.clock),
    expiresAt: new Date(expiresAtMs).toISOString(),
    ...(body?.reason === undefined ? {} : { reason: body.reason }),
  };
  await deps.catalog.pin(pin);
  return json(200, pin);
}

export async function deletePin({ params }: Input<DatasetName>, { catalog }: ApiDeps): Promise<Answer> {
  await catalog.unpin(await catalog.get(params));
  return noContent;
}
