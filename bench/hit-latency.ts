// How long somebody waits for a hit, from an api that tells the ledger of it and from one that does not.
import { Agent } from 'node:http';
import { type Benchmark, quantile, type Row } from './bench.ts';
import { timed } from './client.ts';
import { chunkOfAbout, heat, startWithSilentApi } from './hits.ts';

const blocks = 40;
const perBlock = 250;

export const hitLatency: Benchmark = {
  name: 'hit-latency',
  how: `${blocks * perBlock} hits of a 64 KiB chunk from each of two apis, one at a time over one connection, in ${blocks} blocks in turn; one of them keeps a ledger and flushes it every second.`,
  async run(): Promise<Row[]> {
    const { service, silentUrl } = await startWithSilentApi({ env: { EVOKE_LEDGER_SECONDS: '1' } });
    const agent = new Agent({ keepAlive: true });
    try {
      const url = await chunkOfAbout(service, 64 * 1024);
      const silent = url.replace(service.url, silentUrl);
      await heat(silent);
      const ms = { told: [] as number[], silent: [] as number[] };
      for (let block = 0; block < blocks; block++) {
        for (let i = 0; i < perBlock; i++) ms.told.push((await timed(agent, url)).ms);
        for (let i = 0; i < perBlock; i++) ms.silent.push((await timed(agent, silent)).ms);
      }
      return [0.5, 0.9, 0.99].map((q) => {
        const [told, alone] = [quantile(ms.told, q), quantile(ms.silent, q)];
        const value = `${told.toFixed(2)} ms with ÷ ${alone.toFixed(2)} ms without = ${(told / alone).toFixed(2)}`;
        return { what: `p${q * 100}`, value };
      });
    } finally {
      agent.destroy();
      await service.stop();
    }
  },
};
