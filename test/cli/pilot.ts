// A pilot, as far as the Event Service's payload sees one: starts the prefetcher and the payload, hands a range to whoever says
// that it is ready, and starts again whichever of the two has died, until the prefetcher has come to the end of its list.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { pause } from '../../core/clock.ts';
import { main } from './one-machine.ts';
import { outputOf, type PayloadOutput } from './payload-output.ts';

const payloadProgram = fileURLToPath(new URL('payload.ts', import.meta.url));

export interface PilotOptions {
  readonly server: string;
  /** Its own: has the folder of files and that of outputs. */
  readonly folder: string;
  /** A file of PanDA's ranges. */
  readonly ranges: string;
  readonly prefetchArguments?: readonly string[];
  /** How likely a payload dies at each of three steps. */
  readonly crashShare: number;
  readonly seed: number;
  /** Told whenever a range is handed to a payload, how many that makes. */
  readonly onHanded?: (count: number) => void;
  /** Runs of the prefetcher, before the pilot gives up. */
  readonly runsMax?: number;
}

interface Handed {
  readonly eventRangeID: string;
  readonly PFN: string;
}

export class Pilot {
  readonly #options: PilotOptions;
  readonly files: string;
  readonly #outputs: string;
  #prefetcher: ChildProcess | undefined;
  #payload: ChildProcess | undefined;
  #payloadLines: AsyncIterator<string> | undefined;
  #incarnations = 0;
  /** What the prefetchers and payloads said that was no range. */
  readonly said: string[] = [];
  crashes = 0;
  prefetchers = 0;
  handedOut = 0;

  constructor(options: PilotOptions) {
    this.#options = options;
    this.files = join(options.folder, 'files');
    this.#outputs = join(options.folder, 'outputs');
  }

  /** Until a prefetcher has ended well. @throws Error when none does */
  async run(): Promise<void> {
    await mkdir(this.#outputs, { recursive: true });
    try {
      for (let code: number | null = null; code !== 0; ) {
        if (this.prefetchers === (this.#options.runsMax ?? 50)) throw new Error(this.said.join(''));
        code = await this.#onePrefetcher();
        // What failed may be tried again later, and a chunk that failed is remembered for a while.
        if (code !== 0 && code !== null) await pause(1000);
      }
      this.#payload?.stdin?.end('No more events\n');
      if (this.#payload !== undefined) await ended(this.#payload);
    } finally {
      await this.stop();
    }
  }

  /** As the out-of-memory killer would. */
  killPrefetcher(): void {
    this.#prefetcher?.kill('SIGKILL');
  }

  async stop(): Promise<void> {
    for (const child of [this.#prefetcher, this.#payload]) {
      child?.kill('SIGKILL');
      if (child !== undefined) await ended(child);
    }
  }

  /** What was read, by eventRangeID. */
  async outputs(): Promise<Map<string, PayloadOutput>> {
    const found = new Map<string, PayloadOutput>();
    for (const name of await readdir(this.#outputs).catch(() => [])) {
      if (!name.endsWith('.json')) continue;
      const output = JSON.parse(await readFile(join(this.#outputs, name), 'utf8')) as PayloadOutput;
      found.set(output.eventRangeID, output);
    }
    return found;
  }

  async #onePrefetcher(): Promise<number | null> {
    this.prefetchers++;
    const { server, ranges, prefetchArguments = [] } = this.#options;
    const args = ['prefetch', '--ranges', ranges, '--out', this.files, '--server', server, ...prefetchArguments];
    const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#prefetcher = child;
    child.stderr.on('data', (text) => this.said.push(String(text)));
    for await (const line of createInterface({ input: child.stdout })) await this.#bring(line);
    return ended(child);
  }

  /** Until the range of this line is read. */
  async #bring(line: string): Promise<void> {
    const [range] = JSON.parse(line) as [Handed];
    const output = outputOf(this.#outputs, range.eventRangeID);
    // Gone: it was handed out before the prefetcher was started again, and has been read since.
    while (existsSync(range.PFN)) {
      // The payload died between its output and the removal of its input.
      if (existsSync(output)) await rm(range.PFN, { force: true });
      else await this.#hand(line);
    }
  }

  /** To a payload that is ready; resolves when that has done with it, or died. */
  async #hand(line: string): Promise<void> {
    const next = () => this.#payloadLines?.next() ?? Promise.resolve({ done: true, value: undefined });
    if (this.#payload === undefined) this.#startPayload();
    const ready = await next();
    if (ready.value === 'Ready for events') {
      this.handedOut++;
      this.#options.onHanded?.(this.handedOut);
      this.#payload?.stdin?.write(`${line}\n`);
      const answer = await next();
      if (answer.value?.startsWith('ERR_')) throw new Error(answer.value);
      if (!answer.done) return;
    }
    this.crashes++;
    this.#payload = undefined;
  }

  #startPayload(): void {
    const { crashShare, seed } = this.#options;
    const args = [payloadProgram, this.#outputs, String(crashShare), String(seed * 1000 + this.#incarnations++)];
    const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    child.stderr.on('data', (text) => this.said.push(String(text)));
    // It may die before it has taken what it was handed.
    child.stdin.on('error', () => undefined);
    this.#payload = child;
    this.#payloadLines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }
}

async function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode;
}
