// Three hundred clients ask for one cold chunk at once.
import { Agent } from 'node:http';
import { declare, eventsUrl, Service } from '../test/service.ts';
import { type Benchmark, median, type Row, spread } from './bench.ts';
import { timed } from './client.ts';

const clients = 300;
const rounds = 7;
/** As much computing as a chunk of this generator may hold: 8 MiB raw, 28 kB an event. */
const chunkEvents = 256;
const parameters = { mean: 500 };
/** The stampede is for the making: what is asked for of it is small, or the loopback would be measured. */
const columns = 'event,nGenPart';

export const stampede: Benchmark = {
  name: 'stampede',
  how: `${clients} connections opened beforehand ask for two columns of one cold Arrow chunk (${chunkEvents} events of \`minbias\` with 500 particles each) at once; the slowest of them ÷ a single client's time for another cold chunk just before. ${rounds} rounds.`,
  async run(): Promise<Row[]> {
    const service = await Service.start({ env: { EVOKE_CLIENT_REQUESTS: String(2 * clients) } });
    const agent = new Agent({ keepAlive: true, maxSockets: clients });
    try {
      const name = 'bench:stampede';
      const events = 2 * (rounds + 1) * chunkEvents;
      await declare(service.url, name, { generator: 'minbias', seed: 5, events, chunkEvents, parameters });
      // Everybody is connected before the clock starts.
      await Promise.all(Array.from({ length: clients }, () => timed(agent, `${service.url}/healthz`)));
      const single: number[] = [];
      const slowest: number[] = [];
      let chunk = 0;
      const nextUrl = () => {
        const first = chunk++ * chunkEvents;
        return eventsUrl(service.url, name, `${first + 1}-${first + chunkEvents}.arrows`, `?columns=${columns}`);
      };
      for (let round = 0; round <= rounds; round++) {
        const { ms: alone } = await timed(agent, nextUrl());
        const url = nextUrl();
        const all = await Promise.all(Array.from({ length: clients }, () => timed(agent, url)));
        // The first round warms up.
        if (round === 0) continue;
        single.push(alone);
        slowest.push(Math.max(...all.map(({ ms }) => ms)));
      }
      const made = await generated(service.url, chunk);
      const ratios = slowest.map((value, i) => value / (single[i] ?? Number.NaN));
      return [
        {
          what: `generations for ${chunk} chunks asked for by up to ${clients} clients each`,
          value: String(made),
          aim: { text: '1 a chunk', reached: made === chunk },
        },
        {
          what: 'slowest client ÷ a single one',
          value: spread(ratios),
          aim: { text: '≤ 3', reached: median(ratios) <= 3 },
        },
        { what: 'a single client', value: `${spread(single, 1)} ms` },
      ];
    } finally {
      agent.destroy();
      await service.stop();
    }
  },
};

/** Chunks that workers generated, once the heartbeats have caught up with `expected`. */
async function generated(url: string, expected: number): Promise<number> {
  for (let look = 0; ; look++) {
    const { items } = (await (await fetch(`${url}/v1/workers`)).json()) as { items: { generated: number }[] };
    const count = items.reduce((sum, worker) => sum + worker.generated, 0);
    if (count >= expected || look === 50) return count;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
