// A long cold range through the whole service, beside the same chunks generated and encoded with nothing around.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { declare, eventsUrl, Service } from '../test/service.ts';
import { BareThreads, minbiasDerivation } from './bare-threads.ts';
import { type Benchmark, median, type Row, spread } from './bench.ts';

const run = promisify(execFile);

const threads = 2;
const events = 400_000;
const rounds = 5;

export const coldThroughput: Benchmark = {
  name: 'cold-throughput',
  how: `${events} events of \`minbias\` as Arrow, none of them stored, ${threads} generating threads: \`curl\` reading the range, ÷ the same chunks on ${threads} bare threads; api, worker, Redis, store and client share the cores with the threads. ${rounds} rounds, in turn.`,
  async run(): Promise<Row[]> {
    const service = await Service.start({ env: { EVOKE_WORKER_THREADS: String(threads) } });
    const bare = new BareThreads(threads);
    try {
      const perSecond = { service: [] as number[], bare: [] as number[] };
      let megabytes = 0;
      // The first round warms both up and is not counted.
      for (let round = 0; round <= rounds; round++) {
        const seed = 1000 + round;
        const name = `bench:cold${round}`;
        const dataset = await declare(service.url, name, { generator: 'minbias', seed, events });
        const began = performance.now();
        const bytes = await drain(eventsUrl(service.url, name, `1-${events}.arrows`));
        const served = performance.now();
        // Other events, so that nothing is remembered; as many.
        const derivation = minbiasDerivation(seed + 500);
        await Promise.all(Array.from({ length: dataset.chunks }, (_, index) => bare.make(derivation, dataset, index)));
        const made = performance.now();
        if (round === 0) continue;
        megabytes = bytes / 1e6;
        perSecond.service.push(events / ((served - began) / 1000));
        perSecond.bare.push(events / ((made - served) / 1000));
      }
      const ratios = perSecond.service.map((value, i) => value / (perSecond.bare[i] ?? Number.NaN));
      return [
        {
          what: 'events/s ÷ bare threads',
          value: spread(ratios),
          aim: { text: '≥ 0.80', reached: median(ratios) >= 0.8 },
        },
        { what: `events/s through the service (${megabytes.toFixed(0)} MB each)`, value: spread(perSecond.service, 0) },
        { what: 'events/s on bare threads', value: spread(perSecond.bare, 0) },
      ];
    } finally {
      await bare.close();
      await service.stop();
    }
  },
};

/** Reads a body to its end with curl, which takes little of the cores that are measured. Gives the bytes. */
async function drain(url: string): Promise<number> {
  const { stdout } = await run('curl', ['-sSf', '-o', '/dev/null', '-w', '%{size_download}', url]);
  return Number(stdout);
}
