// A campaign: the operations of a seed, many at a time, against a service that is meddled with; every so often it is left
// alone, and everything has to be in order again. Ends at the first violation, or when the time is up.
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterwards } from './afterwards.ts';
import { calm } from './calm.ts';
import { type Disk, openDisk } from './disk.ts';
import type { Fault } from './fault-plan.ts';
import { Fleet } from './fleet.ts';
import { Journal } from './journal.ts';
import { Model } from './model.ts';
import type { ClientOperation, Operation } from './operations.ts';
import { perform, type Stage, Violation } from './perform.ts';
import { Sequence } from './sequence.ts';
import { StoredChunks } from './stored.ts';

const MiB = 1024 * 1024;
/** Of the disk, which the chunks' capacity leaves some of: records, ledger and unfinished writes take space too. */
const diskBytes = 64 * MiB;
/** Less than all datasets together, so that something is evicted all the time. */
const capacityBytes = 8 * MiB;
const lanes = 16;
/** Between two times of being left alone: counted in operations, so that it is the same with every replay. */
const operationsInRound = 300;
const watchMs = 2_000;

export interface CampaignOptions {
  readonly seed: number;
  readonly seconds: number;
}

export class Campaign {
  readonly #options: CampaignOptions;
  readonly #sequence: Sequence;
  readonly #model: Model;
  readonly #journal = new Journal();
  readonly #disk: Disk;
  readonly #stored: StoredChunks;
  readonly #fleet: Fleet;
  readonly #stage: Stage;
  readonly #underway = new Map<Promise<void>, string>();
  readonly #violations: string[];

  private constructor(options: CampaignOptions, disk: Disk, fleet: Fleet, violations: string[]) {
    this.#options = options;
    this.#disk = disk;
    this.#fleet = fleet;
    this.#violations = violations;
    this.#sequence = new Sequence(options.seed);
    this.#model = new Model(() => this.#sequence.datasets);
    this.#stored = new StoredChunks(storeFolder(disk));
    this.#stage = {
      model: this.#model,
      url: (api) => fleet.url(api),
      troubles: (url, fromMs) => fleet.troubles(url, fromMs),
      answered: (status) => this.#journal.answer(status),
    };
  }

  static async start(options: CampaignOptions): Promise<Campaign> {
    const violations: string[] = [];
    const disk = await openDisk(diskBytes);
    try {
      const fleet = await Fleet.start(settings(disk), (what) => violations.push(what));
      return new Campaign(options, disk, fleet, violations);
    } catch (error) {
      await disk.close();
      throw error;
    }
  }

  get journal(): Journal {
    return this.#journal;
  }

  get hasOwnDisk(): boolean {
    return this.#disk.isOwn;
  }

  /** What was violated; empty when nothing was. */
  async run(): Promise<readonly string[]> {
    const endsAt = Date.now() + this.#options.seconds * 1000;
    const watching = new AbortController();
    const watched = this.#watch(watching.signal);
    try {
      while (Date.now() < endsAt && this.#violations.length === 0) {
        await this.#round(endsAt);
        if (this.#violations.length === 0) await this.#leaveAlone();
      }
      if (this.#violations.length === 0) {
        const parts = { model: this.#model, stage: this.#stage, fleet: this.#fleet, stored: this.#stored };
        for (const what of await afterwards({ ...parts, settings: settings(this.#disk), journal: this.#journal })) {
          this.#violations.push(what);
        }
      }
    } catch (error) {
      this.#violations.push(error instanceof Violation ? error.message : String((error as Error).stack ?? error));
    } finally {
      watching.abort();
      await watched;
    }
    return [...this.#violations];
  }

  async close(): Promise<void> {
    await this.#fleet.close();
    await this.#disk.close();
  }

  /** All that was said, in a folder that stays; for a campaign that failed. */
  async keepWords(): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), 'evoke-random-'));
    await writeFile(join(folder, 'operations.log'), `${this.#journal.all.join('\n')}\n`);
    for (const { role, process, output } of this.#fleet.outputs) {
      await writeFile(join(folder, `${role}-${process.pid}.log`), output());
    }
    return folder;
  }

  /** The last operations, what is still under way, and the last lines of every process. */
  lastWords(): string {
    const roles = this.#fleet.outputs.slice(-10).map(({ role, process, output }) => {
      return `--- ${role} ${process.pid}\n${output().trimEnd().split('\n').slice(-15).join('\n')}`;
    });
    return [...this.#journal.lines, ...[...this.#underway.values()].map((line) => `under way: ${line}`), ...roles].join(
      '\n',
    );
  }

  async #round(endsAt: number): Promise<void> {
    for (let i = 0; i < operationsInRound && this.#violations.length === 0 && Date.now() < endsAt; i++) {
      while (this.#underway.size >= lanes) await Promise.race(this.#underway.keys());
      const operation = this.#sequence.next();
      const line = `#${operation.number} ${brief(operation)}`;
      const doing = this.#do(operation, line).finally(() => this.#underway.delete(doing));
      this.#underway.set(doing, line);
      await pause(operation.pauseMs);
    }
    await Promise.all(this.#underway.keys());
  }

  async #do(operation: Operation, line: string): Promise<void> {
    const fromMs = Date.now();
    try {
      const outcome = isFault(operation) ? await this.#suffer(operation) : await this.#perform(operation);
      this.#journal.tell(`${line} → ${outcome} (${Date.now() - fromMs} ms)`);
    } catch (error) {
      const what = error instanceof Violation ? error.message : String((error as Error).stack ?? error);
      this.#journal.tell(`${line} ✗ ${what}`);
      this.#violations.push(`${line}: ${what}`);
    }
  }

  #perform(operation: ClientOperation): Promise<string> {
    this.#journal.operation(operation.kind);
    return perform(operation, this.#stage);
  }

  #suffer(fault: Fault): Promise<string> {
    this.#journal.fault(fault.kind === 'kill' || fault.kind === 'freeze' ? `${fault.kind} ${fault.role}` : fault.kind);
    if (fault.kind === 'damage') return this.#fleet.trouble('damage', () => this.#stored.damage(fault));
    if (fault.kind !== 'fill disk') return this.#fleet.suffer(fault);
    return this.#fleet.trouble('disk', async () => {
      const taken = await this.#disk.fill(fault.leavingBytes);
      await pause(fault.ms);
      await this.#disk.free();
      return `${taken} bytes taken, and given back`;
    });
  }

  async #leaveAlone(): Promise<void> {
    await this.#fleet.healed();
    const fromMs = Date.now();
    await calm(this.#stage, this.#options.seed + this.#journal.operations);
    this.#journal.milestone(`left alone: everything is in order (${Date.now() - fromMs} ms)`);
  }

  /** What has to hold at any moment. */
  async #watch(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await pause(watchMs, undefined, { signal }).catch(() => undefined);
      this.#journal.usage(await this.#fleet.usage());
      const missing = await this.#stored.missingFromPinned(this.#model);
      if (missing.length > 0) this.#violations.push(`Chunks of pinned datasets are gone: ${missing.join(', ')}`);
    }
  }
}

function storeFolder(disk: Disk): string {
  return join(disk.folder, 'store');
}

function settings(disk: Disk): Record<string, string> {
  return {
    EVOKE_STORE: `file:${storeFolder(disk)}`,
    EVOKE_CAPACITY_BYTES: String(capacityBytes),
    // Small enough that the disk is read, large enough that not always.
    EVOKE_MEMORY_BYTES: String(2 * MiB),
    EVOKE_WINDOW_BYTES: String(32 * MiB),
    EVOKE_WAIT_SECONDS: '60',
    EVOKE_HOLD_SECONDS: '5',
    EVOKE_LEDGER_SECONDS: '2',
  };
}

function isFault(operation: Operation): operation is Operation & Fault {
  return ['kill', 'end', 'freeze', 'flush redis', 'kill redis', 'freeze redis', 'damage', 'fill disk'].includes(
    operation.kind,
  );
}

/** Kind first, then what else there is to know. */
function brief({ kind, number: _, pauseMs: __, ...rest }: Operation): string {
  return `${kind} ${JSON.stringify(rest).replaceAll('"', '')}`;
}
