// The datasets that a one-machine service begins with, so that there is something to ask for. Declared through the API like any.
import { type Declaration, EvokeClient } from '../client/http.ts';
import { pause } from '../core/clock.ts';
import { parseDatasetName } from '../core/dataset.ts';

const demos: Readonly<Record<string, Declaration>> = {
  'demo:zmumu': { generator: 'ee_mumu', events: 1_000_000, seed: 1 },
  'demo:minbias': { generator: 'minbias', events: 1_000_000, seed: 1 },
  'demo:calo': { generator: 'detsim', events: 100_000, seed: 1, input: 'demo:minbias' },
};

const triesMax = 5;

/** Declares what is not there yet. @throws what the last of a few tries threw. */
export async function declareDemos(address: string, signal: AbortSignal): Promise<void> {
  const client = new EvokeClient(address);
  for (const [name, declaration] of Object.entries(demos)) {
    for (let tries = 1; ; tries++) {
      try {
        await client.declare(parseDatasetName(name), declaration);
        break;
      } catch (error) {
        if (tries === triesMax) throw error;
        await pause(200 * tries, signal);
      }
    }
  }
}
