// The Event Service's day: a pilot prefetches the events of a detector simulation that nobody has made, of an input that nobody
// has made, through a service whose worker, scheduler and Redis are killed at random, for a payload that dies now and then. Each
// range is read exactly once, and whole. PREFETCH_SEED replays what was killed when.
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { PandaRange } from '../../client/prefetch-ranges.ts';
import { pause } from '../../core/clock.ts';
import { Pilot } from '../cli/pilot.ts';
import { declare, eventsUrl, Service } from '../service.ts';
import { temporaryFolder } from '../temp.ts';
import { Prng } from './random/prng.ts';

const seed = Number(process.env['PREFETCH_SEED'] ?? 20_170_301);
const rangeCount = 200;
const rangeEvents = 25;
const eventsPerFile = 1000;

let service: Service;
beforeAll(async () => {
  service = await Service.start({ workers: 1, schedulers: 1 });
});
afterAll(() => service.stop());

/** Of 5000 events, in five files that there are by name only. */
function ranges(): PandaRange[] {
  return Array.from({ length: rangeCount }, (_, i) => {
    const first = i * rangeEvents;
    const n = Math.floor(first / eventsPerFile) + 1;
    return {
      eventRangeID: `10204500-3123350504-${7_783_643_170 + n}-${i + 1}-10`,
      startEvent: (first % eventsPerFile) + 1,
      lastEvent: (first % eventsPerFile) + rangeEvents,
      LFN: `HITS.01416937._${String(n).padStart(6, '0')}.pool.root.1`,
      GUID: '1141217E-433C-3E47-8898-615B968DA5E5',
      scope: 'demo',
    };
  });
}

const victims = ['worker', 'redis', 'scheduler', 'prefetcher', 'worker', 'flush'] as const;
type Victim = (typeof victims)[number];

/** Kills one thing or another, a moment after so many ranges have been handed out; on a slow machine it waits for longer. */
class Havoc {
  readonly done: Victim[] = [];
  readonly #random: Prng;
  readonly #kill: () => void;
  #nextAt: number;
  #under = Promise.resolve();

  constructor(random: Prng, killPrefetcher: () => void) {
    this.#random = random;
    this.#kill = killPrefetcher;
    this.#nextAt = random.whole(1, 6);
  }

  handed(count: number): void {
    if (count < this.#nextAt) return;
    this.#nextAt = count + this.#random.whole(8, 18);
    const delayMs = this.#random.whole(0, 1500);
    const victim = victims[(this.done.length + (this.done.length < victims.length ? 0 : this.#random.whole(0, 5))) % 6];
    if (victim === undefined) return;
    this.done.push(victim);
    this.#under = this.#under.then(() => pause(delayMs)).then(() => this.#strike(victim));
  }

  /** All that was begun is done. */
  over(): Promise<void> {
    return this.#under;
  }

  async #strike(victim: Victim): Promise<void> {
    if (victim === 'redis') await service.redis.restart();
    else if (victim === 'flush') await service.redis.command('FLUSHALL');
    else if (victim === 'prefetcher') this.#kill();
    else {
      await service.roles.findLast(({ role }) => role === victim)?.end('SIGKILL');
      service.startRole(victim);
    }
  }
}

test(`200 ranges of demo:calo are read once each and whole, whoever dies meanwhile (seed ${seed})`, async () => {
  await declare(service.url, 'demo:minbias', { generator: 'minbias', events: 20_000, seed: 1, chunkEvents: 128 });
  const files = { eventsPerFile, lfn: 'HITS.01416937._{n:06}.pool.root.1' };
  const calo = { generator: 'detsim', events: 10_000, seed: 1, input: 'demo:minbias', chunkEvents: 64, files };
  await declare(service.url, 'demo:calo', { ...calo, parameters: { detail: 2 } });
  const folder = await temporaryFolder();
  const list = join(folder, 'ranges.json');
  await writeFile(list, JSON.stringify({ eventRanges: ranges(), inFilePosEvtNum: true }));
  const havoc = new Havoc(new Prng(seed), () => pilot.killPrefetcher());
  const pilot: Pilot = new Pilot({
    server: service.url,
    folder,
    ranges: list,
    prefetchArguments: ['--disk', '3000000'],
    crashShare: 0.02,
    seed,
    onHanded: (count) => havoc.handed(count),
  });
  onTestFinished(() => pilot.stop());
  const began = performance.now();
  await pilot.run();
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  await havoc.over();
  console.log(
    `${seconds} s; killed ${havoc.done.join(', ')} and ${pilot.crashes} payloads; ${pilot.handedOut} handed out`,
  );

  const outputs = await pilot.outputs();
  expect(outputs.size).toBe(rangeCount);
  for (const [i, { eventRangeID }] of ranges().entries()) {
    const first = i * rangeEvents + 1;
    const output = outputs.get(eventRangeID);
    expect(output?.events).toEqual(Array.from({ length: rangeEvents }, (_, n) => first + n));
    const url = eventsUrl(service.url, 'demo:calo', `${first}-${first + rangeEvents - 1}`, '.arrows');
    const truth = createHash('sha256').update(new Uint8Array(await (await fetch(url)).arrayBuffer()));
    expect(output?.digest).toBe(truth.digest('hex'));
  }
  expect(new Set(havoc.done)).toEqual(new Set(victims));
  expect(pilot.crashes).toBeGreaterThan(0);
});
