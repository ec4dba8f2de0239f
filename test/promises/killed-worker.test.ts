// Workers may be killed at any moment: a kill costs seconds, never an event.
import { expect, onTestFinished, test } from 'vitest';
import { declare, eventsUrl, Service } from '../service.ts';

test('a worker killed in the middle of its chunks is replaced by its peer, and the range arrives whole', async () => {
  const service = await Service.start({ workers: 2 });
  onTestFinished(() => service.stop());
  await declare(service.url, 'kill:worker', {
    generator: 'minbias',
    seed: 9,
    events: 400_000,
    parameters: { mean: 100 },
  });
  const url = eventsUrl(service.url, 'kill:worker', '1-60000.ndjson?columns=event');
  const response = await fetch(url);
  const reading = response.text();
  await service.roles.find((role) => role.role === 'worker')?.end('SIGKILL');
  const lines = (await reading).trimEnd().split('\n');
  expect(lines.map((line) => (JSON.parse(line) as { event: number }).event)).toEqual(
    Array.from({ length: 60_000 }, (_, i) => i + 1),
  );
}, 60_000);
